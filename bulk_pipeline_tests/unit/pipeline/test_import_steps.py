"""The steps read the work files of the previous step."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bulk_pipeline import tables
from bulk_pipeline.pipeline import import_steps
from bulk_pipeline.pipeline.work_files import WorkLocation
from bulk_pipeline.schema import ForeignKey, Mode
from bulk_pipeline.stages import absence
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
    parsed = import_steps.parse_upload(upload, "job", 1, table, Mode.INSERT_ONLY, work)
    checked = import_steps.validate_rows(parsed, work)
    assert sum(batch.num_rows for batch in checked.batches(work, "parse_failures")) == 1 + malformed
    assert list(checked.batches(work, "validate_failures")) == []


class NoReferences:
    """References to nothing."""

    def missing(self, key: ForeignKey, values: pa.RecordBatch) -> np.ndarray:
        raise AssertionError(f"{key.table} was asked for {values}")


@pytest.mark.parametrize("malformed", [0, 1, 20_000])
def test_the_good_rows_have_every_column_of_the_file_and_nothing_of_a_rejected_row(
    tmp_path: Path, malformed: int
) -> None:
    """This holds for any number of batches without a readable record."""
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
    parsed = import_steps.parse_upload(upload, "job", 1, table, Mode.INSERT_ONLY, work)
    parted = import_steps.split_rows(
        import_steps.validate_rows(parsed, work), NoReferences(), EmptyTable(), work
    )
    rows = [row for batch in parted.good_rows(work) for row in batch.to_pylist()]
    assert [tuple(row.values()) for row in rows] == [
        (1, 2, ids[0], "ann@example.com", "Ann", "admin", True),
        (2 + malformed, 3 + malformed, ids[1], "bob@example.com", "Bob", "reader", True),
        (5 + malformed, 6 + malformed, ids[4], "dan@example.com", "Dan", "editor", False),
    ]
    assert list(rows[0]) == ["_row", "_line", "id", "email", "name", "role", "active"]
    assert (parted.rows, parted.good) == (5 + malformed, 3)


@pytest.mark.parametrize(
    ("data", "mode", "absent"),
    [
        pytest.param(b'{"email":"a@x.co","city":null}\n' * 3, Mode.UPSERT, None, id="all have the same keys"),
        pytest.param(
            b'{"email":"a@x.co"}\n{"email":"b@x.co","city":"x"}\n', Mode.INSERT_ONLY, None, id="inserts"
        ),
        pytest.param(
            b'{"email":"a@x.co"}\n[1]\n{"email":"b@x.co","city":null}\n',
            Mode.UPSERT,
            [(1, {"city"}), (3, set())],
            id="some lack a key",
        ),
        pytest.param(
            b'{"id":"01941f29-7c00-7101-91dd-c9a1a55270d1","city":"x"}\n',
            Mode.UPSERT,
            [(1, set())],
            id="none can be inserted",
        ),
    ],
)
def test_good_rows_have_their_absent_columns_if_the_mode_needs_them(
    tmp_path: Path, data: bytes, mode: Mode, absent: list[tuple[int, set[str]]] | None
) -> None:
    work, table = WorkLocation(tmp_path), tables.get("customers")
    upload = open_upload(io.BytesIO(data), "a.ndjson", table=table, mode=mode)
    parsed = import_steps.parse_upload(upload, "job", 1, table, mode, work)
    state = import_steps.split_rows(
        import_steps.validate_rows(parsed, work), NoReferences(), EmptyTable(), work
    )
    (rows,) = state.good_rows(work)
    assert (
        (parsed.files["absences"] is not None)
        == (absence.COLUMN in rows.schema.names)
        == (absent is not None)
    )
    if absent is not None:
        result = absence.absent(rows, table)
        assert [
            (row, {name for name in state.columns if name in result and result[name][at]})
            for at, row in enumerate(rows["_row"].to_pylist())
        ] == absent


def test_a_column_that_turns_up_in_a_later_batch_is_absent_from_the_rows_before_it(tmp_path: Path) -> None:
    data = (
        b"".join(b'{"email":"%0110d@x.co"}\n' % number for number in range(20_000))
        + b'{"email":"z@x.co","city":"x"}'
    )
    work, table = WorkLocation(tmp_path), tables.get("customers")
    upload = open_upload(io.BytesIO(data), "a.ndjson", table=table, mode=Mode.UPSERT)
    parsed = import_steps.parse_upload(upload, "job", 1, table, Mode.UPSERT, work)
    state = import_steps.split_rows(
        import_steps.validate_rows(parsed, work), NoReferences(), EmptyTable(), work
    )
    batches = list(state.good_rows(work))
    assert len(batches) > 1
    having = [not absence.absent(rows, table)["city"][at] for rows in batches for at in range(rows.num_rows)]
    assert having == [False] * 20_000 + [True]
