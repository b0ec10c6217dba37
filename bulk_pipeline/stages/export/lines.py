"""Rows as lines of CSV or NDJSON: one Arrow kernel joins all pieces of all rows, and its buffer is the file.

CSV is RFC 4180 with LF: texts are always quoted and nothing else is, so that NULL (nothing) and an empty text (`""`)
differ and blanks around a text survive. NDJSON has a key for every column, with null where there is no value.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema import Column, ColumnType
from bulk_pipeline.stages import spreadsheets
from bulk_pipeline.stages.export import cells
from bulk_pipeline.stages.export.layout import Layout

_QUOTED_IN_CSV = (ColumnType.TEXT, ColumnType.TEXT_ARRAY)
_BARE_IN_JSON = (ColumnType.BOOLEAN, ColumnType.TEXT_ARRAY)

Piece = pa.Array | str


def csv_header(layout: Layout) -> bytes:
    names = [column.name for column in layout.columns]
    return (",".join([*names, spreadsheets.MARK] if layout.for_spreadsheets else names) + "\n").encode()


def csv_lines(layout: Layout, rows: pa.RecordBatch) -> pa.Buffer:
    """The rows, of which there must be some; their columns are the layout's."""
    pieces: list[Piece] = []
    for column, found in zip(layout.columns, rows.columns, strict=True):
        quote = '"' if column.type in _QUOTED_IN_CSV else ""
        pieces += [",", *_enclosed(quote, _csv_texts(column, found, layout.for_spreadsheets))]
    end = ",\n" if layout.for_spreadsheets else "\n"
    if len(layout.columns) == 1:  # a line without anything on it would be no row
        return _joined([_or_empty_text(pieces[1:]), end], null="")
    return _joined([*pieces[1:], end], null="")


def ndjson_lines(layout: Layout, rows: pa.RecordBatch) -> pa.Buffer:
    """The rows, of which there must be some; their columns are the layout's."""
    pieces: list[Piece] = []
    for column, found in zip(layout.columns, rows.columns, strict=True):
        quote = "" if column.type in _BARE_IN_JSON else '"'
        written = cells.texts(column, found)
        if column.type is ColumnType.TEXT:
            written = cells.json_escaped(written)
        pieces += [f',"{column.name}":', *_enclosed(quote, written)]
    pieces[0] = f"{{{str(pieces[0])[1:]}"
    return _joined([*pieces, "}\n"], null="null")


def _csv_texts(column: Column, found: pa.Array, for_spreadsheets: bool) -> pa.StringArray:
    written = cells.texts(column, found)
    if for_spreadsheets and column.type is ColumnType.TEXT:
        written = spreadsheets.defused(written)
    if '"' in cells.special_characters(written):
        written = pc.replace_substring(written, '"', '""')
    return written


def _enclosed(quote: str, written: pa.StringArray) -> list[Piece]:
    """The texts between quotes, those that are there: what is NULL has no quotes either."""
    if not quote:
        return [written]
    if written.null_count:
        return [pc.binary_join_element_wise(quote, written, quote, "")]
    return [quote, written, quote]


def _or_empty_text(pieces: Sequence[Piece]) -> pa.Array:
    return pc.binary_join_element_wise(*pieces, "", null_handling="replace", null_replacement='""')


def _joined(pieces: Sequence[Piece], *, null: str) -> pa.Buffer:
    """The pieces of each row one after the other, and row after row."""
    joined = pc.binary_join_element_wise(*_merged(pieces), "", null_handling="replace", null_replacement=null)
    return joined.buffers()[2]


def _merged(pieces: Sequence[Piece]) -> list[Piece]:
    """Texts that follow each other in one: every piece takes its time for every row."""
    merged: list[Piece] = []
    for piece in pieces:
        if merged and isinstance(piece, str) and isinstance(merged[-1], str):
            merged[-1] += piece
        else:
            merged.append(piece)
    return merged
