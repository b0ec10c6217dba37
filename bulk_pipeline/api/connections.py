"""Connections as the API's server takes them: a request's head is small and comes soon, or the connection ends.

uvicorn has neither limit with httptools: a head of any size is held in memory, and a connection that says nothing
stays for ever.
"""

import asyncio

from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Connection(HttpToolsProtocol):
    """One connection. The head of a request is its first line and its headers."""

    most_head_bytes = 64 << 10
    head_seconds = 20.0
    """From the beginning of the connection, or of a later request, until the head is complete."""

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
        if was_in_head and self._is_in_head:  # the parser holds what is not complete
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
