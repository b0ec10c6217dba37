"""Takes files in for /api/v1: what was sent, or fetched from where it lies, goes to the receiver as an upload."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO

from anyio import from_thread
from fastapi import HTTPException

from bulk_pipeline.api.import_requests import Asked, RemoteAddress, named
from bulk_pipeline.api.uploads import refuse_what_is_no_table
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.settings import Settings
from bulk_pipeline.stores.receiver import Upload
from bulk_pipeline.stores.remote_files import FetchLimits, RemoteFile, fetch

_FETCHES = threading.BoundedSemaphore(8)
"""Each holds a thread of the server for as long as it takes: what is left answers everybody else."""


@dataclass(frozen=True)
class Sender:
    """Who sends a file, and where to."""

    stores: Stores
    account_id: str | None
    request_id: str


def receive(sender: Sender, asked: Asked, name: str, content: BinaryIO, size_bytes: int, sha256: str) -> str:
    """The id of the job that imports the file: a new one, or that of the same request before."""
    refuse_what_is_no_table(content, size_bytes, name, asked.table, asked.format)
    upload = Upload(
        table=asked.table,
        mode=asked.mode,
        name=name,
        content=content,
        size_bytes=size_bytes,
        sha256=sha256,
        scope=f"api {sender.account_id}" if sender.account_id else "api",
        owner_id=sender.account_id,
        idempotency_key=asked.key,
        format=asked.format,
        request_id=sender.request_id,
    )
    return sender.stores.receiver.receive(upload).job.id


@contextmanager
def fetched(remote: RemoteAddress, settings: Settings) -> Iterator[RemoteFile]:
    """A file from its URL, as long as the block lasts. 503 while too many others are on their way. For a thread of the
    server: it ends when the client leaves."""
    with _slot(), fetch(remote.url, _limits(settings), from_thread.check_cancelled) as found:
        yield replace(found, name=named(found.name, remote.format))


@contextmanager
def _slot() -> Iterator[None]:
    if not _FETCHES.acquire(blocking=False):
        raise HTTPException(
            503, "too many files are being fetched: try again in a moment", {"Retry-After": "5"}
        )
    try:
        yield
    finally:
        _FETCHES.release()


def _limits(settings: Settings) -> FetchLimits:
    return FetchLimits(
        max_bytes=settings.api_fetch_max_bytes,
        seconds=settings.api_fetch_seconds,
        redirects=settings.api_fetch_redirects,
        ports=settings.fetch_ports,
        private_too=settings.api_fetch_private,
    )
