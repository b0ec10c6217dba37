"""Rows as an .xlsx file, streamed: sheets of XML in a zip, made of whole columns without a Python object per cell.

Numbers, booleans, dates and times without a zone are values of the spreadsheet where it keeps them exactly
(`Codec.to_sheet`); all else is text, which no spreadsheet runs as a formula. A cell without a value is NULL. An empty
text, or one with blanks around it, has the cell style `EXACT_TEXT`, by which an import takes it as it is.

XlsxWriter, which writes the other workbooks, holds a sheet in memory or in a temporary file until its end. Here bytes
leave while rows come, and the same rows are the same bytes. A sheet ends before it has 2 GB, so that only the list of
files at the end of the zip ever needs the 64-bit form, which not every program reads elsewhere.
"""

import zipfile
from collections.abc import Iterator
from typing import IO, cast
from xml.sax.saxutils import quoteattr

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.text import held, joined
from bulk_pipeline.errors import UnwritableValueError
from bulk_pipeline.schema import Column, ColumnType, invisible
from bulk_pipeline.schema.families.numbers import WHOLE_NUMBERS
from bulk_pipeline.schema.families.times import TIMESTAMPS
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline.schema.types.timestamp import digits_of
from bulk_pipeline.stages.export.layout import Layout
from bulk_pipeline.stages.sheet_format import (
    CELL_LENGTH,
    EXACT_TEXT,
    MOST_ROWS,
    NUMBER,
    TEXT,
    TIMESTAMP,
    WHOLE,
    number_format,
    width,
)
from bulk_pipeline.stages.sink import Bytes, Sink

_WIDE = pa.large_string()
_ROWS = 8_192
"""Rows whose XML is made together."""
_SHEET_BYTES = 1 << 30
_LEVEL = 1
"""Of zlib. Its usual level, 6, takes three times as long for a tenth less."""
_MILLISECONDS = f"{TIMESTAMP}.000"
_NAME_LENGTH = 31
_XML = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_RELATIONSHIPS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_CONTENT_TYPES = (
    f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Default Extension="xml" ContentType="{_TYPES}.worksheet+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPES}.sheet.main+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_TYPES}.styles+xml"/></Types>'
)
"""All other parts are sheets, so that their number need not be known at the beginning."""
_ROOT = (
    f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_RELATIONSHIPS}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
)
_GENERAL_STYLE, _HEAD_STYLE, _TEXT_STYLE, _EXACT_STYLE, _FIRST_STYLE = range(5)
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_UNFIT = "".join(map(chr, [*range(0x09), 0x0B, 0x0C, *range(0x0D, 0x20)]))
"""Characters that XML cannot hold, and the carriage return, which it reads as a line feed."""
_LIKE_ESCAPE = r"_x[0-9A-Fa-f]{4}_"


class WorkbookRows:
    """Writes rows below a header; a sheet that is full is followed by another one."""

    def __init__(self, layout: Layout, sink: Sink) -> None:
        self._layout = layout
        self._formats = _formats(layout)
        codes = [*dict.fromkeys(code for code in self._formats if code not in (TEXT, NUMBER))]
        self._styles = {TEXT: _TEXT_STYLE, NUMBER: _GENERAL_STYLE} | {
            code: number for number, code in enumerate(codes, _FIRST_STYLE)
        }
        self._zip = _Zip(
            cast("IO[bytes]", _Unseekable(sink)), "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL
        )
        self._put("[Content_Types].xml", _CONTENT_TYPES)
        self._put("_rels/.rels", _ROOT)
        self._put("xl/styles.xml", _styles(codes))
        self._sheets: list[int] = []
        self._open_sheet()

    def write(self, rows: pa.RecordBatch) -> None:
        while rows.num_rows:
            if self._rows == MOST_ROWS or (self._rows > 1 and self._bytes >= _SHEET_BYTES):
                self._close_sheet()
                self._open_sheet()
            now = rows.slice(0, min(_ROWS, MOST_ROWS - self._rows))
            self._append(self._row_elements(now))
            self._rows += now.num_rows
            rows = rows.slice(now.num_rows)

    def close(self) -> None:
        self._close_sheet()
        self._put("xl/workbook.xml", _workbook(self._layout, self._sheets))
        self._put("xl/_rels/workbook.xml.rels", _workbook_relationships(len(self._sheets)))
        self._zip.close()

    def _row_elements(self, rows: pa.RecordBatch) -> Bytes:
        if self._layout.has_empty_rows:
            _refuse_empty(rows)
        numbers = pa.array(np.arange(self._rows + 1, self._rows + 1 + rows.num_rows)).cast(_WIDE)
        parts: list[pa.Array | bytes] = [b'<row r="', numbers, b'">']
        for place, (column, cells) in enumerate(zip(self._layout.columns, rows.columns, strict=True)):
            style = self._styles[self._formats[place]]
            parts.append(_cell_elements(column, cells, f'<c r="{_letters(place)}', numbers, style))
        return joined([*parts, b"</row>"])

    def _open_sheet(self) -> None:
        self._sheet = self._zip.open(f"xl/worksheets/sheet{len(self._sheets) + 1}.xml", "w")
        self._rows = self._bytes = 0
        self._append(_sheet_start(self._layout, self._formats))
        names = pa.array([column.name for column in self._layout.columns], _WIDE)
        cells = _escaped(names).to_pylist()
        header = "".join(
            f'<c r="{_letters(place)}1" s="{_HEAD_STYLE}" t="inlineStr">{_IN_TEXT}{cell}{_AFTER_TEXT}'
            for place, cell in enumerate(cells)
        )
        self._append(f'<row r="1">{header}</row>'.encode())
        self._rows = 1

    def _close_sheet(self) -> None:
        last = f"{_letters(len(self._layout.columns) - 1)}{self._rows}"
        self._append(f'</sheetData><autoFilter ref="A1:{last}"/></worksheet>'.encode())
        self._sheet.close()
        self._sheets.append(self._rows)

    def _append(self, xml: Bytes) -> None:
        self._sheet.write(xml)
        self._bytes += memoryview(xml).nbytes

    def _put(self, name: str, xml: str) -> None:
        with self._zip.open(name, "w") as part:
            part.write(_XML + xml.encode())


class _Zip(zipfile.ZipFile):
    def __del__(self) -> None:
        """Leave the zip of an export that failed without its end."""


class _Unseekable:
    """The methods that `ZipFile` calls on a file without `seek`."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, data: Bytes) -> int:
        self._sink.write(data)
        return memoryview(data).nbytes

    def flush(self) -> None:
        pass


_IN_TEXT, _AFTER_TEXT = '<is><t xml:space="preserve">', "</t></is></c>"


def _cell_elements(column: Column, cells: pa.Array, start: str, numbers: pa.Array, style: int) -> pa.Array:
    """Return a cell's element for each row, NULL for NULL. `start`: the element up to the number of the row."""
    codec = codec_of(column)
    values = codec.to_sheet(column, cells)
    valued = None
    if values is not None:
        kind = ' t="b"' if column.type is ColumnType.BOOLEAN else ""
        valued = _elements(start, numbers, f'" s="{style}"{kind}><v>', values.cast(_WIDE), "</v></c>")
        if values.null_count == cells.null_count:
            return valued
    texts = codec.to_text(column, cells).cast(_WIDE)
    if valued is not None:
        texts = pc.if_else(pc.is_valid(values), None, texts)
    _refuse_long(column, texts)
    trimmed = pc.utf8_trim(texts, invisible.BLANKS)
    is_exact = pc.or_(pc.not_equal(trimmed, texts), pc.equal(texts, ""))
    styles = pc.if_else(is_exact, str(_EXACT_STYLE), str(_TEXT_STYLE)).cast(_WIDE)
    written = _elements(
        start, numbers, '" s="', styles, f'" t="inlineStr">{_IN_TEXT}', _escaped(texts), _AFTER_TEXT
    )
    return written if valued is None else pc.coalesce(valued, written)


def _elements(*parts: str | pa.Array) -> pa.Array:
    scalars = [pa.scalar(part, _WIDE) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*scalars, pa.scalar("", _WIDE))


def _escaped(texts: pa.Array) -> pa.Array:
    """Return the texts as XML: without what would be read as an escape, and with `_x0007_` for what XML cannot hold."""
    if held(texts, "_"):
        is_like = pc.match_substring_regex(texts, _LIKE_ESCAPE)
        if pc.any(is_like).as_py():
            texts = pc.if_else(is_like, pc.replace_substring(texts, "_x", "_x005F_x"), texts)
    for special in held(texts, "&<>" + _UNFIT):
        texts = pc.replace_substring(texts, special, _ESCAPES.get(special) or f"_x{ord(special):04X}_")
    for special in "\ufffe\uffff":
        if pc.any(pc.match_substring(texts, special)).as_py():
            texts = pc.replace_substring(texts, special, f"_x{ord(special):04X}_")
    return texts


def _refuse_long(column: Column, texts: pa.Array) -> None:
    may_be_long = pc.greater(pc.binary_length(texts), CELL_LENGTH)
    if not pc.any(may_be_long).as_py():
        return
    for text in texts.filter(may_be_long).to_pylist():
        if text is not None and (length := len(text.encode("utf-16-le")) // 2) > CELL_LENGTH:
            raise UnwritableValueError(
                f"{column.name} holds a text of {length:,} characters, and a cell of a spreadsheet holds "
                f"{CELL_LENGTH:,}: export to csv or parquet, or leave the column or such rows out"
            )


def _refuse_empty(rows: pa.RecordBatch) -> None:
    is_empty = np.ones(rows.num_rows, bool)
    for cells in rows.columns:
        is_empty &= pc.is_null(cells).to_numpy(zero_copy_only=False)
    if is_empty.any():
        raise UnwritableValueError(
            "a row has no value in any column, which a sheet cannot tell from no row: export to csv or parquet"
        )


def _formats(layout: Layout) -> list[str]:
    """Return the number format of each column's values."""
    return [_format(column) for column in layout.columns]


def _format(column: Column) -> str:
    family = column.type.family.name
    if family in WHOLE_NUMBERS:
        return WHOLE
    if column.type is ColumnType.BOOLEAN:
        return NUMBER
    if family in TIMESTAMPS:
        if not column.type.facts.is_zoneless:
            return TEXT
        return _MILLISECONDS if digits_of(column) else TIMESTAMP
    return TEXT if family == "time without time zone" else number_format(column)


def _sheet_start(layout: Layout, formats: list[str]) -> bytes:
    widths = "".join(
        f'<col min="{place}" max="{place}" width="{width(column, column.name, code)}" customWidth="1"/>'
        for place, (column, code) in enumerate(zip(layout.columns, formats, strict=True), 1)
    )
    return (
        _XML
        + (
            f'<worksheet {_MAIN}><sheetViews><sheetView workbookViewId="0">'
            '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
            f"<cols>{widths}</cols><sheetData>"
        ).encode()
    )


def _styles(codes: list[str]) -> str:
    """Return the cell formats: general, the header's, text, exact text, and one for each of the codes."""
    first = 164  # lower numbers are Excel's own
    numbers = "".join(
        f'<numFmt numFmtId="{number}" formatCode={quoteattr(code)}/>'
        for number, code in enumerate(codes, first)
    )
    own = "".join(
        f'<xf numFmtId="{first + number}" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
        for number in range(len(codes))
    )
    fonts = '<name val="Calibri"/><family val="2"/></font>'
    text = 'numFmtId="49" fontId="0" borderId="0" applyNumberFormat="1"'
    return (
        f"<styleSheet {_MAIN}>"
        + (f'<numFmts count="{len(codes)}">{numbers}</numFmts>' if codes else "")
        + f'<fonts count="2"><font><sz val="11"/>{fonts}<font><b/><sz val="11"/>{fonts}</fonts>'
        '<fills count="3"><fill><patternFill patternType="none"/></fill>'
        '<fill><patternFill patternType="gray125"/></fill>'
        '<fill><patternFill patternType="solid"><fgColor rgb="FFFFF2CC"/>'
        '<bgColor indexed="64"/></patternFill></fill></fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="2"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/>'
        f'<xf {text} fillId="2" applyFill="1"/></cellStyleXfs>'
        f'<cellXfs count="{_FIRST_STYLE + len(codes)}"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
        '<xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyFont="1"/>'
        f'<xf {text} fillId="0" xfId="0"/><xf {text} fillId="2" xfId="1" applyFill="1"/>{own}</cellXfs>'
        '<cellStyles count="2"><cellStyle name="Normal" xfId="0" builtinId="0"/>'
        f'<cellStyle name="{EXACT_TEXT}" xfId="1"/></cellStyles></styleSheet>'
    )


def _workbook(layout: Layout, sheets: list[int]) -> str:
    names = [*_sheet_names(layout.sheet, len(sheets))]
    listed = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{number}" r:id="rId{number}"/>'
        for number, name in enumerate(names, 1)
    )
    column = _letters(len(layout.columns) - 1)
    filters = "".join(
        f'<definedName name="_xlnm._FilterDatabase" localSheetId="{at}" hidden="1">'
        f"{_escaped_name(name)}!$A$1:${column}${rows}</definedName>"
        for at, (name, rows) in enumerate(zip(names, sheets, strict=True))
    )
    return (
        f'<workbook {_MAIN} xmlns:r="{_RELATIONSHIPS}"><bookViews><workbookView/></bookViews>'
        f"<sheets>{listed}</sheets><definedNames>{filters}</definedNames></workbook>"
    )


def _escaped_name(name: str) -> str:
    quoted = "'" + name.replace("'", "''") + "'"
    return "".join(_ESCAPES.get(character, character) for character in quoted)


def _sheet_names(first: str, count: int) -> Iterator[str]:
    yield first
    for number in range(2, count + 1):
        end = f" ({number})"
        yield first[: _NAME_LENGTH - len(end)] + end


def _workbook_relationships(sheets: int) -> str:
    listed = "".join(
        f'<Relationship Id="rId{number}" Type="{_RELATIONSHIPS}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        for number in range(1, sheets + 1)
    )
    styles = f'<Relationship Id="rId{sheets + 1}" Type="{_RELATIONSHIPS}/styles" Target="styles.xml"/>'
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{listed}{styles}</Relationships>'


def _letters(place: int) -> str:
    """Return the name of a column, A for 0 and AA for 26."""
    letters = ""
    place += 1
    while place:
        place, letter = divmod(place - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return letters
