"""A bad network: a TCP proxy that refuses, cuts, holds or delays connections, answers in place of an S3 server, and
loses COMMITs."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

_VERBS = (b"GET ", b"PUT ", b"POST ", b"HEAD ", b"DELETE ")
_HEADERS_END = b"\r\n\r\n"
_COMMIT = b"COMMIT\0"
_PRODUCT = b"application_name\0bulk-pipeline"
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Weather:
    """The present behaviour of the network; by default it forwards.

    `status`: the HTTP status with which it answers every request itself. `is_cutting_bodies`: answers end in the
    midst of their bodies. `is_losing_commits`: of the product's own sessions.
    """

    is_refusing: bool = False
    is_holding: bool = False
    delay_seconds: float = 0
    status: int | None = None
    is_cutting_bodies: bool = False
    is_losing_commits: bool = False


class Proxy:
    """Listens on its own port for `server`. `hits`: number of connections that the weather has affected."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.hits = 0
        self.weather = Weather()
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]

    @contextmanager
    def changed(self, **weather: object) -> Iterator[None]:
        """Change the weather during the block."""
        self.weather = replace(Weather(), **weather)  # pyright: ignore[reportArgumentType]  # fields by name
        try:
            yield
        finally:
            self.weather = Weather()

    def cut(self) -> None:
        """Close all connections."""
        for one in list(self._open):
            self.hits += 1
            self._end(one)

    def close(self) -> None:
        _end(self._listener)
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        if self.weather.is_refusing:
            self.hits += 1
            _end(client)
            return
        try:
            server = socket.create_connection(self._server, timeout=10)
        except OSError:
            _end(client)
            return
        server.settimeout(None)
        self._open |= {client, server}
        threading.Thread(target=self._to_client, args=(client, server), daemon=True).start()
        self._to_server(client, server)

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        is_product = False
        with suppress(OSError):
            while sent := client.recv(65_536):
                self._wait()
                is_product = is_product or _PRODUCT in sent[:1000]
                if self.weather.status is not None and sent.startswith(_VERBS):
                    self.hits += 1
                    _answer(client, sent, self.weather.status)
                    break
                if self.weather.is_losing_commits and is_product and _COMMIT in sent:
                    self.hits += 1
                    self._end(client)  # the server's answer is lost
                server.sendall(sent)
        self._end(server)

    def _to_client(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while answer := server.recv(65_536):
                self._wait()
                if self.weather.is_cutting_bodies and (part := _without_end(answer)) is not None:
                    self.hits += 1
                    client.sendall(part)
                    break
                client.sendall(answer)
        self._end(client)

    def _wait(self) -> None:
        if self.weather.delay_seconds:
            self.hits += 1
            time.sleep(self.weather.delay_seconds)
        if self.weather.is_holding:
            self.hits += 1
        while self.weather.is_holding:
            time.sleep(_POLL_SECONDS)

    def _end(self, one: socket.socket) -> None:
        self._open.discard(one)
        _end(one)


def _answer(client: socket.socket, request: bytes, status: int) -> None:
    """Refuse a request, and read the rest of it, so that a reset does not lose the answer."""
    body = b"<Error><Code>%s</Code></Error>" % (b"SlowDown" if status == 503 else b"InternalError")
    head = b"HTTP/1.1 %d Out of order\r\nContent-Type: application/xml\r\nContent-Length: %d\r\nConnection: close"
    is_head = request.startswith(b"HEAD ")
    client.sendall(head % (status, len(body)) + _HEADERS_END + (b"" if is_head else body))
    client.shutdown(socket.SHUT_WR)
    client.settimeout(2)
    while client.recv(65_536):
        pass


def _without_end(answer: bytes) -> bytes | None:
    """Return half of the body in this piece of an answer; None if it has no body."""
    start = answer.find(_HEADERS_END) + len(_HEADERS_END) if answer.startswith(b"HTTP/") else 0
    body = len(answer) - start
    return answer[: start + body // 2] if body else None


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
