"""How failures about keys, references and constraints read: a column of rows at a time."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.errors import IndexLimit, RowsRefusedError
from bulk_pipeline.schema import Column, ForeignKey, Table
from bulk_pipeline.stages.failures import FAILURES, Code, none
from bulk_pipeline.stages.shown import shown, value
from bulk_pipeline.stages.validate.sentences import sentences

Rows: TypeAlias = pa.RecordBatch | pa.Table
_ENTRY_OVERHEAD = 64
"""So many bytes at most an entry of an index has beside its longest value, as far as we look for that value."""


def unknown_reference(rows: Rows, key: ForeignKey) -> pa.RecordBatch:
    """`rows` name a row of `key.table` that does not exist."""
    return _about(
        rows, key.column, Code.UNKNOWN_REFERENCE, _cell(rows, key.column), f" is not in {key.table}"
    )


def duplicate_in_file(rows: Rows, column: str, winners: pa.Array) -> pa.RecordBatch:
    """`rows` repeat, in `column`, the rows of the file whose numbers are `winners`."""
    said = pc.binary_join_element_wise(
        _cell(rows, column), " was already used in row ", winners.cast(pa.string()), ""
    )
    return _about(rows, column, Code.DUPLICATE_IN_FILE, said)


def already_exists(rows: Rows, column: str, table: Table) -> pa.RecordBatch:
    """`rows` have a value in `column` that a row of the table has too."""
    return _about(rows, column, Code.ALREADY_EXISTS, _cell(rows, column), f" is already in {table.name}")


def key_conflict(rows: Rows, table: Table) -> pa.RecordBatch:
    """`rows` have an id and a natural key that point at two different rows."""
    key = str(table.natural_key)
    said = pc.binary_join_element_wise(_cell(rows, "id"), " and ", _cell(rows, key), "")
    return _about(rows, key, Code.KEY_CONFLICT, said, " point at two different rows")


def required(rows: Rows, column: Column) -> pa.RecordBatch:
    """`rows` would be new ones, and lack a required column."""
    nothing = pa.nulls(rows.num_rows, pa.string())
    return _about(rows, column.name, Code.REQUIRED, sentences("required", column, nothing))


def constraint(rows: Rows, reasons: Sequence[str], column: str | None = None) -> pa.RecordBatch:
    """`rows` were refused by the database for other reasons, one for each."""
    said = pa.array([f"the database refused the row: {reason}" for reason in reasons], pa.string())
    return _about(rows, column, Code.CONSTRAINT, said)


def refused(row: Rows, refusal: RowsRefusedError) -> pa.RecordBatch:
    """A single row was refused by the database."""
    limit = refusal.index_limit
    if limit and (column := _too_long(row, limit)):
        index = f"the index {limit.index}" if limit.index else "an index on it"
        size = f"it has {_bytes(row, column):,} bytes, and {index} holds at most {limit.most_bytes:,}"
        return constraint(row, [f"{column} is too long: {size}"], column)
    return constraint(row, [refusal.reason], refusal.column if refusal.column in row.schema.names else None)


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
    return pc.sum(pc.binary_length(_column(row, column))).as_py() or 0


def _about(rows: Rows, column: str | None, code: Code, said: pa.Array, rest: str = "") -> pa.RecordBatch:
    count = rows.num_rows
    nothing = pa.nulls(count, pa.string())
    cells = [
        _column(rows, "_row"),
        _column(rows, "_line"),
        pa.repeat(pa.scalar(column, pa.string()), count),
        pa.repeat(code.value, count),
        value(_column(rows, column)) if column and column in rows.schema.names else nothing,
        pc.binary_join_element_wise(said, rest, "") if rest else said,
    ]
    return pa.RecordBatch.from_arrays(cells, schema=FAILURES)


def _cell(rows: Rows, column: str) -> pa.Array:
    """`email 'ada@example.com'`, as it reads inside a sentence: short, and on one line."""
    return pc.binary_join_element_wise(f"{column} '", shown(_column(rows, column)), "'", "")


def _column(rows: Rows, name: str) -> pa.Array:
    column = rows[name]
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
