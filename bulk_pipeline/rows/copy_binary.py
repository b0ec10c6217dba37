"""Arrow rows in COPY's binary format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".

A row is a count of its fields and then each field (see `arrow.copy_fields`). A whole column of fields is made at a
time, by the codec of the column's type, and the columns are joined row by row.
"""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow import copy_fields
from bulk_pipeline.arrow.bytes import text_bytes
from bulk_pipeline.schema import Column
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline.stages import absence

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"


def tuples(rows: pa.Table, declared: list[Column | None]) -> memoryview:
    """The rows, as they stand between `HEADER` and `TRAILER`.

    `declared`: the table's column for each column of `rows`, or None for a column of our own (`_row`, `_forced`,
    `_absent`), which is int64, boolean or fixed-size binary.
    """
    count = pa.scalar(len(declared).to_bytes(2, "big"))
    fields = [
        field
        for cells, column in zip(rows.columns, declared, strict=True)
        for field in _fields(cells, column)
    ]
    return text_bytes(pc.binary_join_element_wise(count, *fields, copy_fields.NOTHING)).data


def _fields(chunks: pa.ChunkedArray, column: Column | None) -> Iterable[pa.Array]:
    """Arrays of bytes that make up the column's fields when they are joined."""
    cells = pa.concat_arrays(chunks.chunks) if chunks.num_chunks != 1 else chunks.chunk(0)
    if column is not None:
        return codec_of(column).to_copy(cells)
    if pa.types.is_fixed_size_binary(cells.type):
        return [copy_fields.fixed(cells, absence.octets)]
    is_boolean = pa.types.is_boolean(cells.type)
    return [copy_fields.fixed(cells, copy_fields.booleans if is_boolean else copy_fields.integers)]
