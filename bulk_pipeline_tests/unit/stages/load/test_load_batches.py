"""What `batches` promises: every source row belongs to one range, and threads change nothing but the time it takes."""

import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import count

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline.stages.load.batches import ahead, cut, ranges, rows_of_a_range, side_by_side
from bulk_pipeline.stages.load.row_store import Range


@pytest.mark.parametrize(
    ("rows", "width", "expected"),
    [
        (0, 0, 50_000),
        (0, 500, 50_000),
        (1_000_000, 100, 50_000),
        (1_000_000, 8 << 10, 1024),
        (3, 99 << 20, 1),
    ],
    ids=["nothing written", "no rows", "narrow", "wide", "huge"],
)
def test_wide_rows_are_committed_fewer_at_a_time(rows: int, width: int, expected: int) -> None:
    assert rows_of_a_range(50_000, rows, max(rows, 1) * width) == expected


def test_ranges_cover_all_rows_of_the_source() -> None:
    assert ranges(7, 3) == [Range(1, 3), Range(4, 6), Range(7, 7)]
    assert ranges(0, 3) == []


@given(
    rows=st.sets(st.integers(1, 30)),
    size=st.integers(1, 8),
    batch_rows=st.integers(1, 8),
    skipped=st.sets(st.integers(0, 10)),
)
def test_each_wanted_range_gets_its_good_rows(
    rows: set[int], size: int, batch_rows: int, skipped: set[int]
) -> None:
    numbers = sorted(rows)
    batches = [
        pa.RecordBatch.from_pydict({"_row": pa.array(numbers[start : start + size], pa.int64())})
        for start in range(0, len(numbers), size)
    ]
    wanted = [one for place, one in enumerate(ranges(30, batch_rows)) if place not in skipped]
    assert [
        (one, [row for part in parts for row in part["_row"].to_pylist()])
        for one, parts in cut(batches, wanted)
    ] == [(one, [row for row in numbers if one.first <= row <= one.last]) for one in wanted]


def test_reading_ahead_gives_the_same_items_and_the_same_trouble() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise LookupError("trouble")

    read = ahead(items())
    assert [next(read) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(LookupError, match="trouble"):
        next(read)


class Gate:
    """Work that goes on only when it is let through, and says who is at it."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.interrupted = threading.Event()
        self._arrivals = threading.Semaphore(0)

    def wait_for(self, arrivals: int) -> None:
        for _ in range(arrivals):
            assert self._arrivals.acquire(timeout=10)

    def stay(self, item: int) -> int:
        self.begun.append(item)
        self._arrivals.release()
        assert self.interrupted.wait(10)
        return item


def test_work_side_by_side_gives_what_each_item_comes_to() -> None:
    found = side_by_side(lambda item: item * item, range(20), at_once=3, interrupt=lambda: None)
    assert sorted(found) == [item * item for item in range(20)]


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_so_many_are_at_work_at_a_time_and_no_more(at_once: int) -> None:
    together = threading.Barrier(at_once)
    working, most = threading.Semaphore(at_once), []

    def work(item: int) -> int:
        most.append(working.acquire(blocking=False))
        together.wait(10)  # all of them are here at the same time
        working.release()
        return item

    assert len(list(side_by_side(work, range(6), at_once=at_once, interrupt=lambda: None))) == 6
    assert all(most)


def test_after_a_failure_nothing_more_begins_and_what_has_begun_is_waited_for() -> None:
    begun, ended = [], []

    def work(item: int) -> int:
        begun.append(item)
        if item == 1:
            raise LookupError("trouble")
        ended.append(item)
        return item

    with pytest.raises(LookupError, match="trouble"):
        list(
            side_by_side(work, count(), at_once=2, interrupt=lambda: None)
        )  # endless, unless the failure ends it
    assert sorted(ended) == sorted(set(begun) - {1})


def test_who_stops_asking_interrupts_what_has_begun() -> None:
    gate = Gate()

    def work(item: int) -> int:
        return item if item == 0 else gate.stay(item)

    with closing(side_by_side(work, range(10), at_once=2, interrupt=gate.interrupted.set)) as found:
        assert next(found) == 0
        gate.wait_for(1)
    assert gate.interrupted.is_set()
    assert gate.begun == [1]
