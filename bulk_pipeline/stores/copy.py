"""Arrow rows into Postgres by COPY, and texts as arrays for parameters."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection, sql

from bulk_pipeline.schema import Table
from bulk_pipeline.stores import binary
from bulk_pipeline.stores.postgres import stopping

_PIECE_ROWS = 8_192


def copy_rows(
    connection: Connection, target: sql.Composable, rows: pa.RecordBatch | pa.Table, table: Table
) -> int:
    """COPY all columns of `rows` into the columns of the same names: those of `table`, or `_row`, `_forced` and the
    column of `stages.absence`.

    Returns how many rows Postgres says it has stored: fewer if a trigger drops some.
    """
    columns = sql.SQL(", ").join(map(sql.Identifier, rows.schema.names))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(target, columns)
    cursor = connection.cursor()
    with cursor.copy(statement) as copy, stopping(connection):
        for piece in _encoded(rows, table):
            copy.write(piece)
    return cursor.rowcount


def _encoded(rows: pa.RecordBatch | pa.Table, table: Table) -> Iterator[bytes | memoryview]:
    """A few thousand rows at a time, so that wide rows do not pile up."""
    own = set(table.column_names)
    types = [table.column(name).type if name in own else None for name in rows.schema.names]
    yield binary.HEADER
    for start in range(0, rows.num_rows, _PIECE_ROWS):
        piece = rows.slice(start, _PIECE_ROWS)
        yield binary.tuples(
            pa.Table.from_batches([piece]) if isinstance(piece, pa.RecordBatch) else piece, types
        )
    yield binary.TRAILER


def array_literal(cells: pa.Array | pa.ChunkedArray) -> str:
    """Texts as one Postgres array, to be passed as a parameter."""
    return f"{{{','.join(_elements(cells).to_pylist())}}}"


def _elements(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    escaped = pc.replace_substring_regex(values, r'([\\"])', r"\\\1")
    return pc.fill_null(pc.binary_join_element_wise('"', escaped, '"', ""), "NULL")
