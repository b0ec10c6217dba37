"""Arrow rows into Postgres by COPY, and texts as arrays for parameters."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection, sql

from bulk_pipeline.arrow.text import Bytes
from bulk_pipeline.postgres.connection import stopping
from bulk_pipeline.rows import copy_binary, copy_text
from bulk_pipeline.schema import Column, Table
from bulk_pipeline.schema.types import codec_of

_PIECE_ROWS = 8_192
_BINARY, _CSV = sql.SQL("FORMAT binary"), sql.SQL("FORMAT csv, ENCODING 'UTF8'")
ISO_DATES = "SET LOCAL DateStyle = 'ISO, YMD'"
"""For texts that Postgres reads itself: the order of day and month is not the server's choice."""


def copy_rows(
    connection: Connection, target: sql.Composable, rows: pa.RecordBatch | pa.Table, table: Table
) -> int:
    """COPY all columns of `rows` into the columns of the same names: those of `table`, or `_row`, `_forced` and the
    column of `stages.absence`.

    Returns how many rows Postgres says it has stored: fewer if a trigger drops some.
    """
    columns = sql.SQL(", ").join(map(sql.Identifier, rows.schema.names))
    own = set(table.column_names)
    declared = [table.column(name) if name in own else None for name in rows.schema.names]
    if all(column is None or codec_of(column).is_binary for column in declared):
        format_, encoded = _BINARY, _binary(rows, declared)
    else:
        format_, encoded = _CSV, _csv(rows, declared)
        connection.execute(ISO_DATES)
    statement = sql.SQL("COPY {} ({}) FROM STDIN ({})").format(target, columns, format_)
    cursor = connection.cursor()
    with cursor.copy(statement) as copy, stopping(connection):
        for piece in encoded:
            copy.write(piece)
    return cursor.rowcount


def _binary(rows: pa.RecordBatch | pa.Table, declared: list[Column | None]) -> Iterator[Bytes]:
    yield copy_binary.HEADER
    for piece in _pieces(rows):
        yield copy_binary.tuples(piece, declared)
    yield copy_binary.TRAILER


def _csv(rows: pa.RecordBatch | pa.Table, declared: list[Column | None]) -> Iterator[Bytes]:
    for piece in _pieces(rows):
        yield memoryview(copy_text.records(piece, declared))


def _pieces(rows: pa.RecordBatch | pa.Table) -> Iterator[pa.Table]:
    """A few thousand rows at a time, so that wide rows do not pile up."""
    for start in range(0, rows.num_rows, _PIECE_ROWS):
        piece = rows.slice(start, _PIECE_ROWS)
        yield pa.Table.from_batches([piece]) if isinstance(piece, pa.RecordBatch) else piece


def array_literal(cells: pa.Array | pa.ChunkedArray) -> str:
    """Texts as one Postgres array, to be passed as a parameter."""
    return f"{{{','.join(_elements(cells).to_pylist())}}}"


def _elements(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    escaped = pc.replace_substring_regex(values, r'([\\"])', r"\\\1")
    return pc.fill_null(pc.binary_join_element_wise('"', escaped, '"', ""), "NULL")
