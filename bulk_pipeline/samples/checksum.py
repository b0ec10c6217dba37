"""A checksum of a table's content, independent of the order of its rows, computed here and by Postgres.

A row is the text of its cells, separated by control characters; the checksum is the sum of the first 64
bits of the rows' MD5, modulo 2^64. So checksums of parts can be added, and a row can be subtracted.
"""

from collections.abc import Sequence
from hashlib import md5

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.samples.types import cell_sql, sample_of
from bulk_pipeline.schema import Column, Table

MODULUS = 1 << 64
_BETWEEN_CELLS = "\x1f"


def checksum(rows: pa.RecordBatch, columns: Sequence[Column]) -> int:
    """Return the sum over `rows`, a typed batch that has at least `columns`."""
    cells = [_canonical(column, rows[column.name]).cast(pa.large_string()) for column in columns]
    texts = pc.binary_join_element_wise(*cells, pa.scalar(_BETWEEN_CELLS, pa.large_string()))
    rows_as_bytes = texts.cast(pa.large_binary()).to_pylist()
    digests = b"".join([md5(text, usedforsecurity=False).digest() for text in rows_as_bytes])
    return int(np.frombuffer(digests, ">u8")[::2].sum(dtype=np.uint64))


def checksum_sql(table: Table, columns: Sequence[str]) -> str:
    """Return a query for the number of rows (bigint) and the checksum (numeric) of the table, for Postgres 14 or
    later."""
    cells = [_cell(table.column(name)) for name in columns]
    text = f" || chr({ord(_BETWEEN_CELLS)}) || ".join(cells)
    row = f"('x' || left(md5({text}), 16))::bit(64)::bigint::numeric"
    return (
        f"SELECT count(*), mod(mod(coalesce(sum({row}), 0), {MODULUS}) + {MODULUS}, {MODULUS}) "  # noqa: S608 - names of a Table are quoted
        f"FROM {_quoted(table.schema)}.{_quoted(table.name)}"
    )


def _canonical(column: Column, cells: pa.Array) -> pa.Array:
    texts = sample_of(column).checksum_text(column, cells)
    return pc.fill_null(pc.binary_join_element_wise("+", texts, ""), "-")


def _cell(column: Column) -> str:
    name = _quoted(column.name)
    return f"CASE WHEN {name} IS NULL THEN '-' ELSE '+' || {cell_sql(column, name)} END"


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
