"""The walk through the inbox: nothing is lost, nobody starves, and it says through when it is complete."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bulk_pipeline.stores.found_objects import BEHIND_FOLDER, FoundObject, Page
from bulk_pipeline.stores.inbox import Inbox, Memory

START = datetime(2026, 1, 1, tzinfo=UTC)
TABLES = ("users", "articles")


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


@dataclass
class Bucket:
    """A bucket in memory, whose clock ticks once a listing; the first one of a walk asks whether there is anything."""

    keys: set[str]
    listed: list[str] = field(default_factory=list)
    arrived: dict[str, datetime] = field(default_factory=dict)

    def page(
        self, bucket: str, prefix: str = "", *, after: str = "", limit: int = 1000, by_folder: bool = False
    ) -> Page:
        self.listed.append("by folder" if by_folder else prefix)
        keys = sorted(key for key in self.keys if key.startswith(prefix) and key > after)
        names = list(dict.fromkeys(re.sub("/.*", "/", key) for key in keys)) if by_folder else keys
        found = tuple(
            FoundObject(bucket, name, "etag", 1, self.arrived.get(name, START))
            for name in names[:limit]
            if name in self.keys
        )
        folders = tuple(name for name in names[:limit] if name not in self.keys)
        last = max([one.key for one in found] + [f"{name}{BEHIND_FOLDER}" for name in folders], default=None)
        return Page(found, last if len(names) > limit else None, at(len(self.listed)), folders)


def never() -> bool:
    return False


def after(times: int) -> Callable[[], bool]:
    answers = iter([False] * (times - 1) + [True])
    return lambda: next(answers)


def full(bucket: Bucket) -> Inbox:
    return Inbox(bucket, "uploads", TABLES, page_size=2, listed=2, at_once=2)


def walk(
    bucket: Bucket, cursor: str | None = None, is_over: Callable[[], bool] = never
) -> tuple[list[str], Inbox]:
    """Claim everything that is met, as the sensor does, in a process of its own; a folder with more than two files is
    a full one."""
    inbox = full(bucket).resume(cursor)
    met: list[str] = []
    for page in inbox.pages(is_over):
        met += [found.key for found in page]
        bucket.keys -= {found.key for found in page}
    return met, inbox


def test_everything_is_met_once_whatever_table_it_belongs_to() -> None:
    keys = ["a.csv", "articles/1", "users/1", "users/2", "users/3", "userz/1", "z.csv", "tables/x/y"]
    met, inbox = walk(Bucket(set(keys)))
    assert sorted(met) == sorted(keys)
    assert inbox.complete_through == {"users": at(2), "articles": at(3)}


def test_folders_of_tables_are_not_looked_into_for_what_belongs_to_none() -> None:
    """They may hold thousands, and a listing costs as much as it passes by."""
    bucket = Bucket({"a.csv", "m/1", "m/2", "m/3", "n.csv", "o.csv", "p/1", "users/1", "z.csv"})
    met, _ = walk(bucket)
    assert met == ["users/1", "a.csv", "m/1", "m/2", "m/3", "n.csv", "o.csv", "p/1", "z.csv"]
    assert {name: bucket.listed.count(name) for name in ("", "users/", "m/", "p/")} == {
        "": 1,
        "users/": 1,
        "m/": 2,
        "p/": 1,
    }


def test_an_empty_inbox_is_complete_at_one_look() -> None:
    bucket = Bucket(set())
    met, inbox = walk(bucket)
    assert (met, bucket.listed, inbox.is_walked) == ([], [""], True)
    assert inbox.complete_through == {"users": at(1), "articles": at(1)}


def test_a_walk_that_was_cut_short_goes_on_where_it_was() -> None:
    bucket, cursor, met = Bucket({f"users/{n}" for n in range(5)} | {"articles/1", "b"}), None, []
    for _ in range(7):
        keys, inbox = walk(bucket, cursor, after(1))
        met += keys
        cursor = inbox.cursor
    assert sorted(met) == ["articles/1", "b", *(f"users/{n}" for n in range(5))]


def test_a_folder_that_never_empties_does_not_starve_the_others() -> None:
    bucket, cursor, met = Bucket({"articles/1", "other/1"}), None, set[str]()
    for number in range(4):
        bucket.keys |= {f"users/{number}{letter}" for letter in "abcdef"}
        keys, inbox = walk(bucket, cursor, after(1))
        met |= set(keys)
        cursor = inbox.cursor
    assert {"articles/1", "other/1"} <= met


def test_a_page_that_was_left_halfway_comes_again() -> None:
    bucket = Bucket({"users/1", "users/2", "users/3"})
    inbox = full(bucket)
    next(iter(inbox.pages(never)))
    assert inbox.complete_through == {}
    met, again = walk(bucket, inbox.cursor)
    assert sorted(met) == ["users/1", "users/2", "users/3"]
    assert set(again.complete_through) == {"users", "articles"}


def test_complete_through_is_when_the_pass_began_not_when_it_ended() -> None:
    bucket = Bucket({f"users/{n}" for n in range(5)})
    inbox = walk(bucket, None, after(1))[1]
    for _ in range(6):
        bucket.keys.add("users/0")  # behind the walk: the next pass will meet it
        inbox = walk(bucket, inbox.cursor, after(1))[1]
        if "users" in inbox.complete_through:
            break
    assert inbox.complete_through["users"] == at(2)
    assert "users/0" in bucket.keys
    assert walk(bucket, inbox.cursor)[0] == ["users/0"]


def test_an_object_that_cannot_be_claimed_does_not_hide_those_behind_it() -> None:
    bucket = Bucket({f"users/{n}" for n in range(6)})
    inbox = full(bucket)
    met = [found.key for page in inbox.pages(never) for found in page]
    assert met == [f"users/{n}" for n in range(6)]
    assert inbox.complete_through["users"] == at(2)


ARRIVALS = {
    "users/e": at(-50),
    "users/b": at(-40),
    "users/d": at(-30),
    "users/a": at(-20),
    "users/c": at(-10),
}


def test_what_arrived_first_is_met_first_and_complete_before_the_rest_is_claimed() -> None:
    bucket = Bucket(set(ARRIVALS), arrived=ARRIVALS)
    inbox = Inbox(bucket, "uploads", TABLES, page_size=2)
    met, complete = [], []
    while len(met) < len(ARRIVALS):
        for page in inbox.pages(after(1)):
            met += [found.key for found in page]
        complete.append(inbox.complete_through.get("users"))
    assert met == list(ARRIVALS)
    before = timedelta(microseconds=1)
    assert [through for through in dict.fromkeys(complete) if through] == [
        ARRIVALS["users/d"] - before,
        ARRIVALS["users/c"] - before,
        at(2),
    ]


def test_a_file_that_arrives_during_the_walk_is_met_by_the_next_and_not_called_claimed() -> None:
    bucket = Bucket({"users/b", "users/c", "users/d"})
    inbox = Inbox(bucket, "uploads", ("users",), page_size=2)
    assert [found.key for page in inbox.pages(after(1)) for found in page] == ["users/b", "users/c"]
    bucket.keys, bucket.arrived = {"users/d", "users/a"}, {"users/a": at(10)}
    assert [found.key for page in inbox.pages(never) for found in page] == ["users/d"]
    assert inbox.complete_through["users"] < at(10)
    bucket.keys.remove("users/d")
    assert [found.key for page in inbox.pages(never) for found in page] == ["users/a"]


def test_complete_through_never_goes_back_for_what_cannot_be_claimed() -> None:
    bucket = Bucket({"users/1", "users/2", "users/3"})
    inbox = Inbox(bucket, "uploads", ("users",), page_size=2)
    list(inbox.pages(never))
    done = inbox.complete_through["users"]
    again = Inbox(bucket, "uploads", ("users",), page_size=2).resume(inbox.cursor)
    list(again.pages(after(1)))
    assert again.complete_through["users"] == done


def test_a_cursor_stays_short() -> None:
    bucket = Bucket({f"{folder}/{'x' * 1000}{n}" for folder in ("users", "articles", "c") for n in range(9)})
    assert len(walk(bucket, None, after(3))[1].cursor) < 5_000


def test_a_folder_is_listed_once_for_all_ticks_that_claim_from_it() -> None:
    bucket = Bucket({f"users/{n}" for n in range(9)})
    memory, cursor, met = Memory(), None, list[str]()
    while len(met) < 9:
        inbox = Inbox(bucket, "uploads", ("users",), memory, page_size=2, at_once=3).resume(cursor)
        keys = [found.key for page in inbox.pages(after(4)) for found in page]
        left = 9 - len(met) - len(keys)
        assert inbox.holds_more_than(left - 1)
        assert not inbox.holds_more_than(left)
        assert inbox.backlog == ({"users"} if left else set())
        met, cursor, bucket.keys = met + keys, inbox.cursor, bucket.keys - set(keys)
    assert met == [f"users/{n}" for n in range(9)]
    assert bucket.listed[:4] == ["", "users/", "users/", "users/"]
    assert bucket.listed[4:].count("users/") == 0
    assert memory == {}


def test_two_walks_at_once_forget_nothing_that_neither_has_claimed() -> None:
    bucket, memory = Bucket({f"users/{n}" for n in range(5)}), Memory()
    both = [Inbox(bucket, "uploads", ("users",), memory, page_size=2) for _ in range(2)]
    walks = [inbox.pages(never) for inbox in both]
    met = [found.key for _ in range(3) for walk in walks for page in [next(walk, ())] for found in page]
    assert set(met) == bucket.keys
    assert all(len(list(walk)) == 0 for walk in walks)
    assert [inbox.complete_through["users"] for inbox in both] == [at(2)] * 2
    assert memory == {}


def test_what_was_known_may_be_lost_at_any_time() -> None:
    bucket, met = Bucket({f"users/{n}" for n in range(9)}), list[str]()
    inbox = full(bucket)
    for _ in range(20):
        keys, inbox = walk(bucket, inbox.cursor, after(1))
        met += keys
    assert sorted(met) == [f"users/{n}" for n in range(9)]
    assert inbox.backlog == set()


def test_a_pass_ends_although_files_arrive_faster_than_they_are_claimed() -> None:
    """As long as they can be listed faster."""
    bucket = Bucket({f"users/{n:04}" for n in range(6)})
    inbox, met = Inbox(bucket, "uploads", TABLES, page_size=2, listed=4, at_once=4), list[str]()
    for number in range(6, 100):
        bucket.keys.add(late := f"users/{number:04}")
        bucket.arrived[late] = at(3 + len(bucket.listed))
        for page in inbox.pages(after(1)):
            met += [found.key for found in page]
            bucket.keys -= {found.key for found in page}
        if "users" in inbox.complete_through:
            break
    assert set(met) == {f"users/{n:04}" for n in range(6)}
    assert inbox.complete_through["users"] == at(2)


def test_a_listing_ends_when_time_is_over_and_the_next_goes_on_behind_it() -> None:
    bucket = Bucket({f"users/{n}" for n in range(6)})
    inbox, met = Inbox(bucket, "uploads", ("users",), page_size=9, listed=9, at_once=2), list[list[str]]()
    while len(met) < 3:
        met += [[found.key for found in page] for page in inbox.pages(lambda: True)]
        assert inbox.holds_more_than(9) == (len(met) < 3), (
            "who knows how many, if only some were listed in time"
        )
    assert met == [["users/0", "users/1"], ["users/2", "users/3"], ["users/4", "users/5"]]


JUNK = (
    ".DS_Store",
    "__MACOSX/users/._1",
    "users/._1",
    "users/_SUCCESS",
    "users/~$a.xlsx",
    "articles/.1.crc",
    "x/Thumbs.db",
)


def test_files_that_are_no_uploads_are_left_where_they_are_and_counted() -> None:
    keys = ["users/1", "users/2", "users/3", "articles/1", "z.csv", "x/1"]
    bucket = Bucket({*keys, *JUNK})
    inbox = full(bucket).resume(None)
    met = [found.key for page in inbox.pages(never) for found in page]
    assert sorted(met) == sorted(keys)
    assert {folder: junk.count for folder, junk in inbox.junk.items()} == {"users/": 3, "articles/": 1, "": 3}
    assert {junk.first for junk in inbox.junk.values()} <= set(JUNK)
    assert inbox.is_walked
    assert inbox.backlog == set()


def test_a_look_counts_them_anew() -> None:
    bucket = Bucket(set(JUNK))
    inbox = full(bucket).resume(None)
    for _ in range(3):
        assert list(inbox.pages(never)) == []
        assert sum(junk.count for junk in inbox.junk.values()) == len(JUNK)
    bucket.keys = {"users/_SUCCESS"}
    assert list(inbox.pages(never)) == []
    assert [(folder, junk.count, junk.first) for folder, junk in inbox.junk.items()] == [
        ("users/", 1, "users/_SUCCESS")
    ]
    bucket.keys = set()
    assert list(inbox.pages(never)) == []
    assert inbox.junk == {}


def test_thousands_of_them_neither_hide_a_file_nor_look_like_a_backlog() -> None:
    bucket = Bucket(
        {f"users/.part-{number:05}.crc" for number in range(5_000)} | {"users/a.csv", "users/z.csv"}
    )
    inbox = Inbox(bucket, "uploads", TABLES).resume(None)
    pages = [[found.key for found in page] for page in inbox.pages(never)]
    assert pages == [["users/a.csv", "users/z.csv"]]
    assert (inbox.junk["users/"].count, inbox.holds_more_than(0)) == (5_000, False)
    assert len(bucket.listed) < 12


def test_a_table_full_of_them_is_complete() -> None:
    inbox = full(Bucket({f"users/._{number}" for number in range(9)})).resume(None)
    assert list(inbox.pages(never)) == []
    assert set(inbox.complete_through) == set(TABLES)
