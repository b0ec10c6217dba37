"""Every source row belongs to one range."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline.stages.load.batches import cut, ranges, rows_of_a_range
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


def test_a_range_reads_as_its_rows() -> None:
    assert str(Range(1, 5)) == "rows 1 to 5"


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
