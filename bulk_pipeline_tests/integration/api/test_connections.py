"""Connections that cost more than a request should: large heads, slow heads, and none at all."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from bulk_pipeline.api.connections import Connection

GET = b"GET /live HTTP/1.1\r\nHost: localhost\r\n"


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    host, _, port = url.rpartition("/")[2].partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        yield connection


def rest(connection: socket.socket) -> bytes:
    """Return all bytes until the server closes the connection."""
    received = bytearray()
    try:
        while piece := connection.recv(65_536):
            received += piece
    except ConnectionResetError:
        pass  # it had not read all of what was sent
    return bytes(received)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "head_seconds", 0.3)


@pytest.mark.parametrize(
    "head",
    [
        GET + b"X: " + b"x" * 70_000 + b"\r\n\r\n",
        GET + b"".join(b"X-%d: x\r\n" % number for number in range(10_000)) + b"\r\n",
        b"GET /live?" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=["a header", "headers", "a path"],
)
def test_a_head_of_more_than_64_kilobytes_is_refused(api_url: str, head: bytes) -> None:
    with connected(api_url) as client:
        client.sendall(head)
        assert rest(client).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("beginning", [GET + b"X: ", b"GET /", GET])
def test_a_head_without_end_is_refused_and_not_held(api_url: str, beginning: bytes) -> None:
    with connected(api_url) as client:
        sent = 0
        try:
            client.sendall(beginning)
            while sent < 50_000_000:
                sent += client.send(b"X: y\r\n" * 5_000 if beginning == GET else b"x" * 30_000)
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert sent < 10_000_000  # what the buffers of both ends hold


def test_a_head_of_usual_size_is_taken(api_url: str) -> None:
    for size in (10, 60_000):
        assert httpx2.get(f"{api_url}/live", headers={"X": "x" * size}).status_code == 200


def test_a_large_body_is_no_large_head(api_url: str) -> None:
    with httpx2.Client() as client:
        for _ in range(3):
            assert client.post(f"{api_url}/auth/token", content=b" " * 500_000).status_code == 413


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("begun", [b"", b"G", GET])
def test_a_connection_that_says_nothing_more_ends(api_url: str, begun: bytes) -> None:
    with connected(api_url) as client:
        client.sendall(begun)
        assert rest(client) == b""


@pytest.mark.usefixtures("impatient")
def test_a_later_request_on_a_connection_has_its_own_time(api_url: str) -> None:
    with connected(api_url) as client:
        for _ in range(2):
            client.sendall(GET + b"\r\n")
            assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
        client.sendall(GET)
        assert rest(client) == b""
