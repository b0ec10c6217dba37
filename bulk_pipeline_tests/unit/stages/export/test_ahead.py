"""Batches that are read while others are written."""

import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest

from bulk_pipeline.stages.export.ahead import read_ahead


def batches(count: int, error: BaseException | None = None) -> Iterator[pa.RecordBatch]:
    for number in range(count):
        yield pa.RecordBatch.from_pydict({"n": [number]})
    if error is not None:
        raise error


def numbers(ahead: Iterator[pa.RecordBatch]) -> list[int]:
    return [number for batch in ahead for number in batch["n"].to_pylist()]


@pytest.mark.parametrize("count", [0, 1, 50])
def test_they_come_in_their_order(count: int) -> None:
    assert numbers(read_ahead(batches(count))) == list(range(count))


def test_what_reading_raises_comes_after_what_was_read() -> None:
    ahead = read_ahead(batches(3, KeyboardInterrupt("stop")))
    assert [next(ahead)["n"][0].as_py() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyboardInterrupt, match="stop"):
        next(ahead)


def test_who_stops_early_leaves_no_thread_behind() -> None:
    source = batches(1000)
    ahead = read_ahead(source)
    next(ahead)
    ahead.close()
    assert "read ahead" not in {thread.name for thread in threading.enumerate()}
    assert len(numbers(source)) > 900, "it can be read on by somebody else"
