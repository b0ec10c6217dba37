"""Questions that come while one is being asked are asked together, next.

Nobody gets an answer that is older than the question, and many clients that poll cost one query at a time.
"""

import asyncio
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Gathered(Generic[K, V]):
    """`ask`: what is known of each of the keys; in a thread, one call at a time. For one event loop."""

    def __init__(self, ask: Callable[[Sequence[K]], Mapping[K, V]]) -> None:
        self._ask = ask
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def answer(self, key: K) -> V | None:
        """None if nothing is known of it; raises what `ask` raises."""
        waiting = self._waiting.setdefault(key, asyncio.get_running_loop().create_future())
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_all())
        return await asyncio.shield(waiting)  # others may wait for it too, when this one leaves

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                asked, self._waiting = self._waiting, {}
                try:
                    found = await run_in_threadpool(self._ask, list(asked))
                except Exception as error:
                    for waiting in asked.values():
                        waiting.set_exception(error)
                else:
                    for key, waiting in asked.items():
                        waiting.set_result(found.get(key))
        finally:
            self._asking = None
