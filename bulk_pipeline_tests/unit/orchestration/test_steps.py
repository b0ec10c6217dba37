"""What a step makes of the work files of the one before it."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bulk_pipeline import tables
from bulk_pipeline.orchestration import steps
from bulk_pipeline.orchestration.work import WorkLocation
from bulk_pipeline.schema import Mode
from bulk_pipeline.stages.parse import open_upload
from bulk_pipeline.stages.split.key_claims import nothing_stored

UNREADABLE = b'{"email": "a\\u0000b"}\n'
MALFORMED = b"[1]\n"


class EmptyTable:
    def existing(self, rows: pa.RecordBatch) -> np.ndarray:
        return nothing_stored(rows)

    def keep(self) -> None:
        pass


@pytest.mark.parametrize("malformed", range(9))
def test_a_cell_that_cannot_be_read_is_not_said_to_be_empty_too(tmp_path: Path, malformed: int) -> None:
    work, table = WorkLocation(tmp_path), tables.get("customers")
    upload = open_upload(
        io.BytesIO(UNREADABLE + MALFORMED * malformed), "a.ndjson", table=table, mode=Mode.INSERT_ONLY
    )
    parsed = steps.parse_upload(upload, "job", 1, table, Mode.INSERT_ONLY, work)
    checked = steps.validate_rows(parsed, work)
    assert sum(batch.num_rows for batch in checked.batches(work, "parse_failures")) == 1 + malformed
    assert list(checked.batches(work, "validate_failures")) == []


class NoReferences:
    """Nobody refers to anything."""

    def missing(self, table: str, ids: pa.Array) -> pa.Array:
        raise AssertionError(f"{table} was asked for {ids}")


@pytest.mark.parametrize("malformed", [0, 1, 20_000])
def test_the_good_rows_have_every_column_of_the_file_and_nothing_of_a_rejected_row(
    tmp_path: Path, malformed: int
) -> None:
    """However many batches there are without a record that can be read."""
    ids = [f"01941f29-7c00-7101-91dd-c9a1a55270d{n}" for n in range(5)]
    lines = [
        "name,id,email,role,active",
        f"Ann,{ids[0]},ann@example.com,admin,yes",
        *["too,few"] * malformed,
        f"Bob,{ids[1]},bob@example.com,reader,",
        f",{ids[2]},nameless@example.com,reader,no",
        f"Eve,{ids[3]},ann@example.com,reader,no",
        f"Dan,{ids[4]},dan@example.com,editor,no",
    ]
    work, table = WorkLocation(tmp_path), tables.get("users")
    text = io.BytesIO("\n".join(lines).encode())
    upload = open_upload(text, "a.csv", table=table, mode=Mode.INSERT_ONLY)
    parsed = steps.parse_upload(upload, "job", 1, table, Mode.INSERT_ONLY, work)
    parted = steps.split_rows(steps.validate_rows(parsed, work), NoReferences(), EmptyTable(), work)
    rows = [row for batch in parted.good_rows(work) for row in batch.to_pylist()]
    assert [tuple(row.values()) for row in rows] == [
        (1, 2, ids[0], "ann@example.com", "Ann", "admin", True),
        (2 + malformed, 3 + malformed, ids[1], "bob@example.com", "Bob", "reader", True),
        (5 + malformed, 6 + malformed, ids[4], "dan@example.com", "Dan", "editor", False),
    ]
    assert list(rows[0]) == ["_row", "_line", "id", "email", "name", "role", "active"]
    assert (parted.rows, parted.good) == (5 + malformed, 3)
