"""Cursors of lists of jobs. A page begins behind the job with the cursor's creation time and id."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from bulk_pipeline.errors import SelectionError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = re.compile(r"([0-9]{1,17})-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


class Job(Protocol):
    """The attributes that a list is sorted by."""

    @property
    def id(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...


def next_cursor(jobs: Sequence[Job], limit: int) -> str | None:
    """Return the cursor behind the first `limit` jobs; None if there are no more."""
    if len(jobs) <= limit:
        return None
    last = jobs[limit - 1]
    return f"{(last.created_at - _EPOCH) // timedelta(microseconds=1)}-{last.id}"


def read_cursor(text: str | None) -> tuple[datetime, str] | None:
    """Return the creation time and id; None for the first page. Raises `SelectionError` for an invalid cursor."""
    if not text:
        return None
    cursor = _CURSOR.fullmatch(text)
    if cursor is None:
        raise SelectionError(f"cursor {text!r} is not valid: use next_cursor of the previous page")
    return _EPOCH + timedelta(microseconds=int(cursor[1])), cursor[2]
