"""Several threads work through one stream."""

import threading
from collections.abc import Iterator
from itertools import count

import pyarrow as pa
import pytest

from bulk_pipeline.stores.parts import in_parts


def batches(number: int) -> Iterator[pa.RecordBatch]:
    return (pa.record_batch({"_row": [row]}) for row in range(number))


def rows(part: Iterator[pa.RecordBatch]) -> list[int]:
    return [row for batch in part for row in batch["_row"].to_pylist()]


def not_now() -> None:
    raise AssertionError("nothing had to be interrupted")


@pytest.mark.parametrize("number", [0, 1, 100])
def test_every_batch_is_in_one_part(number: int) -> None:
    parts = in_parts(rows, batches(number), 3, interrupt=not_now)
    assert len(parts) == 3
    assert sorted(row for part in parts for row in part) == list(range(number))


def test_the_parts_are_worked_on_at_the_same_time() -> None:
    together = threading.Barrier(2)

    def work(part: Iterator[pa.RecordBatch]) -> list[int]:
        together.wait(timeout=10)
        return rows(part)

    assert sorted(map(len, in_parts(work, batches(0), 2, interrupt=not_now))) == [0, 0]


@pytest.mark.parametrize("failing", [0, 1])
def test_when_a_part_fails_the_others_are_interrupted(failing: int) -> None:
    numbers, interrupted = count(), threading.Event()

    def work(part: Iterator[pa.RecordBatch]) -> None:
        if next(numbers) == failing:
            raise LookupError("lost")
        assert interrupted.wait(timeout=10)

    with pytest.raises(LookupError, match="lost"):
        in_parts(work, batches(5), 2, interrupt=interrupted.set)
