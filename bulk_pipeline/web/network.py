"""Network access for untrusted URLs: connections to checked addresses only, with a deadline for everything."""

import ssl
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpcore2

from bulk_pipeline.web.public_addresses import addresses_of

_WAIT_SECONDS = 1.0


class CheckedNetwork(httpcore2.NetworkBackend):
    """Resolves a host, checks its addresses, and connects to one of them. The deadline counts from its creation.

    `check` is called before each wait for the server, which lasts at most a second; its exceptions are passed on.
    """

    def __init__(self, *, seconds: float, private_too: bool, check: Callable[[], None]) -> None:
        self._deadline = time.monotonic() + seconds
        self._private_too = private_too
        self._check = check

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect. Raises `RemoteFileError` for a forbidden host, else httpcore2's exceptions."""
        addresses = self._addresses(host, port)
        broken: httpcore2.NetworkError | httpcore2.TimeoutException | None = None
        for tried, address in enumerate(addresses):
            share = seconds_left(self._deadline) / (len(addresses) - tried)
            try:
                stream = httpcore2.SyncBackend().connect_tcp(address, port, share)
            except (httpcore2.NetworkError, httpcore2.TimeoutException) as error:
                broken = error
            else:
                return _TimedStream(stream, self._deadline, self._check)
        raise broken or httpcore2.ConnectError("the host has no address")

    def _addresses(self, host: str, port: int) -> list[str]:
        """Resolve the host in a thread, because the system's resolver has no timeout."""
        resolver = ThreadPoolExecutor(1, thread_name_prefix="resolver")
        answer = resolver.submit(addresses_of, host, port, private_too=self._private_too)
        resolver.shutdown(wait=False)
        while True:
            self._check()
            try:
                return answer.result(min(_WAIT_SECONDS, seconds_left(self._deadline)))
            except TimeoutError:
                seconds_left(self._deadline)


class _TimedStream(httpcore2.NetworkStream):
    """A stream with one deadline. A timeout per read would never expire for a server that sends a byte a second."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float, check: Callable[[], None]) -> None:
        self._stream = stream
        self._deadline = deadline
        self._check = check

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while True:
            self._check()
            try:
                return self._stream.read(max_bytes, min(_WAIT_SECONDS, seconds_left(self._deadline)))
            except httpcore2.ReadTimeout:
                seconds_left(self._deadline)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, seconds_left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, seconds_left(self._deadline))
        return _TimedStream(stream, self._deadline, self._check)

    def get_extra_info(self, info: str) -> Any:  # httpcore2's own type
        return self._stream.get_extra_info(info)


def seconds_left(deadline: float) -> float:
    """Return the seconds until the deadline. Raises `ReadTimeout` after it."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout("the deadline has passed")
    return left
