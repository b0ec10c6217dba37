"""Two ways to let many clients ask often without load: answers kept for a moment, and queries for many keys at once."""

import asyncio
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class TimedCache(Generic[T]):
    """The result of `query`, repeated in a thread once the last result is older than `seconds`.

    One thread queries at a time. It is a daemon: a query that hangs does not keep the process from exiting.
    """

    def __init__(self, query: Callable[[], T], *, seconds: float) -> None:
        self._query = query
        self._seconds = seconds
        self._lock = threading.Lock()
        self._result: Future[T] | None = None
        self._finished_at = 0.0

    def result(self) -> Future[T]:
        """Return the last result or the pending one."""
        with self._lock:
            if self._result is None or (self._result.done() and self._is_old()):
                self._result = Future()
                threading.Thread(target=self._run, args=(self._result,), daemon=True).start()
            return self._result

    def _is_old(self) -> bool:
        return time.monotonic() - self._finished_at > self._seconds

    def _run(self, future: Future[T]) -> None:
        try:
            result = self._query()
        except BaseException as error:
            self._finished_at = time.monotonic()
            future.set_exception(error)
        else:
            self._finished_at = time.monotonic()
            future.set_result(result)


class Coalescer(Generic[K, V]):
    """Looks up keys with `query`, which runs in a thread, one call at a time. For one event loop.

    Keys requested during a call are looked up together in the next one: a value is never older than its request, and
    many polling clients cost one query at a time.
    """

    def __init__(self, query: Callable[[Sequence[K]], Mapping[K, V]]) -> None:
        self._query = query
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """Return the key's value, or None if `query` returns none. Raises what `query` raises."""
        future = self._waiting.setdefault(key, asyncio.get_running_loop().create_future())
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await asyncio.shield(future)  # other requests may wait for it when this one is cancelled

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, {}
                try:
                    values = await run_in_threadpool(self._query, list(batch))
                except Exception as error:
                    for future in batch.values():
                        future.set_exception(error)
                else:
                    for key, future in batch.items():
                        future.set_result(values.get(key))
        finally:
            self._task = None
