"""Writes the rejected rows as a workbook, to be corrected in a spreadsheet program and imported again.

All cells are texts, so that the program changes no id, date or number; the wrong ones are coloured, and their notes say
what is wrong. The first sheet says what to do. A row that a sheet cannot hold exactly is left out, and so is a
malformed one, which might become valid with other cells than its own. They are in the other report of rejected rows.
"""

import io
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from bulk_pipeline.arrow.text import joined
from bulk_pipeline.limits import DEFAULT_LIMITS
from bulk_pipeline.schema import Table, UploadFormat
from bulk_pipeline.schema.invisible import BLANKS
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.formats import FORMATS
from bulk_pipeline.stages.parse.column_names import ColumnNames
from bulk_pipeline.stages.parse.csv.syntax import Plan, Syntax
from bulk_pipeline.stages.parse.csv.tolerant import Reader
from bulk_pipeline.stages.parse.parsed import Dialect
from bulk_pipeline.stages.report.rejected import OriginsOf
from bulk_pipeline.stages.report_names import ADDED_COLUMNS, ORIGIN
from bulk_pipeline.stages.sheet_format import CELL_LENGTH

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

MOST_ROWS, MOST_CELLS, MOST_BYTES = 2_000, 20_000, 8 << 20
"""The most rows, cells and bytes of rows in a workbook, which takes about 0.15 ms for each row: a job that rejects more
rows is finished without one."""

_ROWS_SHEET, _HELP_SHEET = "rejected rows", "what to do"
_NOTE_LENGTH = 1_000
_UNFIT = re.compile("[\0-\x08\x0b-\x1f\ufffe\uffff]")
_ALWAYS_SAME = datetime(2000, 1, 1)
_WIDTHS = {"_row": 7, "_errors": 60}
_HIDDEN = ("_line", ORIGIN)

Cells = list[str | None]


@dataclass
class RejectedWorkbook:
    """Collects rejected rows until there are too many for a workbook."""

    table: Table
    dialect: Dialect
    declared: UploadFormat
    origins_of: OriginsOf
    _parts: list[tuple[pa.RecordBatch, pa.Array, pa.RecordBatch]] = field(default_factory=list)
    _rows: int = 0
    _bytes: int = 0

    @property
    def is_possible(self) -> bool:
        """True if the rows are cells below a header, and not too many."""
        width = len(self.dialect.header)
        return (
            FORMATS[self.dialect.format].rejected_as in ("csv", "tsv")
            and width > 0
            and not self.declared.no_header
            and self._rows <= MOST_ROWS
            and self._rows * width <= MOST_CELLS
            and self._bytes <= MOST_BYTES
        )

    def add(self, rows: pa.RecordBatch, errors: pa.Array, failures: pa.RecordBatch) -> None:
        """Add rows (`_row`, `_line`, `raw`) with their sentences and failures."""
        if self.is_possible:
            self._rows += rows.num_rows
            self._bytes += rows.nbytes
            self._parts.append((rows, errors, failures))
        if not self.is_possible:
            self._parts.clear()

    def content(self) -> bytes | None:
        """Return the workbook, or None if it is not possible or would have no rows."""
        rows = list(self._fitting())
        return _workbook(rows, self) if rows else None

    @property
    def rejected(self) -> int:
        return self._rows

    def _fitting(self) -> Iterator["_Row"]:
        read: Callable[[bytes, Dialect], Cells | None]
        read = _sheet_cells if not FORMATS[self.dialect.format].is_text else _text_cells
        names = ColumnNames(self.table, self.declared)
        places = {names.column(name): at for at, name in enumerate(self.dialect.header)}
        added = [at for at, name in enumerate(self.dialect.header) if name in ADDED_COLUMNS]
        for rows, errors, failures in self._parts:
            wrong, whole = _by_row(failures)
            origins = bytes(joined([*self.origins_of(rows["_row"]), b"\n"])).decode().splitlines()
            numbers, lines = rows["_row"].to_pylist(), rows["_line"].to_pylist()
            for number, line, raw, error, origin in zip(
                numbers, lines, rows["raw"].to_pylist(), errors.to_pylist(), origins, strict=True
            ):
                cells = None if number in whole else read(raw, self.dialect)
                notes = {places[name]: note for name, note in wrong[number].items() if name in places}
                if cells is not None and _fits(cells, notes):
                    own = [(at, cell) for at, cell in enumerate(cells) if at not in added]
                    yield _Row(
                        [str(number), "" if line is None else str(line), error[:CELL_LENGTH], origin],
                        [cell for _, cell in own],
                        {at: notes[old] for at, (old, _) in enumerate(own) if old in notes},
                    )


@dataclass(frozen=True)
class _Row:
    """The cells that reports add, the row's own, and the sentence about each wrong one by its place."""

    added: list[str]
    cells: Cells
    notes: dict[int, str]


def _by_row(failures: pa.RecordBatch) -> tuple[dict[int, dict[str, str]], set[int]]:
    """Return the sentences about the cells of each row, by column, and the rows that have no cells of their own."""
    wrong: dict[int, dict[str, str]] = defaultdict(dict)
    whole: set[int] = set()
    columns = (failures[name].to_pylist() for name in ("row", "column", "code", "message"))
    for row, column, code, message in zip(*columns, strict=True):
        if code == Code.MALFORMED_ROW or (code == Code.TOO_LONG and column is None):
            whole.add(row)
        elif column is not None:
            earlier = wrong[row].get(column)
            wrong[row][column] = f"{earlier}\n{message}" if earlier else message
    return wrong, whole


def _text_cells(raw: bytes, dialect: Dialect) -> Cells | None:
    """Return the cells of a delimited record, or None if it is not as wide as the header or not UTF-8."""
    syntax = Syntax(
        (dialect.delimiter or ",").encode(), (dialect.quote or "").encode(), (dialect.escape or "").encode()
    )
    data = raw + b"\n"
    cells, stop, _ = Reader(data, Plan(syntax, 0, (), (), (), b"", DEFAULT_LIMITS), True).loose(0)
    if cells is None or stop != len(raw) or len(cells) != len(dialect.header):
        return None
    try:
        return [None if cell is None else cell.decode() for cell in cells]
    except UnicodeDecodeError:
        return None


def _sheet_cells(raw: bytes, dialect: Dialect) -> Cells | None:
    """Return the cells of a row of a sheet, or None if it is wider than the header."""
    cells: dict[str, Any] = orjson.loads(raw)
    if any(name not in dialect.header for name in cells):
        return None
    return [_text(cells.get(name)) for name in dialect.header]


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _fits(cells: Cells, notes: dict[int, str]) -> bool:
    """Return whether a sheet can hold the cells. A wrong one may lose the blanks around it: it is corrected anyway."""
    return all(
        cell is None
        or (
            len(cell) <= CELL_LENGTH
            and not _UNFIT.search(cell)
            and (at in notes or (cell != "" and cell == cell.strip(BLANKS)))
        )
        for at, cell in enumerate(cells)
    )


def _workbook(rows: Sequence[_Row], source: RejectedWorkbook) -> bytes:
    from xlsxwriter import Workbook  # takes longer to import than most commands run

    out = io.BytesIO()
    with Workbook(out, {"in_memory": True}) as book:
        book.set_properties({"created": _ALWAYS_SAME})
        _write_help(book, len(rows), source)
        _write_rows(book, rows, source)
    return out.getvalue()


def _write_help(book: "Workbook", rows: int, source: RejectedWorkbook) -> None:
    sheet = book.add_worksheet(_HELP_SHEET)
    sheet.set_column(0, 0, 100, book.add_format({"text_wrap": True, "valign": "top"}))
    table, left = source.table.upload_name, source.rejected - rows
    lines = [
        f"{_rows(source.rejected)} not imported into {table}.",
        f"1. Open the sheet '{_sheet_name(source)}'. The wrong cells are red. Point at one to read what is wrong with "
        "it; the column _errors says it too.",
        "2. Correct these cells. Keep the names of the columns, and the columns whose names begin with _ as they are: "
        "by them, the first import knows which rows are fixed.",
        "3. Delete the rows that you cannot correct now. They stay open.",
        f"4. Save the workbook as .xlsx and import it into {table} again, under any name.",
        "All cells are texts, so that nothing changes them: write dates like 2026-01-31 and numbers like 1234.50.",
    ]
    if left:
        lines.append(
            f"{_rows(left)} left out, since a sheet cannot hold every cell as it is: see the other file of "
            "rejected rows."
        )
    sheet.write_string(0, 0, lines[0], book.add_format({"bold": True, "font_size": 14, "text_wrap": True}))
    for row, line in enumerate(lines[1:], 2):
        sheet.write_string(row, 0, line)


def _write_rows(book: "Workbook", rows: Sequence[_Row], source: RejectedWorkbook) -> None:
    sheet = book.add_worksheet(_sheet_name(source))
    top = (source.declared.header_row or 1) - 1
    text, head = (
        book.add_format({"num_format": "@"}),
        book.add_format({"bold": True, "bottom": 1, "num_format": "@"}),
    )
    grey = book.add_format({"num_format": "@", "font_color": "#7F7F7F", "valign": "top"})
    wrong = book.add_format({"num_format": "@", "bg_color": "#FFC7CE", "font_color": "#9C0006"})
    names = [name for name in source.dialect.header if name not in ADDED_COLUMNS]
    for at, name in enumerate([*ADDED_COLUMNS, *names]):
        sheet.set_column(
            at, at, _WIDTHS.get(name, max(14, min(len(name) + 2, 40))), text, {"hidden": name in _HIDDEN}
        )
        sheet.write_string(top, at, name, head)
    sheet.freeze_panes(top + 1, 0)
    for number, row in enumerate(rows, top + 1):
        for at, cell in enumerate(row.added):
            sheet.write_string(number, at, cell, grey)
        _write_cells(sheet, number, row, text, wrong)


def _write_cells(sheet: "Worksheet", number: int, row: _Row, text: "Format", wrong: "Format") -> None:
    for at, cell in enumerate(row.cells):
        place = len(ADDED_COLUMNS) + at
        if note := row.notes.get(at):
            sheet.write_string(number, place, cell or "", wrong)
            sheet.write_comment(number, place, note[:_NOTE_LENGTH], {"width": 260, "author": ""})
        elif cell is not None:
            sheet.write_string(number, place, cell, text)


def _sheet_name(source: RejectedWorkbook) -> str:
    """Return the declared name of the sheet to import, as the parser will look for it."""
    return source.declared.sheet or _ROWS_SHEET


def _rows(count: int) -> str:
    return "1 row was" if count == 1 else f"{count:,} rows were"
