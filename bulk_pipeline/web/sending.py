"""Sends one request over a pool of checked connections, with the server's name in Host."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpcore2
import httpx2

import bulk_pipeline

PORTS = {"http": 80, "https": 443}
"""The schemes of URLs that are opened, with their usual ports."""


def port_of(url: httpx2.URL) -> int:
    """Return the URL's port, or else that of its scheme."""
    return PORTS[url.scheme] if url.port is None else url.port


@contextmanager
def sending(
    pool: httpcore2.ConnectionPool,
    method: str,
    url: httpx2.URL,
    headers: Mapping[str, str],
    content: bytes | None = None,
) -> Iterator[httpcore2.Response]:
    """Send a request, and yield its answer, whose body is read inside the block. Raises what httpcore2 raises."""
    target = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=port_of(url), target=url.raw_path)
    common = {
        "Host": url.netloc.decode(),
        "User-Agent": f"bulk_pipeline/{bulk_pipeline.__version__}",
        "Connection": "close",
    }
    with pool.stream(method, target, headers={**common, **headers}, content=content) as response:
        yield response
