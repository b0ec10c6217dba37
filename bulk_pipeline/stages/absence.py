"""Columns that a row says nothing about: keys that a JSON object does not have.

A NULL cell sets NULL; a column that is absent from a row stays as it is, or gets its default if the row is inserted.
Both are NULL among the cells of a row, so rows tell them apart in one more column, `_absent`: a bit for every column of
the table, in the order of the declaration, set where the row says nothing. Eight columns make a byte, the first one its
lowest bit, which is how `numpy.packbits` packs, and how Postgres counts the bits of a bytea (`get_bit`).

The parser gives these bits for every column of the table, because it knows only at the end of the file which columns
the file has. The rows of most files all have the same columns, enough of them to be inserted: such rows have no
`_absent`, and nothing is spent on them. Formats with a header have none either: a column is absent from the whole file.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from bulk_pipeline.schema import Table

COLUMN = "_absent"

Rows: TypeAlias = pa.RecordBatch | pa.Table


def cell(table: Table, absent: Collection[str]) -> bytes:
    """The cell of one row, from which these columns are absent."""
    return np.packbits([name in absent for name in table.column_names], bitorder="little").tobytes()


def cells(table: Table, rows: int, absent: Mapping[str, np.ndarray | bool]) -> pa.Array:
    """A cell for each row. `absent`: by column, the rows it is absent from; other columns are in all of them."""
    bits = np.zeros((rows, len(table.columns)), bool)
    for name, without in absent.items():
        bits[:, table.column_names.index(name)] = without
    return _packed(bits)


def bits(cells: pa.Array | pa.ChunkedArray, table: Table) -> np.ndarray:
    """A row of booleans for each cell, one for each column of the table."""
    return np.unpackbits(octets(cells), axis=1, count=len(table.columns), bitorder="little").view(bool)


def octets(cells: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """A row of bytes for each cell."""
    whole = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
    width = whole.type.byte_width
    data = np.frombuffer(whole.buffers()[1] or b"", np.uint8)
    return data[width * whole.offset : width * (whole.offset + len(whole))].reshape(len(whole), width)


def absent(rows: Rows, table: Table) -> dict[str, np.ndarray]:
    """By column, the rows it is absent from; only columns that are absent from some."""
    if COLUMN not in rows.schema.names or not rows.num_rows:
        return {}
    found = bits(rows[COLUMN], table)
    return {name: found[:, at] for at, name in enumerate(table.column_names) if found[:, at].any()}


def with_present(rows: pa.Table, table: Table, present: Mapping[str, Sequence[int]]) -> pa.Table:
    """`rows`, of which those at the positions given for a column say something about it now."""
    if COLUMN not in rows.column_names:
        return rows
    found = bits(rows[COLUMN], table)
    for name, positions in present.items():
        found[positions, table.column_names.index(name)] = False
    return rows.set_column(rows.column_names.index(COLUMN), COLUMN, _packed(found))


def _packed(bits: np.ndarray) -> pa.Array:
    packed = np.packbits(bits, axis=1, bitorder="little")
    rows, width = packed.shape
    return pa.Array.from_buffers(pa.binary(width), rows, [None, pa.py_buffer(packed)])
