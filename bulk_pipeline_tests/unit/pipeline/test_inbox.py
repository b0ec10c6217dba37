"""The walk through the inbox loses no file, starves no table, and reports until when it is complete."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bulk_pipeline.pipeline.inbox import Inbox, Memory
from bulk_pipeline.s3.listing import BEHIND_FOLDER, ListedObject, Page

START = datetime(2026, 1, 1, tzinfo=UTC)
TABLES = ("users", "articles")


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


@dataclass
class Bucket:
    """A bucket in memory, whose clock ticks at each listing; the first listing of a walk checks for an empty bucket."""

    keys: set[str]
    listed: list[str] = field(default_factory=list)
    arrived: dict[str, datetime] = field(default_factory=dict)

    def page(
        self, bucket: str, prefix: str = "", *, after: str = "", limit: int = 1000, by_folder: bool = False
    ) -> Page:
        self.listed.append("by folder" if by_folder else prefix)
        keys = sorted(key for key in self.keys if key.startswith(prefix) and key > after)
        names = list(dict.fromkeys(re.sub("/.*", "/", key) for key in keys)) if by_folder else keys
        result = tuple(
            ListedObject(bucket, name, "etag", 1, self.arrived.get(name, START))
            for name in names[:limit]
            if name in self.keys
        )
        folders = tuple(name for name in names[:limit] if name not in self.keys)
        last = max([one.key for one in result] + [f"{name}{BEHIND_FOLDER}" for name in folders], default=None)
        return Page(result, last if len(names) > limit else None, at(len(self.listed)), folders)


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
    """Claim all files as the sensor does in a new process; a folder with more than two files counts as full."""
    inbox = full(bucket).resume(cursor)
    met: list[str] = []
    for page in inbox.pages(is_over):
        met += [entry.key for entry in page]
        bucket.keys -= {entry.key for entry in page}
    return met, inbox


def test_everything_is_met_once_whatever_table_it_belongs_to() -> None:
    keys = ["a.csv", "articles/1", "users/1", "users/2", "users/3", "userz/1", "z.csv", "tables/x/y"]
    met, inbox = walk(Bucket(set(keys)))
    assert sorted(met) == sorted(keys)
    assert inbox.complete_through == {"users": at(2), "articles": at(3)}


def test_folders_of_tables_are_not_listed_for_objects_without_a_table() -> None:
    """They may have thousands of files, and a listing costs time for each file it passes."""
    bucket = Bucket({"a.csv", "m/1", "m/2", "m/3", "n.csv", "o.csv", "p/1", "users/1", "z.csv"})
    keys, _ = walk(bucket)
    assert keys == ["users/1", "a.csv", "m/1", "m/2", "m/3", "n.csv", "o.csv", "p/1", "z.csv"]
    assert {name: bucket.listed.count(name) for name in ("", "users/", "m/", "p/")} == {
        "": 1,
        "users/": 1,
        "m/": 2,
        "p/": 1,
    }


def test_an_empty_inbox_is_complete_after_one_request() -> None:
    bucket = Bucket(set())
    keys, inbox = walk(bucket)
    assert (keys, bucket.listed, inbox.is_walked) == ([], [""], True)
    assert inbox.complete_through == {"users": at(1), "articles": at(1)}


def test_an_interrupted_walk_continues_where_it_was() -> None:
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
    keys, again = walk(bucket, inbox.cursor)
    assert sorted(keys) == ["users/1", "users/2", "users/3"]
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
    keys = [entry.key for page in inbox.pages(never) for entry in page]
    assert keys == [f"users/{n}" for n in range(6)]
    assert inbox.complete_through["users"] == at(2)


ARRIVALS = {
    "users/e": at(-50),
    "users/b": at(-40),
    "users/d": at(-30),
    "users/a": at(-20),
    "users/c": at(-10),
}


def test_earlier_files_come_first_and_are_complete_before_the_rest_is_claimed() -> None:
    bucket = Bucket(set(ARRIVALS), arrived=ARRIVALS)
    inbox = Inbox(bucket, "uploads", TABLES, page_size=2)
    keys, complete = [], []
    while len(keys) < len(ARRIVALS):
        for page in inbox.pages(after(1)):
            keys += [entry.key for entry in page]
        complete.append(inbox.complete_through.get("users"))
    assert keys == list(ARRIVALS)
    before = timedelta(microseconds=1)
    assert [through for through in dict.fromkeys(complete) if through] == [
        ARRIVALS["users/d"] - before,
        ARRIVALS["users/c"] - before,
        at(2),
    ]


def test_a_file_that_arrives_during_the_walk_is_met_by_the_next_and_not_called_claimed() -> None:
    bucket = Bucket({"users/b", "users/c", "users/d"})
    inbox = Inbox(bucket, "uploads", ("users",), page_size=2)
    assert [entry.key for page in inbox.pages(after(1)) for entry in page] == ["users/b", "users/c"]
    bucket.keys, bucket.arrived = {"users/d", "users/a"}, {"users/a": at(10)}
    assert [entry.key for page in inbox.pages(never) for entry in page] == ["users/d"]
    assert inbox.complete_through["users"] < at(10)
    bucket.keys.remove("users/d")
    assert [entry.key for page in inbox.pages(never) for entry in page] == ["users/a"]


def test_complete_through_never_goes_back_for_objects_that_cannot_be_claimed() -> None:
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
        keys = [entry.key for page in inbox.pages(after(4)) for entry in page]
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
    met = [entry.key for _ in range(3) for walk in walks for page in [next(walk, ())] for entry in page]
    assert set(met) == bucket.keys
    assert all(len(list(walk)) == 0 for walk in walks)
    assert [inbox.complete_through["users"] for inbox in both] == [at(2)] * 2
    assert memory == {}


def test_the_memory_may_be_lost_at_any_time() -> None:
    bucket, met = Bucket({f"users/{n}" for n in range(9)}), list[str]()
    inbox = full(bucket)
    for _ in range(20):
        keys, inbox = walk(bucket, inbox.cursor, after(1))
        met += keys
    assert sorted(met) == [f"users/{n}" for n in range(9)]
    assert inbox.backlog == set()


def test_a_pass_ends_although_files_arrive_faster_than_they_are_claimed() -> None:
    """Provided that listing is faster."""
    bucket = Bucket({f"users/{n:04}" for n in range(6)})
    inbox, met = Inbox(bucket, "uploads", TABLES, page_size=2, listed=4, at_once=4), list[str]()
    for number in range(6, 100):
        bucket.keys.add(late := f"users/{number:04}")
        bucket.arrived[late] = at(3 + len(bucket.listed))
        for page in inbox.pages(after(1)):
            met += [entry.key for entry in page]
            bucket.keys -= {entry.key for entry in page}
        if "users" in inbox.complete_through:
            break
    assert set(met) == {f"users/{n:04}" for n in range(6)}
    assert inbox.complete_through["users"] == at(2)


def test_a_listing_ends_when_time_is_over_and_the_next_continues_after_it() -> None:
    bucket = Bucket({f"users/{n}" for n in range(6)})
    inbox, keys = Inbox(bucket, "uploads", ("users",), page_size=9, listed=9, at_once=2), list[list[str]]()
    while len(keys) < 3:
        keys += [[entry.key for entry in page] for page in inbox.pages(lambda: True)]
        assert inbox.holds_more_than(9) == (len(keys) < 3), (
            "who knows how many, if only some were listed in time"
        )
    assert keys == [["users/0", "users/1"], ["users/2", "users/3"], ["users/4", "users/5"]]


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
    met = [entry.key for page in inbox.pages(never) for entry in page]
    assert sorted(met) == sorted(keys)
    assert {folder: junk.count for folder, junk in inbox.junk.items()} == {"users/": 3, "articles/": 1, "": 3}
    assert {junk.first for junk in inbox.junk.values()} <= set(JUNK)
    assert inbox.is_walked
    assert inbox.backlog == set()


def test_each_walk_counts_them_again() -> None:
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
    pages = [[entry.key for entry in page] for page in inbox.pages(never)]
    assert pages == [["users/a.csv", "users/z.csv"]]
    assert (inbox.junk["users/"].count, inbox.holds_more_than(0)) == (5_000, False)
    assert len(bucket.listed) < 12


def test_a_table_full_of_them_is_complete() -> None:
    inbox = full(Bucket({f"users/._{number}" for number in range(9)})).resume(None)
    assert list(inbox.pages(never)) == []
    assert set(inbox.complete_through) == set(TABLES)
