"""Fetches a file from an untrusted URL, within limits of size and time and never from the internal network.

Each connection, also of a redirect, goes to the checked address, while Host, SNI and certificate have the server's
name. Proxies of the environment are not used, because they would resolve names again.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from tempfile import TemporaryFile
from typing import BinaryIO

import httpcore2
import httpx2

from bulk_pipeline.errors import RemoteFileError
from bulk_pipeline.web.network import CheckedNetwork
from bulk_pipeline.web.sending import PORTS, port_of, sending

_REDIRECTS = (301, 302, 303, 307, 308)
_LONGEST_URL = 8_000
_LONGEST_NAME = 255


@dataclass(frozen=True, kw_only=True)
class FetchLimits:
    """Limits of one fetch, with its redirects. `ports`: allowed ports. `private_too`: allow private addresses."""

    max_bytes: int
    seconds: float
    redirects: int
    ports: frozenset[int] = frozenset(PORTS.values())
    private_too: bool = False


@dataclass(frozen=True)
class RemoteFile:
    """A fetched file, on this machine's disk while it is open. `name`: the last segment of its URL's path."""

    name: str
    content: BinaryIO
    size_bytes: int
    sha256: str


def parse_url(text: str) -> httpx2.URL:
    """Return the URL. Raises `RemoteFileError` unless it is an http(s) URL with a host."""
    if len(text) > _LONGEST_URL:
        raise RemoteFileError(f"file_url has {len(text):,} characters: the limit is {_LONGEST_URL:,}")
    try:
        url = httpx2.URL(text)
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise RemoteFileError("file_url is not a valid URL") from error
    return _checked(url)


@contextmanager
def fetch(
    url: httpx2.URL, limits: FetchLimits, check: Callable[[], None] = lambda: None
) -> Iterator[RemoteFile]:
    """Yield the complete file at `url`. Raises `RemoteFileError` with the reason if it cannot be fetched.

    `check` is called at least once a second during waits for the server, and may raise to end the fetch.
    """
    network = CheckedNetwork(seconds=limits.seconds, private_too=limits.private_too, check=check)
    with (
        TemporaryFile(prefix="bulk-pipeline-fetch-") as file,
        httpcore2.ConnectionPool(network_backend=network) as pool,
    ):
        yield _saved(pool, url, limits, file)


def _saved(
    pool: httpcore2.ConnectionPool, url: httpx2.URL, limits: FetchLimits, file: BinaryIO
) -> RemoteFile:
    place = url
    try:
        for _ in range(limits.redirects + 1):
            _check_port(place, limits)
            with sending(pool, "GET", place, _headers(place)) as response:
                if response.status not in _REDIRECTS:
                    size_bytes, digest = _received(response, place, limits, file)
                    file.seek(0)
                    return RemoteFile(_name(url), file, size_bytes, digest)
                place = _redirected(place, response)
    except httpcore2.TimeoutException as error:
        raise RemoteFileError(
            f"{place.host} took too long: the file must arrive within {limits.seconds:g} seconds"
        ) from error
    except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise RemoteFileError(f"{place.host} cannot be reached, or the connection broke") from error
    raise RemoteFileError(f"file_url is redirected more than {limits.redirects} times")


def _headers(url: httpx2.URL) -> dict[str, str]:
    headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
    if url.userinfo:
        credentials = f"{url.username}:{url.password}".encode()
        headers["Authorization"] = f"Basic {b64encode(credentials).decode()}"
    return headers


def _received(
    response: httpcore2.Response, url: httpx2.URL, limits: FetchLimits, file: BinaryIO
) -> tuple[int, str]:
    """Write the answer to the file. Return its size in bytes and its SHA-256."""
    if response.status != 200:
        raise RemoteFileError(f"{url.host} answers {response.status}, not the file")
    declared = _header(response, b"content-length")
    if declared.isdigit() and len(declared) < 20 and int(declared) > limits.max_bytes:
        raise _too_large(limits)
    size_bytes, digest = 0, sha256()
    for chunk in response.iter_stream():
        size_bytes += len(chunk)
        if size_bytes > limits.max_bytes:
            raise _too_large(limits)
        digest.update(chunk)
        file.write(chunk)
    return size_bytes, digest.hexdigest()


def _redirected(url: httpx2.URL, response: httpcore2.Response) -> httpx2.URL:
    location = _header(response, b"location")
    try:
        target = url.join(location[: _LONGEST_URL + 1].decode("latin-1"))
    except (httpx2.InvalidURL, UnicodeError, ValueError) as error:
        raise RemoteFileError(f"{url.host} redirects to an invalid URL") from error
    if len(location) > _LONGEST_URL:
        raise RemoteFileError(f"{url.host} redirects to a URL of more than {_LONGEST_URL:,} characters")
    return _checked(target)


def _checked(url: httpx2.URL) -> httpx2.URL:
    if url.scheme not in PORTS or not url.host:
        raise RemoteFileError("file_url must be an http:// or https:// URL with a host, also after redirects")
    if not url.raw_host.isascii() or not 0 < port_of(url) <= 65535:
        raise RemoteFileError("file_url is not a valid URL")
    return url


def _check_port(url: httpx2.URL, limits: FetchLimits) -> None:
    if port_of(url) not in limits.ports:
        allowed = ", ".join(map(str, sorted(limits.ports)))
        raise RemoteFileError(f"file_url leads to port {port_of(url)}: the allowed ports are {allowed}")


def _header(response: httpcore2.Response, name: bytes) -> bytes:
    return next((value for key, value in response.headers if key.lower() == name), b"")


def _name(url: httpx2.URL) -> str:
    name = PurePosixPath(url.path).name.replace("\0", "")
    return name.encode("utf-8", "replace").decode()[-_LONGEST_NAME:] or "upload"


def _too_large(limits: FetchLimits) -> RemoteFileError:
    return RemoteFileError(f"the file is larger than {limits.max_bytes:,} bytes")
