"""Accepts files for /api/v1: a file that was sent, or fetched from its URL, goes to the receiver as an upload."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO

from anyio import from_thread
from fastapi import HTTPException

from bulk_pipeline.api.import_requests import ImportOptions, RemoteAddress, with_format
from bulk_pipeline.api.request_parts import refuse_unreadable
from bulk_pipeline.ledger.accounts import Account
from bulk_pipeline.ledger.uploads import Upload
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.settings import Settings
from bulk_pipeline.web.fetch import FetchLimits, RemoteFile, fetch

FETCH_SLOTS = threading.BoundedSemaphore(8)
"""Each fetch holds a thread of the server; the other threads remain for other requests."""


@dataclass(frozen=True)
class Sender:
    """The account that sends a file, and the stores that take it."""

    stores: Stores
    account: Account | None
    request_id: str

    @property
    def account_id(self) -> str | None:
        return self.account.id if self.account else None

    @property
    def scope(self) -> str:
        """The namespace of the sender's idempotency keys."""
        return f"api {self.account.id}" if self.account else "api"


def receive(
    sender: Sender, options: ImportOptions, name: str, content: BinaryIO, size_bytes: int, sha256: str
) -> str:
    """Store the file. Return the id of its job, which for a repeated request is the first one's."""
    refuse_unreadable(content, size_bytes, name, options.table, options.format)
    upload = Upload(
        table=options.table,
        mode=options.mode,
        name=name,
        content=content,
        size_bytes=size_bytes,
        sha256=sha256,
        scope=sender.scope,
        owner_id=sender.account_id,
        idempotency_key=options.key,
        format=options.format,
        request_id=sender.request_id,
    )
    return sender.stores.receiver.receive(upload).job.id


@contextmanager
def fetched(remote: RemoteAddress, settings: Settings) -> Iterator[RemoteFile]:
    """Yield the file at the URL. `HTTPException` 503 during too many other fetches.

    Call it in a thread of the server: the fetch ends when the client disconnects.
    """
    with _slot(), fetch(remote.url, _limits(settings), from_thread.check_cancelled) as file:
        yield replace(file, name=with_format(file.name, remote.format))


@contextmanager
def _slot() -> Iterator[None]:
    if not FETCH_SLOTS.acquire(blocking=False):
        raise HTTPException(
            503, "too many files are being fetched: try again in a moment", {"Retry-After": "5"}
        )
    try:
        yield
    finally:
        FETCH_SLOTS.release()


def _limits(settings: Settings) -> FetchLimits:
    return FetchLimits(
        max_bytes=settings.api_fetch_max_bytes,
        seconds=settings.api_fetch_seconds,
        redirects=settings.api_fetch_redirects,
        ports=settings.fetch_ports,
        private_too=settings.api_fetch_private,
    )
