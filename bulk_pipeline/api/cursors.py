"""Where the next page of a list of jobs begins: behind the job that was made then and has that id."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from bulk_pipeline.errors import SelectionError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = re.compile(r"([0-9]{1,17})-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


class Job(Protocol):
    """What a list is sorted by."""

    @property
    def id(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...


def next_cursor(found: Sequence[Job], limit: int) -> str | None:
    """Behind the page of the first `limit` that were found; None if these are all."""
    if len(found) <= limit:
        return None
    last = found[limit - 1]
    return f"{(last.created_at - _EPOCH) // timedelta(microseconds=1)}-{last.id}"


def read_cursor(text: str | None) -> tuple[datetime, str] | None:
    """None for the first page. `SelectionError` for a text that no page has given."""
    if not text:
        return None
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise SelectionError(f"cursor {text!r}: use next_cursor of the page before")
    return _EPOCH + timedelta(microseconds=int(found[1])), found[2]
