"""Bytes from a thread that writes to a coroutine that sends: the writer waits whenever the reader is slow."""

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk_pipeline.stages.export.packing import Bytes

MOST_BYTES = 1 << 20
"""What waits to be sent, at most."""
_PIECE_BYTES = 128 << 10


class ReaderGoneError(BaseException):
    """Nobody reads any more. No `Exception`, so that nothing on the way takes it for a failure."""


class Channel:
    """Made in the event loop. `write` and `end` are for the one thread, `take` and `leave` for the event loop."""

    def __init__(self) -> None:
        self.held_bytes = 0
        self.most_held_bytes = 0
        self.is_left = False
        self.ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._room = threading.Condition()
        self._pieces: deque[bytes] = deque()
        self._is_written = False
        self._error: BaseException | None = None

    def write(self, data: "Bytes", /) -> None:
        """Copy the data in, waiting for room. `ReaderGoneError` if nobody reads any more."""
        view = memoryview(data).cast("B")
        for start in range(0, len(view), _PIECE_BYTES):
            self._put(bytes(view[start : start + _PIECE_BYTES]))

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more comes: everything has been written or, with an error, has not."""
        with self._room:
            self._is_written, self._error = True, error
        self._tell(self._news)
        self._tell(self.ended)

    async def take(self) -> bytes | None:
        """The next piece; None at the end. Raises what the writer has ended with, and `ReaderGoneError`."""
        while True:
            self._news.clear()
            with self._room:
                if self.is_left:
                    raise ReaderGoneError
                if self._pieces:
                    return self._taken()
                if self._error is not None:
                    raise self._error
                if self._is_written:
                    return None
            await self._news.wait()

    def leave(self) -> None:
        """Nobody reads any more, whoever may be waiting."""
        with self._room:
            self.is_left = True
            self._room.notify()
        self._news.set()

    def _put(self, piece: bytes) -> None:
        with self._room:
            self._room.wait_for(lambda: self.is_left or self.held_bytes + len(piece) <= MOST_BYTES)
            if self.is_left:
                raise ReaderGoneError
            self._pieces.append(piece)
            self.held_bytes += len(piece)
            self.most_held_bytes = max(self.most_held_bytes, self.held_bytes)
        self._tell(self._news)

    def _taken(self) -> bytes:
        piece = self._pieces.popleft()
        self.held_bytes -= len(piece)
        self._room.notify()
        return piece

    def _tell(self, event: asyncio.Event) -> None:
        with suppress(RuntimeError):  # the loop has ended, and whoever waited there with it
            self._loop.call_soon_threadsafe(event.set)
