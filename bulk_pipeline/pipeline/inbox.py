"""Reads the inbox page by page, with fair turns for all folders, within a time limit, and remembers its position.

There is no cursor by modification time, which would lose files: each pass through a table's folder sees all files in
it. A folder is listed once and remembered, since a listing costs time in proportion to the folder, however few files
are needed. Files of a listing are returned in order of arrival, so that the first can be imported while others are
still being claimed. A folder too full for one listing is read in parts, in order of keys; files that arrive after the
beginning of the pass are left to the next one, so that every pass ends.

Junk files (`stages.junk_files`) are counted and otherwise ignored.
"""

import json
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Protocol

from bulk_pipeline.s3.listing import BEHIND_FOLDER, ListedObject, Page
from bulk_pipeline.stages.junk_files import is_junk

_INSTANT = timedelta(microseconds=1)


class Listing(Protocol):
    """The part of the object store that the inbox needs."""

    def page(
        self, bucket: str, prefix: str = "", *, after: str = "", limit: int = 1000, by_folder: bool = False
    ) -> Page: ...


@dataclass(frozen=True)
class Place:
    """The position of a pass: the key after which it continues, and when it began."""

    after: str
    started_at: datetime


@dataclass(frozen=True)
class InboxListing:
    """A listing of a folder, in order of arrival, without the files that have been claimed since.

    `started_at` is the beginning of the pass, or the time of this listing if it begins one. `next_after` is the key
    after which the pass continues, None at the end of the folder. `is_whole`: the listing has the whole folder.
    """

    pending: deque[ListedObject]
    started_at: datetime
    next_after: str | None
    is_whole: bool


@dataclass
class Junk:
    """The number of junk files in a folder, and the key of one of them."""

    count: int = 0
    first: str | None = None


Memory = dict[str, InboxListing]
"""Listings by folder. If the memory is lost, the folders are listed again."""


@dataclass
class Inbox:
    """The bucket for uploads, with a folder for each table; other objects may be there too.

    `complete_through`: a time of the store's clock by table; all files that had arrived by then are claimed.
    `junk`: the junk files of each folder in its last pass.
    `page_size`: the number of files that are claimed together. `listed`: the most files of one listing, which is
    requested in pages of `at_once`.
    """

    objects: Listing
    bucket: str
    tables: Sequence[str]
    memory: Memory = field(default_factory=dict)
    page_size: int = 100
    listed: int = 10_000
    at_once: int = 1000
    complete_through: dict[str, datetime] = field(default_factory=dict)
    junk: dict[str, Junk] = field(default_factory=dict)
    _places: dict[str, Place] = field(default_factory=dict)
    _turn: str | None = None

    def resume(self, cursor: str | None) -> "Inbox":
        """Continue at the position of `cursor`, or from the beginning without one."""
        seen = json.loads(cursor) if cursor else {}
        self._turn = seen.get("turn")
        self.complete_through = {name: _time(text) for name, text in seen.get("complete_through", {}).items()}
        self._places = {
            folder: Place(after, _time(text)) for folder, (after, text) in seen.get("places", {}).items()
        }
        return self

    @property
    def is_walked(self) -> bool:
        """True if the last walk reached every folder; otherwise the next one continues it."""
        return self._turn is None

    @property
    def backlog(self) -> set[str]:
        """The tables whose folders are known to have files, or may have more."""
        return {folder.removesuffix("/") for folder in (*self.memory, *self._places)} - {""}

    def holds_more_than(self, count: int) -> bool:
        """Return True if more than `count` files of tables are listed, or if a folder could not be listed in time."""
        listings = self.memory.values()
        if self._places.keys() - {""} or any(listing.next_after is not None for listing in listings):
            return True
        return sum(len(listing.pending) for listing in listings) > count

    @property
    def cursor(self) -> str:
        """The position of the walk, as short JSON."""
        places = {
            folder: (place.after, place.started_at.isoformat()) for folder, place in self._places.items()
        }
        complete = {name: time.isoformat() for name, time in self.complete_through.items()}
        return json.dumps({"turn": self._turn, "complete_through": complete, "places": places})

    def pages(self, is_over: Callable[[], bool]) -> Iterator[tuple[ListedObject, ...]]:
        """Yield pages of objects to claim, from one folder after the other, until all are read or `is_over`.

        A page counts as claimed when the next one is requested; after an error, or at the end of the time, it comes
        again. At least one page is read, so that even a short time makes progress.
        """
        if not self.memory and self._is_empty():
            return
        folders = self._folders()
        while folders:
            folder = folders.pop(0)
            self._turn = folder
            is_more = yield from self._of_table(folder, is_over) if folder else self._of_none()
            if is_more:
                folders.append(folder)
            if is_over():
                return
        self._turn = None

    def _is_empty(self) -> bool:
        """Return True if the whole bucket is empty, by one request; an idle stack would otherwise list each folder."""
        page = self.objects.page(self.bucket, limit=1)
        if page.objects:
            return False
        self.junk.clear()
        self._places.clear()
        self._turn = None
        self.complete_through = dict.fromkeys(self.tables, page.listed_at)
        return True

    def _folders(self) -> list[str]:
        """Return every folder once, first those the last walk did not reach; "" is for objects without a table."""
        folders = [*(f"{table}/" for table in self.tables), ""]
        start = folders.index(self._turn) + 1 if self._turn in folders else 0
        return folders[start:] + folders[:start]

    def _of_table(
        self, folder: str, is_over: Callable[[], bool]
    ) -> Generator[tuple[ListedObject, ...], None, bool]:
        """Yield a page of a table's folder; return, once it is claimed, True if there is more."""
        listing = self.memory.get(folder) or self._listed(folder, is_over)
        self.memory[folder] = listing
        page = tuple(islice(listing.pending, self.page_size))
        if page:
            yield page
        return self._claimed(folder, listing, page)

    def _listed(self, folder: str, is_over: Callable[[], bool]) -> InboxListing:
        place = self._places.get(folder)
        if place is None:
            self.junk.pop(folder, None)
        page = self.objects.page(self.bucket, folder, after=place.after if place else "", limit=self.at_once)
        started_at, uploads = place.started_at if place else page.listed_at, self._uploads(folder, page)
        while page.next_after is not None and len(uploads) < self.listed and not is_over():
            page = self.objects.page(self.bucket, folder, after=page.next_after, limit=self.at_once)
            uploads += self._uploads(folder, page)
        is_whole = place is None and page.next_after is None
        if not is_whole:
            uploads = [entry for entry in uploads if entry.last_modified <= started_at]
        uploads.sort(key=lambda entry: (entry.last_modified, entry.key))
        return InboxListing(deque(uploads), started_at, page.next_after, is_whole)

    def _uploads(self, folder: str, page: Page) -> list[ListedObject]:
        """Return the objects of a page that are uploads, and count the others."""
        uploads = [entry for entry in page.objects if not is_junk(entry.key)]
        if len(uploads) < len(page.objects):
            junk = self.junk.setdefault(folder, Junk())
            junk.count += len(page.objects) - len(uploads)
            junk.first = junk.first or next(entry.key for entry in page.objects if is_junk(entry.key))
        return uploads

    def _claimed(self, folder: str, listing: InboxListing, page: tuple[ListedObject, ...]) -> bool:
        """Remove the claimed page from the listing, and return True if the folder has more.

        All files that arrived before the first remaining one are claimed.
        """
        for entry in page:
            if listing.pending and listing.pending[0] is entry:
                listing.pending.popleft()  # unless a manual tick of the sensor was faster
        if listing.pending:
            if listing.is_whole:
                self._complete(folder, min(listing.started_at, listing.pending[0].last_modified - _INSTANT))
            return True
        self.memory.pop(folder, None)
        if listing.next_after is not None:
            self._places[folder] = Place(listing.next_after, listing.started_at)
            return True
        self._places.pop(folder, None)
        self._complete(folder, listing.started_at)
        return False

    def _complete(self, folder: str, through: datetime) -> None:
        table = folder.removesuffix("/")
        self.complete_through[table] = max(through, self.complete_through.get(table, through))

    def _of_none(self) -> Generator[tuple[ListedObject, ...], None, bool]:
        """Yield a page of objects that belong to no table; return True if there is more."""
        place = self._places.get("")
        if place is None:
            self.junk.pop("", None)
        page = self._strays(place.after if place else "")
        uploads = self._uploads("", page)
        if uploads:
            yield tuple(uploads)
        if page.next_after is None:
            self._places.pop("", None)
            return False
        self._places[""] = Place(page.next_after, place.started_at if place else page.listed_at)
        return True

    def _strays(self, after: str) -> Page:
        """Return a page of objects outside the folders of tables."""
        folder, slash, name = after.partition("/")
        if slash and name != BEHIND_FOLDER:
            page = self.objects.page(
                self.bucket, f"{folder}/", after=after if name else "", limit=self.page_size
            )
            return replace(page, next_after=page.next_after or f"{folder}/{BEHIND_FOLDER}")
        page = self.objects.page(self.bucket, after=after, limit=self.page_size, by_folder=True)
        other = next((name for name in page.folders if name.removesuffix("/") not in self.tables), None)
        if other is None:
            return page
        before = tuple(entry for entry in page.objects if entry.key < other)
        return replace(page, objects=before, next_after=other) if before else self._strays(other)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
