"""Finds the header line of a delimited file, below any title lines and comments."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.limits import Limits
from bulk_pipeline.schema import Mode, Table, UploadFormat
from bulk_pipeline.stages.parse import header_match, positional
from bulk_pipeline.stages.parse.blanks import Blanks
from bulk_pipeline.stages.parse.column_names import ColumnNames
from bulk_pipeline.stages.parse.csv.above_header import records_above
from bulk_pipeline.stages.parse.csv.dialect import as_text, is_like_the_next, usual_width
from bulk_pipeline.stages.parse.csv.salvage import salvage
from bulk_pipeline.stages.parse.csv.syntax import Plan, Syntax
from bulk_pipeline.stages.parse.csv.tolerant import MoreNeeded, Reader
from bulk_pipeline.stages.parse.data_shape import looks_like_data
from bulk_pipeline.stages.parse.parsed import Notes

SAMPLE_RECORDS = 500
_ENOUGH_ROWS, _SHARE = 3, 0.8
_BLANKS_AND_LINE_ENDS = b" \t\x0b\x0c\r\n"
_RULER = re.compile(rb"(?=.*[-=]{3})[-=+|:,;\t \"]+")
_HINT = re.compile(rb'"?sep=.{1,2}"?', re.IGNORECASE)
"""A line from which spreadsheets read the delimiter."""


@dataclass(frozen=True)
class Header:
    """A file's header. `cells` are as written, empty if the file has no header; the data start at byte `end`, in the
    physical line `next_line`."""

    cells: tuple[str, ...]
    raw: bytes
    line: int | None
    end: int
    next_line: int
    width: int


@dataclass(frozen=True)
class Line:
    """A record at the beginning of the file, of any width; `cells` is None if its quotes do not pair up."""

    cells: list[bytes | None] | None
    raw: bytes
    number: int
    start: int
    end: int
    next_number: int

    @property
    def filled(self) -> int:
        return sum(cell not in (None, b"") for cell in self.cells or ())


def of_table(
    lines: Sequence[Line], names: ColumnNames, required: Collection[str], *, is_first: bool = False
) -> Header:
    """Return the first line with all `required` columns, else the one that names most of the table's columns.

    With `is_first`, only the first line can be the header. Raises `FileError` if no line names a column, or if no row
    below the header is as wide as the header.
    """
    best, most, widths = None, 0, [len(line.cells or ()) for line in lines]
    for at, line in enumerate(lines[:1] if is_first else lines):
        known = names.known(map(as_text, line.cells or ()))
        if len(known) < 2 and at > 0 and widths[at] > 2:
            continue  # one cell of a row may happen to be a column's name
        if known and known.issuperset(required) and is_like_the_next(widths, at):
            best = line
            break  # a later line may name more: the header of a second table
        if len(known) > most:
            best, most = line, len(known)
    if best is None:
        header_match.check((), _shown_cells(lines[0]) if lines else [], names, None)
        raise AssertionError  # `check` refuses a header that names no column
    width = len(best.cells or ())
    below = [len(line.cells or ()) for line in lines[lines.index(best) + 1 :]]
    usual = usual_width(below)
    filled = [cells for cells in below if cells]
    if len(below) >= _ENOUGH_ROWS and width not in below and filled.count(usual) > _SHARE * len(filled):
        seen = header_match.listed(map(as_text, best.cells or ()))
        raise FileError(
            FileErrorCode.NO_HEADER,
            f"the header (line {best.number}) has {width} cells, the rows below it have {usual}: found {seen}; "
            f"expected columns of {names.table.upload_name}: {header_match.listed(names.table.column_names)}",
        )
    return _header(best, width)


def by_position(
    lines: Sequence[Line], syntax: Syntax, table: Table, mode: Mode, notes: Notes
) -> Header | None:
    """Return the table's own columns as the header of a file without one, with a warning.

    None if a line may be a header, or if the rows do not fit the columns in number and content of cells.
    """
    if not lines:
        return None
    width = usual_width([len(line.cells or ()) for line in lines])
    names = positional.detected_columns([_words(line, syntax) for line in lines], width, table, mode)
    return None if names is None else _without_header(lines[0], names, notes)


def declared_none(lines: Sequence[Line], syntax: Syntax, table: Table, mode: Mode, notes: Notes) -> Header:
    """Return the table's own columns as the header of a file that is declared to have none, with a warning.

    Raises `FileError` if no order of the table's columns is as wide as the rows.
    """
    if not lines:
        raise FileError(FileErrorCode.NO_HEADER, "the file holds blank lines only")
    width = usual_width([len(line.cells or ()) for line in lines])
    names = positional.declared_columns([_words(line, syntax) for line in lines], width, table, mode)
    return _without_header(lines[0], names, notes)


def rows_above(lines: Sequence[Line], header: Header, names: ColumnNames) -> list[Line]:
    """Return the lines above the header that look like records rather than titles."""
    above = [line for line in lines if header.line is not None and line.number < header.line]
    return [above[at] for at in records_above(list(map(_shown_cells, above)), header.width, names)]


def below_ruler(lines: Sequence[Line], header: Header) -> Header | None:
    """Return the header extended by the line of dashes below it, as database clients write one; None without one."""
    below = next((line for line in lines if line.start >= header.end), None)
    if header.line is None or header.width == 1 or below is None or not _RULER.fullmatch(below.raw.strip()):
        return None
    return replace(header, end=below.end, next_line=below.next_number)


def of_file(lines: Sequence[Line], syntax: Syntax, notes: Notes, declared: UploadFormat) -> Header:
    """Return the first line if its row is declared, else the first that is about as wide as most lines; a header
    without cells if that line looks like data or is declared to be a row."""
    width = usual_width([len(line.cells or ()) for line in lines])
    index = next((i for i, line in enumerate(lines) if _may_be_header(line, width, syntax)), 0)
    if declared.header_row:
        index = 0
    if not lines:
        raise FileError(FileErrorCode.NO_HEADER, "the file holds blank lines only")
    if declared.no_header:
        return Header((), b"", None, lines[0].start, lines[0].number, width)
    line = lines[index]
    cells = line.cells
    if cells is None or (len(cells) == 1 and width > 1):
        notes.warn(
            f"the header (line {line.number}) is not in the form of the other lines: it was read as well as could be"
        )
        line = replace(line, cells=salvage(line.raw, syntax, width))
    rows = [
        list(map(as_text, other.cells))
        for other in lines[index + 1 :]
        if other.cells and len(other.cells) == width
    ]
    if not declared.header_row and looks_like_data([as_text(cell) for cell in line.cells or ()], rows):
        notes.warn("the file has no header: its columns were named column_1, column_2, …")
        return Header((), b"", None, line.start, line.number, width)
    return _header(line, width)


def _words(line: Line, syntax: Syntax) -> list[str]:
    """Return the line's cells; if its quotes do not pair up, the texts between delimiters."""
    if line.cells is not None:
        return [as_text(cell) for cell in line.cells]
    return [as_text(part).strip().strip('"') for part in line.raw.split(syntax.delimiter)]


def _shown_cells(line: Line) -> list[str]:
    return [as_text(cell) for cell in line.cells or [line.raw]]


def _without_header(first: Line, names: tuple[str, ...], notes: Notes) -> Header:
    notes.warn(
        f"the file has no header: the columns were taken by their position, as {header_match.listed(names)}"
    )
    return Header(names, b"", None, first.start, first.number, len(names))


def _header(line: Line, width: int) -> Header:
    cells = tuple(as_text(cell) for cell in line.cells or ())
    return Header(cells, line.raw, line.number, line.end, line.next_number, width)


def _may_be_header(line: Line, width: int, syntax: Syntax) -> bool:
    if width <= 1:
        return not line.raw.startswith(b"#")
    filled, cells = line.filled, line.cells
    if cells is None or len(cells) == 1:
        salvaged = salvage(line.raw, syntax, width)
        filled = len(salvaged) if len(salvaged) > 1 else 0
    if line.raw.startswith(b"#") and len(cells or ()) != width:
        return False
    return filled >= max(2, round(0.6 * width))


def first_lines(
    head: bytes, final: bool, syntax: Syntax, limits: Limits, most: int, number: int = 1
) -> Iterator[Line]:
    """Yield the first records that are not blank; a line whose quotes do not pair up is a record of its own.

    `number`: of the first line in the file.
    """
    reader = Reader(head, Plan(syntax, 0, (), (), (), b"", limits), final)
    nothing = Blanks(_BLANKS_AND_LINE_ENDS + syntax.delimiter)
    start, count = 0, 0
    while count < most:
        filled = _first_filled(head, start, nothing)
        number, start = number + _line_ends(head[start:filled]), filled
        if start == len(head):
            return
        try:
            cells, stop, end = _record(reader, start)
        except MoreNeeded:
            return
        if cells is None and count == 0 and head.count(syntax.delimiter, start, stop) >= limits.columns:
            raise FileError(
                FileErrorCode.TOO_LARGE,
                f"the line {number} has too many cells: of columns, {limits.of('columns')}",
            )
        next_number = number + _line_ends(head[start:end])
        if cells is None or len(cells) == 1 or any(cells):
            yield Line(cells, head[start:stop], number, start, end, next_number)
        start, number, count = end, next_number, count + 1


def without_hint(lines: Sequence[Line]) -> Sequence[Line]:
    """Return the lines without a first line like `sep=;`, which tells spreadsheets the delimiter."""
    return lines[1:] if lines and _HINT.fullmatch(lines[0].raw.strip()) else lines


def _first_filled(head: bytes, start: int, nothing: Blanks) -> int:
    """Return where the first line begins, from `start` on, that has more than blanks and delimiters.

    One search over all bytes, not line by line: a hostile file can begin with millions of blank lines.
    """
    at = nothing.skip(head, start, len(head))
    if at == len(head):
        return len(head)
    return 1 + max(start - 1, head.rfind(b"\n", start, at), head.rfind(b"\r", start, at))


def _record(reader: Reader, start: int) -> tuple[list[bytes | None] | None, int, int]:
    try:
        return reader.loose(start)
    except MoreNeeded:  # the quote is not closed within `head`
        return (None, *reader.line(start))


def _line_ends(text: bytes) -> int:
    return text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")


def record_end(head: bytes) -> str | None:
    """Return CRLF, LF, CR or mixed, as used in the beginning of the file; None without a line end."""
    crlf = head.count(b"\r\n")
    counts = Counter({"CRLF": crlf, "LF": head.count(b"\n") - crlf, "CR": head.count(b"\r") - crlf})
    used = [name for name, count in counts.items() if count]
    return None if not used else used[0] if len(used) == 1 else "mixed"
