"""Arrow rows as COPY reads them: CSV in which NULL is an empty cell and an empty text is a quoted one.

pyarrow writes 1M customers in 0.06 s. COPY's binary format would save the server little (it is the indexes
that cost) and would have to be laid out by hand.
"""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection, sql
from pyarrow import csv

from bulk_pipeline.stores.postgres import stopping

_PIECE_ROWS = 8_192
_OPTIONS = csv.WriteOptions(include_header=False, quoting_style="needed", batch_size=_PIECE_ROWS)


def copy_rows(connection: Connection, table: sql.Composable, rows: pa.RecordBatch | pa.Table) -> None:
    """COPY all columns of `rows` into the columns of the same names."""
    columns = sql.SQL(", ").join(map(sql.Identifier, rows.schema.names))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(table, columns)
    with connection.cursor().copy(statement) as copy, stopping(connection):
        for piece in encoded(rows):
            copy.write(piece)


def encoded(rows: pa.RecordBatch | pa.Table) -> Iterator[memoryview]:
    """Rows as CSV, a few thousand at a time, so that wide rows do not pile up."""
    for start in range(0, rows.num_rows, _PIECE_ROWS):
        piece = _plain(rows.slice(start, _PIECE_ROWS))
        out = pa.BufferOutputStream()
        csv.write_csv(piece, out, _OPTIONS)
        yield memoryview(out.getvalue())


def array_literal(cells: pa.Array | pa.ChunkedArray) -> str:
    """Texts as one Postgres array, to be passed as a parameter."""
    return f"{{{','.join(_elements(cells).to_pylist())}}}"


def _plain(rows: pa.RecordBatch | pa.Table) -> pa.RecordBatch | pa.Table:
    for place, field in enumerate(rows.schema):
        if pa.types.is_list(field.type):
            rows = rows.set_column(place, field.name, _array_literals(rows[field.name]))
    return rows


def _array_literals(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Lists of texts as array literals: `{"a","say \\"b\\"",NULL}`."""
    lists = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
    values = pc.list_flatten(lists)
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    offsets = pc.cumulative_sum(lengths)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), offsets.cast(pa.int32())])
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, _elements(values)), ",")
    return pc.if_else(pc.is_null(lists), None, pc.binary_join_element_wise("{", joined, "}", ""))


def _elements(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    escaped = pc.replace_substring_regex(values, r'([\\"])', r"\\\1")
    return pc.fill_null(pc.binary_join_element_wise('"', escaped, '"', ""), "NULL")
