"""Concurrent threads: the order of their results, and the effect of errors."""

import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import count

import pyarrow as pa
import pytest

from bulk_pipeline.concurrency import as_they_finish, ordered_map, read_ahead, share_stream


def batches(number: int) -> Iterator[pa.RecordBatch]:
    return (pa.record_batch({"_row": [row]}) for row in range(number))


def rows(part: Iterator[pa.RecordBatch]) -> list[int]:
    return [row for batch in part for row in batch["_row"].to_pylist()]


def not_now() -> None:
    raise AssertionError("nothing had to be interrupted")


@pytest.mark.parametrize("number", [0, 1, 100])
def test_every_batch_is_in_one_part(number: int) -> None:
    parts = share_stream(rows, batches(number), 3, interrupt=not_now)
    assert len(parts) == 3
    assert sorted(row for part in parts for row in part) == list(range(number))


def test_the_parts_are_worked_on_at_the_same_time() -> None:
    together = threading.Barrier(2)

    def work(part: Iterator[pa.RecordBatch]) -> list[int]:
        together.wait(timeout=10)
        return rows(part)

    assert sorted(map(len, share_stream(work, batches(0), 2, interrupt=not_now))) == [0, 0]


@pytest.mark.parametrize("failing", [0, 1])
def test_when_a_part_fails_the_others_are_interrupted(failing: int) -> None:
    numbers, interrupted = count(), threading.Event()

    def work(part: Iterator[pa.RecordBatch]) -> None:
        if next(numbers) == failing:
            raise LookupError("lost")
        assert interrupted.wait(timeout=10)

    with pytest.raises(LookupError, match="lost"):
        share_stream(work, batches(5), 2, interrupt=interrupted.set)


def numbered(count: int, error: BaseException | None = None) -> Iterator[pa.RecordBatch]:
    for number in range(count):
        yield pa.RecordBatch.from_pydict({"n": [number]})
    if error is not None:
        raise error


def numbers(ahead: Iterator[pa.RecordBatch]) -> list[int]:
    return [number for batch in ahead for number in batch["n"].to_pylist()]


@pytest.mark.parametrize("count", [0, 1, 50])
def test_they_come_in_their_order(count: int) -> None:
    assert numbers(read_ahead(numbered(count))) == list(range(count))


def test_an_error_of_reading_comes_after_the_items_before_it() -> None:
    ahead = read_ahead(numbered(3, KeyboardInterrupt("stop")))
    assert [next(ahead)["n"][0].as_py() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyboardInterrupt, match="stop"):
        next(ahead)


def test_an_iterator_closed_early_leaves_no_thread_behind() -> None:
    source = numbered(1000)
    ahead = read_ahead(source)
    next(ahead)
    ahead.close()
    assert "read ahead" not in {thread.name for thread in threading.enumerate()}
    assert len(numbers(source)) > 900, "it can be read on by somebody else"


def test_reading_ahead_gives_the_same_items_and_the_same_trouble() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise LookupError("trouble")

    read = read_ahead(items(), waiting=1)
    assert [next(read) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(LookupError, match="trouble"):
        next(read)


class Gate:
    """Work that waits until it may continue, and records its items."""

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


def test_concurrent_work_returns_the_result_of_each_item() -> None:
    result = as_they_finish(lambda item: item * item, range(20), at_once=3, interrupt=lambda: None)
    assert sorted(result) == [item * item for item in range(20)]


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_no_more_than_at_once_run_at_a_time(at_once: int) -> None:
    together = threading.Barrier(at_once)
    working, most = threading.Semaphore(at_once), []

    def work(item: int) -> int:
        most.append(working.acquire(blocking=False))
        together.wait(10)  # all of them are here at the same time
        working.release()
        return item

    assert len(list(as_they_finish(work, range(6), at_once=at_once, interrupt=lambda: None))) == 6
    assert all(most)


def test_after_a_failure_nothing_more_begins_and_running_items_finish() -> None:
    begun, ended = [], []

    def work(item: int) -> int:
        begun.append(item)
        if item == 1:
            raise LookupError("trouble")
        ended.append(item)
        return item

    with pytest.raises(LookupError, match="trouble"):
        list(
            as_they_finish(work, count(), at_once=2, interrupt=lambda: None)
        )  # endless, unless the failure ends it
    assert sorted(ended) == sorted(set(begun) - {1})


def test_closing_the_iterator_interrupts_running_items() -> None:
    gate = Gate()

    def work(item: int) -> int:
        return item if item == 0 else gate.stay(item)

    with closing(as_they_finish(work, range(10), at_once=2, interrupt=gate.interrupted.set)) as result:
        assert next(result) == 0
        gate.wait_for(1)
    assert gate.interrupted.is_set()
    assert gate.begun == [1]


@pytest.mark.parametrize("at_once", [1, 3])
def test_an_ordered_map_yields_the_results_in_the_order_of_the_items(at_once: int) -> None:
    last_first = [threading.Event() for _ in range(3)]

    def work(item: int) -> int:
        if at_once == 3 and item < 2:
            assert last_first[item + 1].wait(10)  # each waits for the one after it
        last_first[item].set()
        return item * item

    assert ordered_map(work, range(3), at_once=at_once) == [0, 1, 4]


def test_an_ordered_map_raises_the_error_of_the_first_item_that_failed() -> None:
    second_failed = threading.Event()

    def work(item: int) -> None:
        if item == 1:
            second_failed.set()
        assert second_failed.wait(10)
        raise LookupError(f"trouble {item}")

    with pytest.raises(LookupError, match="trouble 0"):
        ordered_map(work, range(2), at_once=2)
