"""Rows as lines of CSV, TSV, NDJSON or of a JSON array, without a Python object per cell.

CSV is RFC 4180 with LF, by Arrow: every cell with a text is quoted and one without a value is not, so that NULL
(nothing) and an empty text (`""`) differ and blanks around a text survive; TSV is the same with tabs. JSON has a key
for every column, with null where there is no value; one Arrow kernel joins all pieces of all rows, and its buffer is
the file.
"""

import codecs

import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema import Column, ColumnType
from bulk_pipeline.stages.export import cells
from bulk_pipeline.stages.export.formats import DELIMITERS
from bulk_pipeline.stages.export.layout import Layout
from bulk_pipeline.stages.sink import Bytes
from bulk_pipeline.stages.spreadsheets import MARK, defused
from bulk_pipeline.stages.texts import csv_records, joined, json_parts

_BARE_IN_JSON = (ColumnType.BOOLEAN, ColumnType.TEXT_ARRAY)


def delimited_header(layout: Layout) -> bytes:
    """For spreadsheets with a byte order mark, without which Excel reads the text in the machine's code page."""
    names = [column.name for column in layout.columns]
    header = DELIMITERS[layout.format].join([*names, MARK] if layout.for_spreadsheets else names) + "\n"
    return (codecs.BOM_UTF8 if layout.for_spreadsheets else b"") + header.encode()


def delimited_lines(layout: Layout, rows: pa.RecordBatch) -> Bytes:
    """The rows; their columns are the layout's."""
    columns = [_csv_cells(layout, *pair) for pair in zip(layout.columns, rows.columns, strict=True)]
    if layout.for_spreadsheets:
        columns.append(pa.nulls(rows.num_rows))
    if len(columns) == 1:  # a line without anything on it would be no row
        columns = [pc.fill_null(columns[0].cast(pa.string()), "")]
    return csv_records(columns, DELIMITERS[layout.format])


def ndjson_lines(layout: Layout, rows: pa.RecordBatch) -> Bytes:
    """The rows, of which there must be some; their columns are the layout's."""
    return _objects(layout, rows, before=b"", after=b"\n")


def json_elements(layout: Layout, rows: pa.RecordBatch) -> Bytes:
    """The rows as elements of an array, one a line, each after a comma."""
    return _objects(layout, rows, before=b",\n", after=b"")


def _objects(layout: Layout, rows: pa.RecordBatch, before: bytes, after: bytes) -> Bytes:
    parts: list[pa.Array | bytes] = [before + b"{"]
    for place, (column, found) in enumerate(zip(layout.columns, rows.columns, strict=True)):
        written = cells.texts(column, found)
        parts.append(f'{"," if place else ""}"{column.name}":'.encode())
        parts += [written] if column.type in _BARE_IN_JSON else json_parts(written)
    return joined([*parts, b"}" + after], null=b"null")


def _csv_cells(layout: Layout, column: Column, found: pa.Array) -> pa.Array:
    if column.type is ColumnType.BOOLEAN:
        return found
    written = cells.texts(column, found)
    return defused(written) if layout.for_spreadsheets and column.type is ColumnType.TEXT else written
