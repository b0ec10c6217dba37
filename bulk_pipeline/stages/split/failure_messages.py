"""Messages of failures about keys, references and constraints, for a column of rows at a time."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.errors import IndexLimit, RowsRefusedError
from bulk_pipeline.schema import Column, ForeignKey, Key, Table
from bulk_pipeline.stages.failures import FAILURES, Code, FailureCode, none
from bulk_pipeline.stages.key_cells import Rows, is_complete, keys_in, texts, whole
from bulk_pipeline.stages.shown import shown, value
from bulk_pipeline.stages.validate.checks import CHECKS

_ENTRY_OVERHEAD = 64
"""So many bytes at most an entry of an index has beside its longest value, as far as we look for that value."""


def unknown_reference(rows: Rows, table: Table, key: ForeignKey) -> pa.RecordBatch:
    """`rows` name a row of the key's table that does not exist."""
    named = _named(rows, table, key.columns)
    return _about(rows, table, key.columns, Code.UNKNOWN_REFERENCE, named, f" is not in {key.parent}")


def duplicate_in_file(rows: Rows, table: Table, key: Key, winners: np.ndarray) -> pa.RecordBatch:
    """`rows` repeat the key of the rows of the file whose numbers are `winners`."""
    said = pc.binary_join_element_wise(
        _named(rows, table, key.columns),
        " was already used in row ",
        pa.array(winners, pa.int64()).cast(pa.string()),
        "",
    )
    return _about(rows, table, key.columns, Code.DUPLICATE_IN_FILE, said)


def already_exists(rows: Rows, table: Table, key: Key) -> pa.RecordBatch:
    """`rows` have the key of a row of the table."""
    named = _named(rows, table, key.columns)
    return _about(rows, table, key.columns, Code.ALREADY_EXISTS, named, f" is already in {table.upload_name}")


def key_conflict(rows: Rows, table: Table) -> pa.RecordBatch:
    """Return the failures of rows whose keys belong to different stored rows, and of new rows whose NULLs equal the key
    of another row (NULLS NOT DISTINCT)."""
    keys = [key for _, key in keys_in(table, rows.schema.names)]
    named = [
        pc.if_else(pa.array(is_complete(rows, table, key)), _named(rows, table, key.columns), None)
        for key in keys
    ]
    of_nulls = [_named(rows, table, key.columns) for key in table.keys if not key.nulls_distinct]
    said = _joined(named, rows.num_rows)
    if of_nulls:
        said = pc.if_else(pc.equal(said, ""), _joined(of_nulls, rows.num_rows), said)
    different = "two different rows" if len(keys) == 2 else "different rows"
    columns = (keys or table.keys)[-1].columns
    return _about(rows, table, columns, Code.KEY_CONFLICT, said, f" point at {different}")


def _joined(named: Sequence[pa.Array], count: int) -> pa.Array:
    """Return the names of each row's keys; empty where all are NULL, which Arrow's own join with `skip` leaves out."""
    rows = zip(*(names.to_pylist() for names in named), strict=True) if named else [()] * count
    return pa.array([" and ".join(filter(None, names)) for names in rows], pa.string())


def required(rows: Rows, table: Table, column: Column) -> pa.RecordBatch:
    """`rows` would be new ones, and lack a required column."""
    nothing = pa.nulls(rows.num_rows, pa.string())
    sentences = CHECKS["required"].sentences(column, nothing)
    return _about(rows, table, (column.name,), Code.REQUIRED, sentences)


def constraint(rows: Rows, table: Table, reasons: Sequence[str], column: str | None = None) -> pa.RecordBatch:
    """`rows` were refused by the database for other reasons, one for each."""
    said = pa.array([f"the database refused the row: {reason}" for reason in reasons], pa.string())
    return _about(rows, table, (column,) if column else (), Code.CONSTRAINT, said)


def refused(row: Rows, table: Table, refusal: RowsRefusedError) -> pa.RecordBatch:
    """A single row was refused by the database."""
    limit = refusal.index_limit
    if limit and (column := _too_long(row, limit)):
        index = f"the index {limit.index}" if limit.index else "an index on it"
        size = f"it has {_bytes(row, column):,} bytes, and {index} holds at most {limit.most_bytes:,}"
        return constraint(row, table, [f"{column} is too long: {size}"], column)
    column = refusal.column if refusal.column in row.schema.names else None
    return constraint(row, table, [refusal.reason], column)


def in_row_order(parts: list[pa.RecordBatch]) -> pa.RecordBatch:
    """All failures as one batch, sorted by row; those of one row stay in the order given."""
    found = [part for part in parts if part.num_rows]
    if not found:
        return none()
    together = pa.concat_batches(found) if len(found) > 1 else found[0]
    if (np.diff(together["row"].to_numpy()) >= 0).all():
        return together
    return together.take(pc.sort_indices(together["row"]))


def _too_long(row: Rows, limit: IndexLimit) -> str | None:
    """The column whose cell makes the entry of an index too long."""
    texts = [field.name for field in row.schema if pa.types.is_string(field.type)]
    if limit.index:
        named = [name for name in texts if name in limit.columns]
    else:
        named = [name for name in texts if 0 <= limit.entry_bytes - _bytes(row, name) <= _ENTRY_OVERHEAD]
    return max(named, key=lambda name: _bytes(row, name), default=None)


def _bytes(row: Rows, column: str) -> int:
    return pc.sum(pc.binary_length(whole(row[column]))).as_py() or 0


def _about(
    rows: Rows, table: Table, columns: Sequence[str], code: FailureCode, said: pa.Array, rest: str = ""
) -> pa.RecordBatch:
    """Failures about one column, about several together (`order_id, line_no`, value `5, 2`), or about the whole row."""
    count = rows.num_rows
    written = [_texts(rows, table, name) for name in columns if len(columns) > 1 or name in rows.schema.names]
    nulls = "replace" if len(columns) > 1 else "emit_null"
    nothing = pa.nulls(count, pa.string())
    cells = [
        whole(rows["_row"]),
        whole(rows["_line"]),
        pa.repeat(pa.scalar(", ".join(columns) or None, pa.string()), count),
        pa.repeat(code, count),
        value(pc.binary_join_element_wise(*written, ", ", null_handling=nulls)) if written else nothing,
        pc.binary_join_element_wise(said, rest, "") if rest else said,
    ]
    return pa.RecordBatch.from_arrays(cells, schema=FAILURES)


def _named(rows: Rows, table: Table, columns: Sequence[str]) -> pa.Array:
    """`email 'ada@example.com'`, `order_id '5' with line_no NULL`: short, and on one line."""
    named = []
    for name in columns:
        cells = _texts(rows, table, name)
        words = pc.binary_join_element_wise(f"{name} '", shown(cells), "'", "")
        named.append(pc.fill_null(words, f"{name} NULL"))
    return pc.binary_join_element_wise(*named, " with ")


def _texts(rows: Rows, table: Table, name: str) -> pa.Array:
    """A column that the rows lack is NULL in a new row."""
    return texts(rows, table, name) if name in rows.schema.names else pa.nulls(rows.num_rows, pa.string())
