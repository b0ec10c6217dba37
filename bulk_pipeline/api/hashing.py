"""A bounded queue for password hashes. A request beyond its bound is refused at once.

A hash takes 64 MB and all cores for a moment, so that two are computed at a time. Waiting requests hold no thread:
many logins do not delay other requests.
"""

from collections import Counter
from collections.abc import Callable
from typing import Annotated, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, HTTPException, Request

T = TypeVar("T")

HASHED_AT_A_TIME = 2
WAITING = 16
"""A hash takes about 0.15 s on two cores: the last request in the queue waits little more than a second."""
OF_ONE_CLIENT = 8
"""Hashes of one client, computing or waiting."""
_RETRY_SECONDS = 2


class Hashing:
    """The queue of one process. For the event loop only."""

    def __init__(self) -> None:
        self._limiter = CapacityLimiter(HASHED_AT_A_TIME)
        self._places = Counter[str]()

    async def run(self, client: str, function: Callable[[], T]) -> T:
        """Return the function's result; it runs in a thread in its turn. `HTTPException` 429 if the queue is full."""
        if self._places.total() >= HASHED_AT_A_TIME + WAITING or self._places[client] >= OF_ONE_CLIENT:
            raise HTTPException(
                429, "too many logins at the moment: try again later", {"Retry-After": str(_RETRY_SECONDS)}
            )
        self._places[client] += 1
        try:
            return await to_thread.run_sync(function, limiter=self._limiter)
        finally:
            self._places[client] -= 1
            self._places += Counter()  # drops clients with a count of zero


async def _hashing(request: Request) -> Hashing:
    return request.app.state.hashing


HashingNeed = Annotated[Hashing, Depends(_hashing)]
