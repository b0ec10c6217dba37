"""What the object store says of its objects."""

from dataclasses import dataclass
from datetime import datetime

BEHIND_FOLDER = "\U0010ffff"
"""Behind the name of a folder, sorts behind every key in it that people use."""


@dataclass(frozen=True)
class FoundObject:
    """An object as a listing shows it. `etag` is without quotes."""

    bucket: str
    key: str
    etag: str
    size_bytes: int
    last_modified: datetime


@dataclass(frozen=True)
class ObjectHead:
    """What the store knows of one object. `last_modified` is in whole seconds, unlike in a listing."""

    etag: str
    size_bytes: int
    last_modified: datetime
    metadata: dict[str, str]
    content_type: str = ""


@dataclass(frozen=True)
class Page:
    """Part of a listing. `next_after`: where to go on; None at the end.

    `listed_at`: by the store's own clock; every object that had arrived by then was listed. `folders`: names that end
    with a slash, in a listing that gives these instead of what lies in them.
    """

    found: tuple[FoundObject, ...]
    next_after: str | None
    listed_at: datetime
    folders: tuple[str, ...] = ()
