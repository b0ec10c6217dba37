"""The data that the object store returns about objects."""

from dataclasses import dataclass
from datetime import datetime

BEHIND_FOLDER = "\U0010ffff"
"""A suffix that makes a folder's name sort after every usual key in the folder."""


@dataclass(frozen=True)
class ListedObject:
    """An object in a listing. `etag` is without quotes."""

    bucket: str
    key: str
    etag: str
    size_bytes: int
    last_modified: datetime


@dataclass(frozen=True)
class ObjectHead:
    """The answer to HEAD. `last_modified` has whole seconds, unlike in a listing."""

    etag: str
    size_bytes: int
    last_modified: datetime
    metadata: dict[str, str]
    content_type: str = ""


@dataclass(frozen=True)
class Page:
    """Part of a listing. `next_after` is the argument `after` of the next page, None at the end.

    `listed_at` is by the store's clock; every object that had arrived by then is listed. `folders` has names that end
    with a slash, in a listing by folder.
    """

    objects: tuple[ListedObject, ...]
    next_after: str | None
    listed_at: datetime
    folders: tuple[str, ...] = ()
