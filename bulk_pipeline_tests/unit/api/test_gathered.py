"""What is asked while somebody asks is asked together, and is never older than the question."""

import asyncio
import threading
from collections.abc import Mapping, Sequence

import pytest

from bulk_pipeline.api.gathered import Gathered


class Asked:
    """Knows every key but `unknown`; each call waits until it may go on."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.may_go_on = threading.Event()

    def __call__(self, keys: Sequence[str]) -> Mapping[str, int]:
        self.calls.append(sorted(keys))
        call = len(self.calls)
        assert self.may_go_on.wait(10)
        if "broken" in keys:
            raise ValueError("broken")
        return {key: call for key in keys if key != "unknown"}


async def asking(asked: Asked, calls: int) -> None:
    while len(asked.calls) < calls:
        await asyncio.sleep(0.001)


def test_what_comes_while_somebody_asks_is_asked_together_and_anew() -> None:
    asked = Asked()

    async def run() -> tuple[int | None, list[int | None]]:
        gathered = Gathered(asked)
        first = asyncio.create_task(gathered.answer("a"))
        await asking(asked, 1)
        rest = [asyncio.create_task(gathered.answer(key)) for key in "abba"]
        await asyncio.sleep(0)
        asked.may_go_on.set()
        return await first, list(await asyncio.gather(*rest))

    assert asyncio.run(run()) == (1, [2, 2, 2, 2])
    assert asked.calls == [["a"], ["a", "b"]]


def test_of_what_nobody_knows_there_is_nothing() -> None:
    asked = Asked()
    asked.may_go_on.set()
    assert asyncio.run(Gathered(asked).answer("unknown")) is None


def test_an_error_is_for_those_who_asked_and_for_nobody_after_them() -> None:
    asked = Asked()

    async def run() -> int | None:
        gathered = Gathered(asked)
        both = [asyncio.create_task(gathered.answer(key)) for key in ("broken", "a")]
        await asking(asked, 1)
        asked.may_go_on.set()
        for one in both:
            with pytest.raises(ValueError, match="broken"):
                await one
        return await gathered.answer("a")

    assert asyncio.run(run()) == 2


def test_one_who_leaves_takes_nothing_with_him() -> None:
    asked = Asked()

    async def run() -> int | None:
        gathered = Gathered(asked)
        leaving, staying = (asyncio.create_task(gathered.answer("a")) for _ in range(2))
        await asking(asked, 1)
        leaving.cancel()
        asked.may_go_on.set()
        return await staying

    assert asyncio.run(run()) == 1
