"""Reads the rows of a report of rejected rows with the bytes of each cell, so that only changed cells are written anew.

Does not import Arrow, which the API does without. Knows only delimited reports, whose rows begin with the added
columns.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from bulk_pipeline.stages.report_names import ADDED_COLUMNS, ORIGIN

_ORIGIN = re.compile(rb"row([1-9][0-9]{0,17})-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-[a-z]{3}")
_MARK = b"\xef\xbb\xbf"
_BLANKS = b" \t\x0b\x0c"
_LINE_END = re.compile(rb"\r\n|\r|\n")
_MOST_ROW_BYTES = 64 << 10
"""A longer cell counts as one whose quote is never closed, which would be searched for to the end in each row."""


@dataclass(frozen=True)
class ReportSyntax:
    """The delimiter and the quote of a report, in UTF-8. `quote` is empty if no character is special."""

    delimiter: bytes
    quote: bytes

    @classmethod
    def of(cls, dialect: Mapping[str, Any]) -> Self | None:
        """Return the syntax of the report on a file with this dialect. None with a backslash as escape."""
        if dialect.get("format") not in ("csv", "tsv"):
            return cls(b",", b'"')  # a sheet
        if dialect.get("escape"):
            return None
        return cls((dialect.get("delimiter") or ",").encode(), (dialect.get("quote") or "").encode())

    def written(self, text: str) -> bytes | None:
        """Return the text as a cell. None if it needs quotes, and the file has none."""
        cell = text.encode("utf-8", "replace")
        special = (self.delimiter, self.quote or b"\n", b"\n", b"\r")
        if text == text.strip() and not any(mark in cell for mark in special):
            return cell
        if not self.quote:
            return None
        return self.quote + cell.replace(self.quote, self.quote * 2) + self.quote


@dataclass(frozen=True)
class ReportCell:
    """A cell. `raw`: its bytes, with quotes. `text`: what it says, without the blanks around an unquoted cell."""

    raw: bytes
    text: str


@dataclass(frozen=True)
class ReportRow:
    """A rejected row. `line`: of the file, or the row of the sheet. `job`, `job_row`: the row that it was at first.

    `cells`: its own, without the added ones.
    """

    number: int
    line: int
    job: str
    job_row: int
    origin: bytes
    cells: tuple[ReportCell, ...]


@dataclass(frozen=True)
class RejectedReport:
    """The beginning of a report. `start`: the bytes of its header line. `names`: of the cells of rows.

    `is_whole`: the report has no more rows than `rows`, but for those that are not as wide as its header.
    """

    syntax: ReportSyntax
    start: bytes
    names: tuple[str, ...]
    rows: tuple[ReportRow, ...]
    is_whole: bool


def read_report(data: bytes, syntax: ReportSyntax, *, is_whole: bool) -> RejectedReport | None:
    """Return the rows of a report; None if it has no origins. Rows that are not as wide as the header are left out.

    `is_whole`: `data` is the whole report. Otherwise, its last line is left out, which may be cut.
    """
    data = data if is_whole else data[: data.rfind(b"\n") + 1]
    at = len(_MARK) if data.startswith(_MARK) else 0
    header = _record(data, at, syntax)
    if header is None:
        return None
    cells, end = header
    names = tuple(cell.text for cell in cells)
    if names[: len(ADDED_COLUMNS)] != ADDED_COLUMNS:
        return None
    rows = tuple(_rows(data, end, syntax, len(names)))
    return RejectedReport(syntax, data[:end], names[len(ADDED_COLUMNS) :], rows, is_whole)


def corrected_row(report: RejectedReport, row: ReportRow, cells: Sequence[bytes]) -> bytes:
    """Return the line of a row with these cells. It keeps its origin; what else the report added is left empty."""
    added = [row.origin if name == ORIGIN else b"" for name in ADDED_COLUMNS]
    end = b"\r\n" if report.start.endswith(b"\r\n") else report.start[-1:]
    return report.syntax.delimiter.join([*added, *cells]) + end


def _rows(data: bytes, at: int, syntax: ReportSyntax, width: int) -> Iterator[ReportRow]:
    delimiter = re.escape(syntax.delimiter)
    start = re.compile(rb"^[1-9][0-9]*" + delimiter + rb"[0-9]*" + delimiter, re.MULTILINE)
    while (found := start.search(data, at)) is not None:
        record = _record(data, found.start(), syntax)
        row = _row(record[0]) if record is not None and len(record[0]) == width else None
        if record is None or row is None:  # a quote that is never closed would swallow the next rows
            at = _line_end(data, found.end())
            continue
        yield row
        at = record[1]


def _row(cells: list[ReportCell]) -> ReportRow | None:
    number, line, _, origin = (cell.text for cell in cells[: len(ADDED_COLUMNS)])
    found = _ORIGIN.fullmatch(origin.encode("utf-8", "replace"))
    if found is None:
        return None
    own = tuple(cells[len(ADDED_COLUMNS) :])
    return ReportRow(int(number), int(line or number), found[2].decode(), int(found[1]), origin.encode(), own)


def _record(data: bytes, at: int, syntax: ReportSyntax) -> tuple[list[ReportCell], int] | None:
    """Return the cells of the record at a place, and where the next one starts. None if its quotes do not pair up."""
    cells = list[ReportCell]()
    blanks = _BLANKS.replace(syntax.delimiter[:1], b"")
    ends = re.compile(re.escape(syntax.delimiter) + rb"|[\r\n]")
    while True:
        first = at
        while data[first : first + 1] and data[first] in blanks:
            first += 1
        if syntax.quote and data.startswith(syntax.quote, first):
            close = _closing(data, first + 1, syntax.quote)
            if close is None:
                return None
            end = close + 1
            while data[end : end + 1] and data[end] in blanks:
                end += 1
            inside = data[first + 1 : close].replace(syntax.quote * 2, syntax.quote)
            cells.append(ReportCell(data[at:end], inside.decode("utf-8", "surrogateescape")))
        else:
            found = ends.search(data, at)
            end = found.start() if found else len(data)
            plain = data[at:end].strip(blanks)
            cells.append(ReportCell(data[at:end], plain.decode("utf-8", "surrogateescape")))
        if data.startswith(syntax.delimiter, end):
            at = end + len(syntax.delimiter)
            continue
        if end < len(data) and data[end : end + 1] not in (b"\r", b"\n"):
            return None
        return cells, _line_end(data, end)


def _closing(data: bytes, at: int, quote: bytes) -> int | None:
    limit = at + _MOST_ROW_BYTES
    while (found := data.find(quote, at, limit)) >= 0:
        if not data.startswith(quote, found + 1):
            return found
        at = found + 2
    return None


def _line_end(data: bytes, at: int) -> int:
    found = _LINE_END.search(data, at)
    return found.end() if found else len(data)
