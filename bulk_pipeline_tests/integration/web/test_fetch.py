"""Files from untrusted URLs, served by a small server on this machine that the tests allow under one name."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from bulk_pipeline.errors import RemoteFileError
from bulk_pipeline.web import public_addresses
from bulk_pipeline.web.fetch import FetchLimits, RemoteFile, fetch, parse_url

CSV = b"email,name\na@example.com,Ann\n"
HOST = "files.example"
"""A name that resolves to this machine, as if that were a public address."""


class Strange(BaseHTTPRequestHandler):
    """A server whose answers depend on the path; `asked` has the requests."""

    asked: ClassVar[list[dict[str, str]]] = []

    def do_GET(self) -> None:
        self.asked.append({"path": self.path} | dict(self.headers.items()))
        path, _, query = self.path.partition("?")
        with suppress(OSError):  # the client has gone
            getattr(self, path.strip("/").partition("/")[0].partition(".")[0])(query)

    def users(self, _: str) -> None:
        self.give(CSV, Content_Length=str(len(CSV)))

    def chunked(self, _: str) -> None:
        self.give(b"5\r\nemail\r\n3\r\n,na\r\n0\r\n\r\n", Transfer_Encoding="chunked")

    def to(self, query: str) -> None:
        self.give(b"", 302, Location=query)

    def round(self, _: str) -> None:
        self.give(b"", 307, Location="/round")

    def declared(self, _: str) -> None:
        self.give(b"x", Content_Length="100000000")

    def endless(self, _: str) -> None:
        self.give(b"")
        while True:
            self.wfile.write(b"x" * 65_536)

    def slow(self, _: str) -> None:
        self.give(b"", Content_Length="1000")
        self.drip()

    def slowhead(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        self.drip()

    def short(self, _: str) -> None:
        self.give(b"half", Content_Length="8")

    def missing(self, _: str) -> None:
        self.give(b"no", 404)

    def odd(self, _: str) -> None:
        self.wfile.write(b"\x00\x01 I do not speak HTTP\r\n\r\n")

    def drip(self) -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            self.wfile.write(b"x")
            time.sleep(0.05)

    def give(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    Strange.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Strange)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Resolve HOST to 127.0.0.1 as a public address, and `private.example` to 127.0.0.2; yield the lookups."""
    real, real_check, seen = socket.getaddrinfo, public_addresses.is_public, list[str]()
    known = {HOST: "127.0.0.1", "private.example": "127.0.0.2"}

    def look_up(host: str, *args: Any, **more: Any) -> Any:
        seen.append(host)
        return real(known.get(host, host), *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(public_addresses, "is_public", lambda text: text == "127.0.0.1" or real_check(text))
    return seen


def get(url: str, **limits: Any) -> tuple[RemoteFile, bytes]:
    given: dict[str, Any] = {"max_bytes": 1_000_000, "seconds": 10, "redirects": 3} | limits
    asked = parse_url(url)
    given.setdefault("ports", frozenset({asked.port or 80}))
    with fetch(asked, FetchLimits(**given)) as result:
        return result, result.content.read()


@pytest.mark.usefixtures("lookups")
def test_a_file_comes_whole_with_its_name_and_checksum(port: int) -> None:
    result, content = get(f"http://{HOST}:{port}/users.csv?x=1")
    assert (result.name, result.size_bytes, content) == ("users.csv", len(CSV), CSV)
    assert result.sha256 == "dab8862018925004b38beb1f566e4cb43740c743d5a1605e407af7a705c38995"
    assert get(f"http://{HOST}:{port}/chunked")[1] == b"email,na"


def test_the_request_goes_to_the_checked_address_with_the_servers_name(port: int, lookups: list[str]) -> None:
    get(f"http://{HOST}:{port}/users.csv")
    assert (Strange.asked[0]["Host"], Strange.asked[0]["path"]) == (f"{HOST}:{port}", "/users.csv")
    assert lookups == [HOST, "127.0.0.1"]


def test_a_later_lookup_with_another_address_makes_no_difference(
    port: int, lookups: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, answers = socket.getaddrinfo, list[str]()

    def rebinding(host: str, *args: Any, **more: Any) -> Any:
        if host == HOST:
            answers.append(host)
            host = HOST if len(answers) == 1 else "private.example"
        return first(host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    assert get(f"http://{HOST}:{port}/users.csv")[1] == CSV
    assert answers == [HOST]
    with pytest.raises(RemoteFileError, match="not on the public internet"):
        get(f"http://{HOST}:{port}/users.csv")


@pytest.mark.usefixtures("lookups")
@pytest.mark.parametrize(
    "target",
    [
        "http://private.example:{}/users.csv",
        "//127.0.0.2:{}/users.csv",
        "http://[::1]:{}/",
        "http://0x7f000002:{}/",
    ],
)
def test_a_redirect_to_a_private_address_is_refused_before_a_request(port: int, target: str) -> None:
    with pytest.raises(RemoteFileError, match="not on the public internet"):
        get(f"http://{HOST}:{port}/to?{target.format(port)}")
    assert len(Strange.asked) == 1


@pytest.mark.usefixtures("lookups")
@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://files.example/a", "gopher://x", "http://", ""]
)
def test_a_redirect_to_anything_but_the_web_is_refused(port: int, target: str) -> None:
    with pytest.raises(RemoteFileError):
        get(f"http://{HOST}:{port}/to?{target}")


@pytest.mark.usefixtures("lookups")
def test_only_allowed_ports_are_connected_to_also_after_a_redirect(port: int) -> None:
    with pytest.raises(RemoteFileError, match=f"leads to port {port}: the allowed ports are 80, 443"):
        get(f"http://{HOST}:{port}/users.csv", ports=frozenset({80, 443}))
    assert Strange.asked == []
    for target, refused in (
        (f"http://{HOST}/users.csv", "port 80"),
        (f"http://{HOST}:0/", "not a valid URL"),
    ):
        with pytest.raises(RemoteFileError, match=refused):
            get(f"http://{HOST}:{port}/to?{target}")


@pytest.mark.usefixtures("lookups")
def test_redirects_are_followed_so_often(port: int) -> None:
    assert get(f"http://{HOST}:{port}/to?/to?/users.csv")[1] == CSV
    with pytest.raises(RemoteFileError, match="redirected more than 3 times"):
        get(f"http://{HOST}:{port}/round")
    assert len(Strange.asked) == 3 + 4
    with pytest.raises(RemoteFileError, match="redirected more than 0 times"):
        get(f"http://{HOST}:{port}/to?/users.csv", redirects=0)


@pytest.mark.usefixtures("lookups")
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("declared", "larger than 1,000,000 bytes"),
        ("endless", "larger than 1,000,000 bytes"),
        ("short", "the connection broke"),
        ("odd", "the connection broke"),
        ("missing", "answers 404"),
    ],
)
def test_an_incomplete_or_too_large_file_is_refused(port: int, path: str, message: str) -> None:
    with pytest.raises(RemoteFileError, match=message):
        get(f"http://{HOST}:{port}/{path}")


@pytest.mark.usefixtures("lookups")
@pytest.mark.parametrize("path", ["slow", "slowhead"])
def test_a_byte_now_and_then_does_not_keep_a_fetch_alive(port: int, path: str) -> None:
    with pytest.raises(RemoteFileError, match=r"took too long: the file must arrive within 0\.3 seconds"):
        get(f"http://{HOST}:{port}/{path}", seconds=0.3)


@pytest.mark.usefixtures("lookups")
def test_proxies_of_the_environment_are_not_used(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert get(f"http://{HOST}:{port}/users.csv")[1] == CSV


@pytest.mark.usefixtures("lookups")
def test_a_password_in_the_url_is_used_there_and_shown_nowhere(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    get(f"http://ann:secret@{HOST}:{port}/users.csv")
    assert Strange.asked[0]["Authorization"] == "Basic YW5uOnNlY3JldA=="
    with pytest.raises(RemoteFileError) as refused:
        get(f"http://ann:secret@{HOST}:{port}/missing?token=secret")
    assert "secret" not in str(refused.value)
    assert "secret" not in caplog.text
    get(f"http://ann:secret@{HOST}:{port}/to?http://127.0.0.1:{port}/users.csv")
    assert "Authorization" not in Strange.asked[-1]


@pytest.mark.parametrize(
    "url",
    ["", "users.csv", "/etc/passwd", "file:///etc/passwd", "ftp://a.example/x", "http://", "http:///x", "http://a:99999999/", "http://a:0/",
     "http://[::1/", "http://a b/", "http://\0/", "javascript:1", "http://a.example/" + "x" * 8_000],
)  # fmt: skip
def test_an_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(RemoteFileError):
        get(url)


def test_a_missing_server_is_reported() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with pytest.raises(RemoteFileError, match="cannot be reached"):
            get(url, private_too=True)
