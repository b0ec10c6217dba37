"""The keys of rows as columns of cells: one text for each row and key, equal where Postgres holds the keys for equal.

A key of one text or uuid column is that column itself. NULL is a key that the row does not have.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.masks import mask
from bulk_pipeline.schema import Key, Table
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline.stages import absence

Rows: TypeAlias = pa.RecordBatch | pa.Table
Cells: TypeAlias = Callable[[Rows, Table, str], pa.Array]
"""`texts` or `forms`."""
R = TypeVar("R", pa.RecordBatch, pa.Table)
_BETWEEN = "\0"
"""No text of Postgres has one."""


def keys_in(table: Table, columns: Sequence[str]) -> list[tuple[int, Key]]:
    """Return the keys that rows with these columns can have, each with its number."""
    return [(number, key) for number, key in enumerate(table.keys) if key.is_in(columns)]


def key_rows(rows: R, table: Table) -> R:
    """Return the rows without the columns that no key needs; what is absent from a row is NULL, as in a new row."""
    names = {"_row", *table.key_columns}
    selected = rows.select([name for name in rows.schema.names if name in names])
    for key in table.keys:
        for name in () if key.nulls_distinct else key.columns:
            column = table.column(name)
            if name not in selected.schema.names and not column.null_keeps_stored:
                selected = selected.append_column(name, pa.nulls(rows.num_rows, codec_of(column).arrow))
    return selected


def cells(rows: Rows, table: Table, key: Key) -> pa.Array:
    """Return the key of each row; NULL where it is incomplete."""
    parts = [forms(rows, table, name) for name in key.columns]
    if key.nulls_distinct:
        return parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, _BETWEEN)
    marked = [pc.fill_null(pc.binary_join_element_wise("=", part, ""), "") for part in parts]
    joined = pc.binary_join_element_wise(*marked, _BETWEEN)
    return pc.if_else(pa.array(is_complete(rows, table, key)), joined, None)


def texts(rows: Rows, table: Table, name: str) -> pa.Array:
    """Return the texts of one column, which Postgres reads as its cells."""
    column = table.column(name)
    if name in table.key_forms:
        return codec_of(column).to_literal(column, whole(rows[name]))
    return codec_of(column).canonical(column, whole(rows[name]))


def forms(rows: Rows, table: Table, name: str) -> pa.Array:
    """Return a text for each cell of one column, the same for equal cells."""
    written = texts(rows, table, name)
    return table.key_forms[name](written) if name in table.key_forms else written


def stored_forms(table: Table, name: str, stored: pa.Array) -> pa.Array:
    """Return the texts that `forms` gives for cells which Postgres has written as text.

    A value that no file can hold, such as a time before the year 1, stays as Postgres has written it.
    """
    if name in table.key_forms:
        return table.key_forms[name](stored)
    column = table.column(name)
    codec = codec_of(column)
    read = codec.from_text(column, stored)
    return pc.coalesce(codec.canonical(column, read.values), stored)


def whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return the column as one array."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def is_complete(rows: Rows, table: Table, key: Key) -> np.ndarray:
    """Return which rows have the key."""
    complete = np.ones(rows.num_rows, bool)
    for name in key.columns:
        if key.nulls_distinct:
            complete &= _is_valid(rows[name])
        elif (unsaid := is_unsaid(rows, table, name)) is not None:
            complete &= ~unsaid
    return complete


def is_unsaid(rows: Rows, table: Table, name: str) -> np.ndarray | None:
    """Return which rows say nothing about a column that they have; None if all say something."""
    nulls = rows[name].null_count
    if not nulls:
        return None
    column = table.column(name)
    if column.null_keeps_stored:
        return ~_is_valid(rows[name])
    return absence.absent(rows, table).get(name)


def first_keys(rows: Rows, table: Table) -> np.ndarray:
    """Return the number of the first key that each row has, -1 if it has none."""
    found = np.full(rows.num_rows, -1, np.int64)
    for number, key in reversed(keys_in(table, rows.schema.names)):
        found[is_complete(rows, table, key)] = number
    return found


def has_partial_keys(batches: Iterable[pa.RecordBatch], table: Table) -> bool:
    """Return whether some row says something about one column of a key and nothing about another one."""
    keys = [key for key in table.keys if len(key.columns) > 1]
    made = any(table.column(name).null_keeps_stored for key in keys for name in key.columns)
    for rows in batches if keys else ():
        if _is_partial(rows, table, keys):
            return True
        if not made and absence.COLUMN not in rows.schema.names:
            return False  # all rows say something about the same columns
    return False


def _is_partial(rows: pa.RecordBatch, table: Table, keys: Sequence[Key]) -> bool:
    for key in keys:
        present = [name for name in key.columns if name in rows.schema.names]
        if 0 < len(present) < len(key.columns):
            return True
        unsaid = [is_unsaid(rows, table, name) for name in present]
        if any(silent is not None for silent in unsaid):
            nothing = np.zeros(rows.num_rows, bool)
            flags = np.stack([nothing if silent is None else silent for silent in unsaid])
            if (flags.any(axis=0) & ~flags.all(axis=0)).any():
                return True
    return False


def sayings(rows: Rows, table: Table, cells_of: Cells = texts) -> Iterator[dict[str, str | None]]:
    """Yield for each row the texts, or the forms, of the key columns that it says something about."""
    names = [name for name in table.key_columns if name in rows.schema.names]
    columns = [cells_of(rows, table, name).to_pylist() for name in names]
    silent = [is_unsaid(rows, table, name) for name in names]
    if all(flags is None for flags in silent):
        for values in zip(*columns, strict=True) if columns else [()] * rows.num_rows:
            yield dict(zip(names, values, strict=True))
        return
    for at in range(rows.num_rows):
        yield {
            name: values[at]
            for name, values, flags in zip(names, columns, silent, strict=True)
            if flags is None or not flags[at]
        }


def of_blank_row(table: Table) -> dict[str, None]:
    """Return the key columns that are NULL in a new row which says nothing about them."""
    return {name: None for name in table.key_columns if not table.column(name).null_keeps_stored}


def _is_valid(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    return mask(pc.is_valid(column))
