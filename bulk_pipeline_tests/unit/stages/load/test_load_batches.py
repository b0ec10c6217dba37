"""What `batches` promises: every source row belongs to one range, and reading ahead changes nothing."""

from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline.stages.load.batches import ahead, cut, ranges
from bulk_pipeline.stages.load.row_store import Range


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
