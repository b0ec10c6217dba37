"""Limits of size and time for the head of a request, its request line and headers.

uvicorn with httptools has neither: it holds a head of any size in memory, and keeps a silent connection for ever.
"""

import asyncio

from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Connection(HttpToolsProtocol):
    """A connection that is closed if the head of a request is too large or too late."""

    most_head_bytes = 64 << 10
    head_seconds = 20.0
    """Time until the head is complete, from the start of the connection or of a later request."""

    _unfinished_bytes = 0
    _is_in_head = False
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  # uvicorn's own type
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        was_in_head = self._is_in_head
        super().data_received(data)
        if was_in_head and self._is_in_head:  # the parser holds an incomplete head in memory
            self._unfinished_bytes += len(data)
            if self._unfinished_bytes > self.most_head_bytes and not self.transport.is_closing():
                self.send_400_response(self._too_large)

    def on_message_begin(self) -> None:
        self._is_in_head, self._unfinished_bytes = True, 0
        self._wait()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._stop_waiting()
        head_bytes = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if head_bytes > self.most_head_bytes:
            raise HttpParserError(self._too_large)
        super().on_headers_complete()

    @property
    def _too_large(self) -> str:
        return f"The head of a request has at most {self.most_head_bytes:,} bytes."

    def _wait(self) -> None:
        self._stop_waiting()
        self._waiting = self.loop.call_later(self.head_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
