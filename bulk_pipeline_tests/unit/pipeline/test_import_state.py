"""Failures are read in step with their rows."""

import pyarrow as pa

from bulk_pipeline.pipeline.import_state import FailureReader
from bulk_pipeline.stages.failures import FAILURES


def failures(*rows: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [{"row": row, "code": "required", "message": "missing"} for row in rows], schema=FAILURES
    )


def test_failures_are_read_alongside_the_rows_they_belong_to() -> None:
    reader = FailureReader([failures(1, 3), failures(4), failures(9)])
    assert [reader.through(row)["row"].to_pylist() for row in (2, 3, 8, 20)] == [[1], [3], [4], [9]]


def test_a_row_without_failures_gets_none() -> None:
    reader = FailureReader([])
    assert reader.through(100).num_rows == 0
