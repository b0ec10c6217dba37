"""Rows as lines of CSV or NDJSON: one Arrow kernel joins all pieces of all rows, and its buffer is the file.

CSV is RFC 4180 with LF: texts are always quoted and nothing else is, so that NULL (nothing) and an empty text (`""`)
differ and blanks around a text survive. NDJSON has a key for every column, with null where there is no value.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema import ColumnType
from bulk_pipeline.stages.export import cells
from bulk_pipeline.stages.export.cells import Cells
from bulk_pipeline.stages.export.layout import Layout
from bulk_pipeline.stages.spreadsheets import MARK, defused
from bulk_pipeline.stages.texts import doubled, json_escaped

_QUOTED_IN_CSV = (ColumnType.TEXT, ColumnType.TEXT_ARRAY)
_BARE_IN_JSON = (ColumnType.BOOLEAN, ColumnType.TEXT_ARRAY)

Piece = pa.Array | str


def csv_header(layout: Layout) -> bytes:
    names = [column.name for column in layout.columns]
    return (",".join([*names, MARK] if layout.for_spreadsheets else names) + "\n").encode()


def csv_lines(layout: Layout, rows: pa.RecordBatch) -> pa.Buffer:
    """The rows, of which there must be some; their columns are the layout's."""
    pieces: list[Piece] = []
    for column, found in zip(layout.columns, rows.columns, strict=True):
        written = cells.written(column, found)
        if column.type in _QUOTED_IN_CSV:
            is_defused = layout.for_spreadsheets and column.type is ColumnType.TEXT
            written = Cells(doubled(defused(written.texts) if is_defused else written.texts), '"', '"')
        pieces += [",", *_pieces(written)]
    end = ",\n" if layout.for_spreadsheets else "\n"
    if len(layout.columns) == 1:  # a line without anything on it would be no row
        return _joined([_or_empty_text(pieces[1:]), end], null="")
    return _joined([*pieces[1:], end], null="")


def ndjson_lines(layout: Layout, rows: pa.RecordBatch) -> pa.Buffer:
    """The rows, of which there must be some; their columns are the layout's."""
    pieces: list[Piece] = []
    for column, found in zip(layout.columns, rows.columns, strict=True):
        written = cells.written(column, found)
        if column.type is ColumnType.TEXT:
            written = Cells(json_escaped(written.texts))
        if column.type not in _BARE_IN_JSON:
            written = Cells(written.texts, f'"{written.before}', f'{written.after}"')
        pieces += [f',"{column.name}":', *_pieces(written)]
    pieces[0] = f"{{{str(pieces[0])[1:]}"
    return _joined([*pieces, "}\n"], null="null")


def _pieces(written: Cells) -> list[Piece]:
    """What stands around a text goes into the line by itself, unless there are cells without any."""
    if written.texts.null_count:
        return [written.whole()]
    return [written.before, written.texts, written.after]


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
        elif not isinstance(piece, str) or piece:
            merged.append(piece)
    return merged
