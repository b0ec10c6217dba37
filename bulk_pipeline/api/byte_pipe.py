"""A bounded pipe of bytes from a thread to a coroutine. The thread waits while the coroutine is slow."""

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk_pipeline.stages.export.packing import Bytes

MOST_BYTES = 1 << 20
"""Most bytes that wait in the pipe."""
_PIECE_BYTES = 128 << 10


class ReaderGoneError(BaseException):
    """The reader has closed the pipe. Not an `Exception`, so that no handler in between takes it for a failure."""


class BytePipe:
    """Create it in the event loop. The thread calls `write` and `end`, the event loop `read` and `close`."""

    def __init__(self) -> None:
        self.held_bytes = 0
        self.most_held_bytes = 0
        self.is_closed = False
        self.ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._room = threading.Condition()
        self._pieces: deque[bytes] = deque()
        self._is_complete = False
        self._error: BaseException | None = None

    def write(self, data: "Bytes", /) -> None:
        """Copy the data in, waiting for room. Raises `ReaderGoneError` once the reader has closed the pipe."""
        view = memoryview(data).cast("B")
        for start in range(0, len(view), _PIECE_BYTES):
            self._put(bytes(view[start : start + _PIECE_BYTES]))

    def end(self, error: BaseException | None = None) -> None:
        """Write the end: of complete data or, with an error, of incomplete data."""
        with self._room:
            self._is_complete, self._error = True, error
        self._set(self._changed)
        self._set(self.ended)

    async def read(self) -> bytes | None:
        """Return the next piece, None at the end. Raises the error that `end` got, and `ReaderGoneError`."""
        while True:
            self._changed.clear()
            with self._room:
                if self.is_closed:
                    raise ReaderGoneError
                if self._pieces:
                    return self._pop()
                if self._error is not None:
                    raise self._error
                if self._is_complete:
                    return None
            await self._changed.wait()

    def close(self) -> None:
        """Stop reading: pending and later calls of `write` and `read` raise `ReaderGoneError`."""
        with self._room:
            self.is_closed = True
            self._room.notify()
        self._changed.set()

    def _put(self, piece: bytes) -> None:
        with self._room:
            self._room.wait_for(lambda: self.is_closed or self.held_bytes + len(piece) <= MOST_BYTES)
            if self.is_closed:
                raise ReaderGoneError
            self._pieces.append(piece)
            self.held_bytes += len(piece)
            self.most_held_bytes = max(self.most_held_bytes, self.held_bytes)
        self._set(self._changed)

    def _pop(self) -> bytes:
        piece = self._pieces.popleft()
        self.held_bytes -= len(piece)
        self._room.notify()
        return piece

    def _set(self, event: asyncio.Event) -> None:
        with suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(event.set)
