"""Rows as lines of CSV, TSV, NDJSON or of a JSON array, without a Python object per cell.

CSV is RFC 4180 with LF, by Arrow: every cell with a text is quoted and one without a value is not, so that NULL
(nothing) and an empty text (`""`) differ and blanks around a text survive; TSV is the same with tabs. JSON has a key
for every column, with null where there is no value; one Arrow kernel joins all pieces of all rows, and its buffer is
the file.
"""

import codecs
import json
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.text import csv_records, joined
from bulk_pipeline.schema import Column
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline.stages.export.layout import Layout
from bulk_pipeline.stages.sink import Bytes
from bulk_pipeline.stages.spreadsheets import MARK, defused


def delimited_header(layout: Layout) -> bytes:
    """Return the header line. For spreadsheets it begins with a byte order mark, without which Excel reads the text in
    the machine's code page."""
    names = [column.name for column in layout.columns]
    if layout.for_spreadsheets:
        return codecs.BOM_UTF8 + header_line([*names, MARK], _delimiter(layout))
    return header_line(names, _delimiter(layout))


def header_line(names: Iterable[str], delimiter: str = ",") -> bytes:
    """Return the line that names the columns."""
    return f"{delimiter.join(_header_cell(name, delimiter) for name in names)}\n".encode()


def _header_cell(name: str, delimiter: str) -> str:
    """Return the name, in quotes if it needs them."""
    is_bare = name.strip() == name and not any(character in name for character in (delimiter, *'"\r\n'))
    return name if is_bare else '"' + name.replace('"', '""') + '"'


def delimited_lines(layout: Layout, rows: pa.RecordBatch) -> Bytes:
    """The rows; their columns are the layout's."""
    columns = [_csv_cells(layout, *pair) for pair in zip(layout.columns, rows.columns, strict=True)]
    if layout.for_spreadsheets:
        columns.append(pa.nulls(rows.num_rows))
    if len(columns) == 1 and not layout.has_empty_rows:  # a line without anything on it would be no row
        columns = [pc.fill_null(columns[0].cast(pa.string()), "")]
    return csv_records(columns, _delimiter(layout))


def ndjson_lines(layout: Layout, rows: pa.RecordBatch) -> Bytes:
    """The rows, of which there must be some; their columns are the layout's."""
    return _objects(layout, rows, before=b"", after=b"\n")


def json_elements(layout: Layout, rows: pa.RecordBatch) -> Bytes:
    """The rows as elements of an array, one a line, each after a comma."""
    return _objects(layout, rows, before=b",\n", after=b"")


def _objects(layout: Layout, rows: pa.RecordBatch, before: bytes, after: bytes) -> Bytes:
    parts: list[pa.Array | bytes] = [before + b"{"]
    for place, (column, found) in enumerate(zip(layout.columns, rows.columns, strict=True)):
        parts.append(f"{',' if place else ''}{json.dumps(column.name, ensure_ascii=False)}:".encode())
        parts += codec_of(column).to_json(column, found)
    return joined([*parts, b"}" + after], null=b"null")


def csv_cells(column: Column, found: pa.Array) -> pa.Array:
    """The cells as `csv_records` takes them: texts, which it quotes, and others, which it does not."""
    return codec_of(column).to_csv(column, found)


def _csv_cells(layout: Layout, column: Column, found: pa.Array) -> pa.Array:
    written = csv_cells(column, found)
    return defused(written) if layout.for_spreadsheets and column.type.facts.is_text else written


def _delimiter(layout: Layout) -> str:
    return layout.format.facts.delimiter or ","
