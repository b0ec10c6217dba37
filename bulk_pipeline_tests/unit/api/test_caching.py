"""Results are cached for a moment, and keys requested during a query are looked up together in the next one."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from bulk_pipeline.api.caching import Coalescer, TimedCache


class TestTimedCache:
    def test_keeps_a_result_for_a_while(self) -> None:
        calls: list[int] = []
        cache = TimedCache(lambda: calls.append(1) or len(calls), seconds=3600)
        assert [cache.result().result(10), cache.result().result(10)] == [1, 1]

    def test_repeats_the_query_when_the_result_is_old(self) -> None:
        calls: list[int] = []
        cache = TimedCache(lambda: calls.append(1) or len(calls), seconds=-1)
        assert [cache.result().result(10), cache.result().result(10)] == [1, 2]

    def test_passes_on_an_error(self) -> None:
        def query() -> int:
            raise ValueError("no")

        cache = TimedCache(query, seconds=-1)
        for _ in range(2):
            with pytest.raises(ValueError, match="no"):
                cache.result().result(10)

    def test_queries_once_for_many_callers_at_once(self) -> None:
        calls: list[int] = []
        may_continue = threading.Event()

        def query() -> int:
            calls.append(1)
            may_continue.wait(10)
            return len(calls)

        cache = TimedCache(query, seconds=3600)
        with ThreadPoolExecutor(8) as threads:
            results = list(threads.map(lambda _: cache.result(), range(50)))
        may_continue.set()
        assert {result.result(10) for result in results} == {1}


class Query:
    """Returns the number of the call for every key but `unknown`; each call waits for `may_continue`."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.may_continue = threading.Event()

    def __call__(self, keys: Sequence[str]) -> Mapping[str, int]:
        self.calls.append(sorted(keys))
        call = len(self.calls)
        assert self.may_continue.wait(10)
        if "broken" in keys:
            raise ValueError("broken")
        return {key: call for key in keys if key != "unknown"}

    async def called(self, times: int) -> None:
        while len(self.calls) < times:
            await asyncio.sleep(0.001)


class TestCoalescer:
    def test_looks_up_keys_requested_during_a_query_together_in_the_next_one(self) -> None:
        query = Query()

        async def run() -> tuple[int | None, list[int | None]]:
            coalescer = Coalescer(query)
            first = asyncio.create_task(coalescer.get("a"))
            await query.called(1)
            others = [asyncio.create_task(coalescer.get(key)) for key in "abba"]
            await asyncio.sleep(0)
            query.may_continue.set()
            return await first, list(await asyncio.gather(*others))

        assert asyncio.run(run()) == (1, [2, 2, 2, 2])
        assert query.calls == [["a"], ["a", "b"]]

    def test_returns_none_for_an_unknown_key(self) -> None:
        query = Query()
        query.may_continue.set()
        assert asyncio.run(Coalescer(query).get("unknown")) is None

    def test_raises_an_error_for_the_keys_of_its_query_only(self) -> None:
        query = Query()

        async def run() -> int | None:
            coalescer = Coalescer(query)
            tasks = [asyncio.create_task(coalescer.get(key)) for key in ("broken", "a")]
            await query.called(1)
            query.may_continue.set()
            for task in tasks:
                with pytest.raises(ValueError, match="broken"):
                    await task
            return await coalescer.get("a")

        assert asyncio.run(run()) == 2

    def test_a_cancelled_request_does_not_cancel_others_for_the_same_key(self) -> None:
        query = Query()

        async def run() -> int | None:
            coalescer = Coalescer(query)
            cancelled, other = (asyncio.create_task(coalescer.get("a")) for _ in range(2))
            await query.called(1)
            cancelled.cancel()
            query.may_continue.set()
            return await other

        assert asyncio.run(run()) == 1
