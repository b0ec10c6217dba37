"""Walks through the inbox a page at a time, fairly, within the time it is given, and remembers where it was.

No cursor by time of change, which loses files: every pass through a table's folder sees all that lies there. It is
listed once and remembered, for a listing costs as much as the folder is full, however little of it is asked for. What
a listing shows is handed out in the order of arrival, so that the first files can be imported while the others are
still being claimed. A folder too full for one listing comes in stretches, in the order of their keys; what arrives
after the pass has begun is left to the next one, so that every pass ends.

Files that nobody means to upload (`stages.junk_files`) are counted, and otherwise as if they did not lie there.
"""

import json
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Protocol

from bulk_pipeline.stages.junk_files import is_junk
from bulk_pipeline.stores.found_objects import BEHIND_FOLDER, FoundObject, Page

_INSTANT = timedelta(microseconds=1)


class Listing(Protocol):
    """What the inbox asks of the object store."""

    def page(
        self, bucket: str, prefix: str = "", *, after: str = "", limit: int = 1000, by_folder: bool = False
    ) -> Page: ...


@dataclass(frozen=True)
class Place:
    """How far a pass has come: the key it goes on behind, and when it began."""

    after: str
    started_at: datetime


@dataclass(frozen=True)
class Lying:
    """What a listing has shown of a folder, without what has been claimed since; the first arrival first.

    `started_at`: when the pass began; of a pass that this listing begins, when it was made. `next_after`: where the
    pass goes on; None if this was the last of the folder. `is_whole`: all that lay there.
    """

    found: deque[FoundObject]
    started_at: datetime
    next_after: str | None
    is_whole: bool


@dataclass
class Junk:
    """Files in a folder that are no uploads. `first`: the key of one of them."""

    count: int = 0
    first: str | None = None


Memory = dict[str, Lying]
"""By folder. It may be lost: what it knew is listed again."""


@dataclass
class Inbox:
    """The bucket people drop files into: a folder for each table, and whatever else lies there.

    `complete_through`: by table, a time by the store's clock; all that had arrived by then has been claimed.
    `junk`: what the last pass through each folder has left there.
    `page_size`: how many are claimed at a time; `listed`: how many one listing is to show, asked for `at_once` by one.
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
        """Go on where `cursor` left it; from the beginning without one."""
        seen = json.loads(cursor) if cursor else {}
        self._turn = seen.get("turn")
        self.complete_through = {name: _time(text) for name, text in seen.get("complete_through", {}).items()}
        self._places = {
            folder: Place(after, _time(text)) for folder, (after, text) in seen.get("places", {}).items()
        }
        return self

    @property
    def is_walked(self) -> bool:
        """Whether the last walk came to every folder; else the next one goes on there."""
        return self._turn is None

    @property
    def backlog(self) -> set[str]:
        """The tables in whose folders files are known to lie, or to follow."""
        return {folder.removesuffix("/") for folder in (*self.memory, *self._places)} - {""}

    def holds_more_than(self, count: int) -> bool:
        """Whether more files of tables are known to lie there, or more than could be listed in the time given."""
        listings = self.memory.values()
        if self._places.keys() - {""} or any(lying.next_after is not None for lying in listings):
            return True
        return sum(len(lying.found) for lying in listings) > count

    @property
    def cursor(self) -> str:
        """Where the walk is, as short JSON."""
        places = {
            folder: (place.after, place.started_at.isoformat()) for folder, place in self._places.items()
        }
        complete = {name: time.isoformat() for name, time in self.complete_through.items()}
        return json.dumps({"turn": self._turn, "complete_through": complete, "places": places})

    def pages(self, is_over: Callable[[], bool]) -> Iterator[tuple[FoundObject, ...]]:
        """Pages of objects to claim, a folder after the other, until each is walked or time is over.

        A page counts as claimed when the next one is asked for: one that is left halfway, because time is
        over or a claim raised, comes again.
        At least one page is looked at, so that a short time makes progress too.
        """
        if not self.memory and self._is_empty():
            return
        waiting = self._folders()
        while waiting:
            folder = waiting.pop(0)
            self._turn = folder
            is_more = yield from self._of_table(folder, is_over) if folder else self._of_none()
            if is_more:
                waiting.append(folder)
            if is_over():
                return
        self._turn = None

    def _is_empty(self) -> bool:
        """One look at the whole bucket, mostly enough: a look into each folder is most of what an idle stack does."""
        page = self.objects.page(self.bucket, limit=1)
        if page.found:
            return False
        self.junk.clear()
        self._places.clear()
        self._turn = None
        self.complete_through = dict.fromkeys(self.tables, page.listed_at)
        return True

    def _folders(self) -> list[str]:
        """Every folder once, first those the last walk did not come to; "" is what belongs to no table."""
        folders = [*(f"{table}/" for table in self.tables), ""]
        start = folders.index(self._turn) + 1 if self._turn in folders else 0
        return folders[start:] + folders[:start]

    def _of_table(
        self, folder: str, is_over: Callable[[], bool]
    ) -> Generator[tuple[FoundObject, ...], None, bool]:
        """A page of a table's folder; says, once it is claimed, whether there is more."""
        lying = self.memory.get(folder) or self._listed(folder, is_over)
        self.memory[folder] = lying
        page = tuple(islice(lying.found, self.page_size))
        if page:
            yield page
        return self._claimed(folder, lying, page)

    def _listed(self, folder: str, is_over: Callable[[], bool]) -> Lying:
        place = self._places.get(folder)
        if place is None:
            self.junk.pop(folder, None)
        page = self.objects.page(self.bucket, folder, after=place.after if place else "", limit=self.at_once)
        started_at, found = place.started_at if place else page.listed_at, self._uploads(folder, page)
        while page.next_after is not None and len(found) < self.listed and not is_over():
            page = self.objects.page(self.bucket, folder, after=page.next_after, limit=self.at_once)
            found += self._uploads(folder, page)
        is_whole = place is None and page.next_after is None
        if not is_whole:
            found = [one for one in found if one.last_modified <= started_at]
        found.sort(key=lambda one: (one.last_modified, one.key))
        return Lying(deque(found), started_at, page.next_after, is_whole)

    def _uploads(self, folder: str, page: Page) -> list[FoundObject]:
        """The objects of a page that are uploads; the others are counted."""
        uploads = [one for one in page.found if not is_junk(one.key)]
        if len(uploads) < len(page.found):
            junk = self.junk.setdefault(folder, Junk())
            junk.count += len(page.found) - len(uploads)
            junk.first = junk.first or next(one.key for one in page.found if is_junk(one.key))
        return uploads

    def _claimed(self, folder: str, lying: Lying, page: tuple[FoundObject, ...]) -> bool:
        """Forget the page; all that arrived before the first that is left is claimed."""
        for one in page:
            if lying.found and lying.found[0] is one:
                lying.found.popleft()  # unless somebody who tries the sensor in the UI was faster
        if lying.found:
            if lying.is_whole:
                self._complete(folder, min(lying.started_at, lying.found[0].last_modified - _INSTANT))
            return True
        self.memory.pop(folder, None)
        if lying.next_after is not None:
            self._places[folder] = Place(lying.next_after, lying.started_at)
            return True
        self._places.pop(folder, None)
        self._complete(folder, lying.started_at)
        return False

    def _complete(self, folder: str, through: datetime) -> None:
        table = folder.removesuffix("/")
        self.complete_through[table] = max(through, self.complete_through.get(table, through))

    def _of_none(self) -> Generator[tuple[FoundObject, ...], None, bool]:
        """The same for what belongs to no table."""
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
        """A page of what lies in no folder, or in one that is no table's; those of tables are not looked into."""
        folder, slash, name = after.partition("/")
        if slash and name != BEHIND_FOLDER:
            page = self.objects.page(
                self.bucket, f"{folder}/", after=after if name else "", limit=self.page_size
            )
            return replace(page, next_after=page.next_after or f"{folder}/{BEHIND_FOLDER}")
        page = self.objects.page(self.bucket, after=after, limit=self.page_size, by_folder=True)
        strange = next((name for name in page.folders if name.removesuffix("/") not in self.tables), None)
        if strange is None:
            return page
        found = tuple(one for one in page.found if one.key < strange)
        return replace(page, found=found, next_after=strange) if found else self._strays(strange)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
