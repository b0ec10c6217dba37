"""Walks through the inbox a page at a time, fairly, within the time it is given, and remembers where it was.

No cursor by time of change, which loses files: every pass through a table's folder sees all that lies there. Where one
listing shows it all, the files are handed out in the order in which they arrived, so that the first ones can be
imported while the others are still being claimed; in a fuller folder, in the order of their keys.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from bulk_pipeline.stores.objects import FoundObject, Page

_BEHIND_FOLDER = "\U0010ffff"
"""Sorts behind every key that people use."""
_INSTANT = timedelta(microseconds=1)


class Listing(Protocol):
    """What the inbox asks of the object store."""

    def page(self, bucket: str, prefix: str = "", *, after: str = "", limit: int = 1000) -> Page: ...


@dataclass(frozen=True)
class Place:
    """How far a pass has come: the key it goes on behind, and when it began."""

    after: str
    started_at: datetime


@dataclass(frozen=True)
class Lying:
    """All that lay in a folder at a time, without what has been claimed since; the first arrival first."""

    found: deque[FoundObject]
    listed_at: datetime


@dataclass
class Inbox:
    """The bucket people drop files into: a folder for each table, and whatever else lies there.

    `complete_through`: by table, a time by the store's clock; all that had arrived by then has been claimed.
    """

    objects: Listing
    bucket: str
    tables: Sequence[str]
    page_size: int = 100
    whole_size: int = 1000
    complete_through: dict[str, datetime] = field(default_factory=dict)
    _places: dict[str, Place] = field(default_factory=dict)
    _lying: dict[str, Lying] = field(default_factory=dict)
    _turn: str | None = None

    @classmethod
    def resume(
        cls,
        objects: Listing,
        bucket: str,
        tables: Sequence[str],
        cursor: str | None,
        *,
        page_size: int = 100,
        whole_size: int = 1000,
    ) -> "Inbox":
        """The inbox where `cursor` left it; from the beginning without one."""
        inbox = cls(objects, bucket, tables, page_size, whole_size)
        seen = json.loads(cursor) if cursor else {}
        inbox._turn = seen.get("turn")
        inbox.complete_through = {
            name: _time(text) for name, text in seen.get("complete_through", {}).items()
        }
        inbox._places = {
            folder: Place(after, _time(text)) for folder, (after, text) in seen.get("places", {}).items()
        }
        return inbox

    @property
    def is_walked(self) -> bool:
        """Whether the last walk came to every folder; else the next one goes on there."""
        return self._turn is None

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
        if not self._lying and self._is_empty():
            return
        waiting = self._folders()
        while waiting:
            folder = waiting.pop(0)
            self._turn = folder
            page = self._next(folder)
            if page.found:
                yield page.found
            if page.next_after is not None:
                waiting.append(folder)
            self._move_on(folder, page)
            if is_over():
                return
        self._turn = None

    def _is_empty(self) -> bool:
        """One look at the whole bucket, mostly enough: a look into each folder is most of what an idle stack does."""
        page = self.objects.page(self.bucket, limit=1)
        if page.found:
            return False
        self._places.clear()
        self._turn = None
        self.complete_through = dict.fromkeys(self.tables, page.listed_at)
        return True

    def _folders(self) -> list[str]:
        """Every folder once, first those the last walk did not come to; "" is what belongs to no table."""
        folders = [*(f"{table}/" for table in self.tables), ""]
        start = folders.index(self._turn) + 1 if self._turn in folders else 0
        return folders[start:] + folders[:start]

    def _next(self, folder: str) -> Page:
        """What to claim next in the folder; `next_after` says whether there is more."""
        if folder and folder not in self._lying and folder not in self._places:
            whole = self._list(folder, self.whole_size)
            if whole.next_after is not None:
                first = whole.found[: self.page_size]
                return Page(first, first[-1].key, whole.listed_at)
            by_arrival = sorted(whole.found, key=lambda found: (found.last_modified, found.key))
            self._lying[folder] = Lying(deque(by_arrival), whole.listed_at)
        if folder not in self._lying:
            return self._list(folder, self.page_size)
        lying = self._lying[folder]
        first = tuple(lying.found)[: self.page_size]
        return Page(first, first[-1].key if len(first) < len(lying.found) else None, lying.listed_at)

    def _list(self, folder: str, limit: int) -> Page:
        place = self._places.get(folder)
        page = self.objects.page(self.bucket, folder, after=place.after if place else "", limit=limit)
        return page if folder else self._without_tables(page)

    def _without_tables(self, page: Page) -> Page:
        """The page up to the first object of a table, and a leap over that table's folder."""
        for number, found in enumerate(page.found):
            folder, slash, _ = found.key.partition("/")
            if slash and folder in self.tables:
                return Page(page.found[:number], f"{folder}/{_BEHIND_FOLDER}", page.listed_at)
        return page

    def _move_on(self, folder: str, page: Page) -> None:
        if folder in self._lying:
            return self._claimed(folder, len(page.found))
        started_at = self._places[folder].started_at if folder in self._places else page.listed_at
        if page.next_after is not None:
            self._places[folder] = Place(page.next_after, started_at)
            return None
        self._places.pop(folder, None)
        if folder:
            self.complete_through[folder.removesuffix("/")] = started_at
        return None

    def _claimed(self, folder: str, count: int) -> None:
        """All that arrived before the first that is left is claimed."""
        lying, table = self._lying[folder], folder.removesuffix("/")
        for _ in range(count):
            lying.found.popleft()
        through = lying.listed_at
        if lying.found:
            through = min(through, lying.found[0].last_modified - _INSTANT)
        else:
            del self._lying[folder]
        self.complete_through[table] = max(through, self.complete_through.get(table, through))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
