"""Absent columns of a row, such as keys that a JSON object does not have.

A NULL cell sets NULL; a column that is absent from a row keeps its stored value, or gets its default if the row is
inserted. Both are NULL among the cells, so rows tell them apart in one more column, `_absent`: a bit for every column
of the table, in the declared order, set if the column is absent. Eight columns make a byte, the first one its lowest
bit, as in `numpy.packbits` and in Postgres' `get_bit` of a bytea.

The parser gives bits for all columns of the table, since it knows only at the end of a file which columns the file has.
Rows that all have the same columns, enough of them to be inserted, have no `_absent` and cost nothing. Nor do formats
with a header have it: there a column is absent from the whole file.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from bulk_pipeline.schema import Table

COLUMN = "_absent"

Rows: TypeAlias = pa.RecordBatch | pa.Table


def cell(table: Table, absent: Collection[str]) -> bytes:
    """Return the cell of one row from which the columns in `absent` are absent."""
    return np.packbits([name in absent for name in table.column_names], bitorder="little").tobytes()


def cells(table: Table, rows: int, absent: Mapping[str, np.ndarray | bool]) -> pa.Array:
    """Return a cell for each row. `absent` has masks of the rows by column; other columns are in all rows."""
    bits = np.zeros((rows, len(table.columns)), bool)
    for name, without in absent.items():
        bits[:, table.column_names.index(name)] = without
    return _packed(bits)


def bits(cells: pa.Array | pa.ChunkedArray, table: Table) -> np.ndarray:
    """Return a row of booleans for each cell, one per column of the table."""
    return np.unpackbits(octets(cells), axis=1, count=len(table.columns), bitorder="little").view(bool)


def octets(cells: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Return a row of bytes for each cell."""
    whole = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
    width = whole.type.byte_width
    data = np.frombuffer(whole.buffers()[1] or b"", np.uint8)
    return data[width * whole.offset : width * (whole.offset + len(whole))].reshape(len(whole), width)


def absent(rows: Rows, table: Table) -> dict[str, np.ndarray]:
    """Return masks of the rows from which a column is absent, by column, for columns with such rows."""
    if COLUMN not in rows.schema.names or not rows.num_rows:
        return {}
    flags = bits(rows[COLUMN], table)
    return {name: flags[:, at] for at, name in enumerate(table.column_names) if flags[:, at].any()}


def with_present(rows: pa.Table, table: Table, present: Mapping[str, Sequence[int]]) -> pa.Table:
    """Return `rows` with columns marked as present in the rows at the positions that `present` has for each."""
    if COLUMN not in rows.column_names:
        return rows
    flags = bits(rows[COLUMN], table)
    for name, positions in present.items():
        flags[positions, table.column_names.index(name)] = False
    return rows.set_column(rows.column_names.index(COLUMN), COLUMN, _packed(flags))


def _packed(bits: np.ndarray) -> pa.Array:
    packed = np.packbits(bits, axis=1, bitorder="little")
    rows, width = packed.shape
    return pa.Array.from_buffers(pa.binary(width), rows, [None, pa.py_buffer(packed)])
