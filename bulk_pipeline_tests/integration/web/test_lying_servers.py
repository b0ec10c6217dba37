"""Servers that lie about their answers, or never end them: a fetch stops at its deadline or size, in little memory.

They run on this machine, so the check for private addresses is switched off here.
"""

import gzip
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count, repeat

import pytest

from bulk_pipeline.errors import RemoteFileError
from bulk_pipeline.web.fetch import FetchLimits, RemoteFile, fetch, parse_url

OK = b"HTTP/1.1 200 OK\r\n"
CSV = b"email\na@example.com\n"
MOST_BYTES = 1_000_000
MOST_MEMORY = 8_000_000
"""Memory of a fetch limited to a megabyte from servers that send endlessly."""


@contextmanager
def sending(pieces: Callable[[], Iterator[bytes]]) -> Iterator[int]:
    """Yield the port of a server that sends these bytes to every client, then closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):  # the client has gone, or the test is over
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        connection.settimeout(30)
                        connection.recv(65_536)
                        for piece in pieces():
                            connection.sendall(piece)

        server = threading.Thread(target=serve, name="server")
        server.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join()


def get(port: int, *, scheme: str = "http", seconds: float = 20) -> tuple[RemoteFile, bytes]:
    limits = FetchLimits(
        max_bytes=MOST_BYTES, seconds=seconds, redirects=3, ports=frozenset({port}), private_too=True
    )
    with fetch(parse_url(f"{scheme}://127.0.0.1:{port}/users.csv"), limits) as result:
        return result, result.content.read()


ENDLESS = {
    "a header line": lambda: _begun(OK + b"X: ", repeat(b"x" * 4096)),
    "header lines": lambda: _begun(OK, (b"X-%d: x\r\n" % number for number in count())),
    "announcements": lambda: repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "a status line": lambda: repeat(b"H" * 4096),
    "a body without a length": lambda: _begun(OK + b"\r\n", repeat(b"x" * 65_536)),
    "chunks": lambda: _begun(OK + b"Transfer-Encoding: chunked\r\n\r\n", repeat(b"1\r\nx\r\n" * 1000)),
    "the size of a chunk": lambda: _begun(OK + b"Transfer-Encoding: chunked\r\n\r\n", repeat(b"0" * 4096)),
    "a chunk's extension": lambda: _begun(
        OK + b"Transfer-Encoding: chunked\r\n\r\n1;", repeat(b"x" * 4096)
    ),
    "trailers": lambda: _begun(
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", (b"X-%d: x\r\n" % number for number in count())
    ),
    "a redirect's headers": lambda: _begun(b"HTTP/1.1 302 Found\r\nLocation: /", repeat(b"x" * 4096)),
}  # fmt: skip


def _begun(beginning: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield beginning
    yield from rest


@pytest.mark.parametrize("what", ENDLESS)
def test_an_endless_answer_is_aborted_and_not_held_in_memory(what: str) -> None:
    with sending(ENDLESS[what]) as port:
        tracemalloc.start()
        try:
            with pytest.raises(
                RemoteFileError, match=r"the connection broke|larger than 1,000,000 bytes|took too long"
            ):
                get(port, seconds=2)
            assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: -1\r\n",
        b"Content-Length: 1e9\r\n",
        b"Content-Length: 21\r\nContent-Length: 22\r\n",
        b"Content-Length: 22\r\n",
        b"Content-Length: 9999999999999999999999\r\n",
        b"Content-Length: 2000000\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked\r\n",
    ],
)
def test_a_length_that_is_wrong_or_does_not_come_is_no_file(headers: bytes) -> None:
    with (
        sending(lambda: iter([OK + headers + b"\r\n", CSV])) as port,
        pytest.raises(RemoteFileError, match=r"the connection broke|larger than 1,000,000 bytes"),
    ):
        get(port)


def test_no_more_is_taken_than_the_length_that_was_declared() -> None:
    with sending(lambda: iter([OK + b"Content-Length: 6\r\n\r\n", CSV])) as port:
        assert get(port)[1] == CSV[:6]


@pytest.mark.parametrize("encoding", [b"gzip", b"br", b"deflate, gzip, gzip", b"identity"])
def test_an_encoding_of_the_content_is_never_removed(encoding: bytes) -> None:
    """We accept no encoding; a body that is packed nevertheless is a packed file, which the parser limits."""
    bomb = gzip.compress(bytes(50_000_000))
    headers = OK + b"Content-Encoding: " + encoding + b"\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    with sending(lambda: iter([headers, bomb])) as port:
        result, content = get(port)
    assert (result.size_bytes, content) == (len(bomb), bomb)


@pytest.mark.parametrize("charset", [b"utf-16", b"idna", b"unicode_escape", b"\xff" * 1000])
def test_the_content_type_of_a_server_changes_nothing(charset: bytes) -> None:
    headers = OK + b"Content-Type: text/csv; charset=" + charset + b"\r\n\r\n"
    with sending(lambda: iter([headers, CSV])) as port:
        assert get(port)[1] == CSV


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_says_nothing_is_given_up(scheme: str) -> None:
    over = threading.Event()

    def silence() -> Iterator[bytes]:
        over.wait(30)
        return iter(())

    with sending(silence) as port:
        with pytest.raises(RemoteFileError, match=r"took too long: the file must arrive within 0\.3 seconds"):
            get(port, scheme=scheme, seconds=0.3)
        over.set()


@pytest.mark.parametrize(
    "location", [b"/" + b"a" * 20_000, b"http://[", b"http://a:0/", b"//", b"file:///x", b""]
)
def test_a_redirect_to_an_invalid_address_is_refused(location: bytes) -> None:
    headers = b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"
    with sending(lambda: iter([headers])) as port, pytest.raises(RemoteFileError):
        get(port)


def test_a_slow_lookup_of_a_name_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    over, seen = threading.Event(), list[object]()

    def look_up(*args: object, **_: object) -> None:
        seen.append(args[0])
        over.wait(30)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    limits = FetchLimits(max_bytes=MOST_BYTES, seconds=0.3, redirects=0)
    with (
        pytest.raises(RemoteFileError, match=r"took too long: the file must arrive within 0\.3 seconds"),
        fetch(parse_url("http://slow.example/users.csv"), limits),
    ):
        pass
    assert (seen, over.is_set()) == (["slow.example"], False)
    over.set()
