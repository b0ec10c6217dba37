"""Finds the header line of a delimited file, below any title lines and comments."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from bulk_pipeline.errors import FileError
from bulk_pipeline.limits import Limits
from bulk_pipeline.schema import Mode, Table
from bulk_pipeline.stages.parse import csv_position, header
from bulk_pipeline.stages.parse.blanks import Blanks
from bulk_pipeline.stages.parse.column_names import ColumnNames
from bulk_pipeline.stages.parse.csv_above import records_above
from bulk_pipeline.stages.parse.csv_dialect import as_text, is_like_the_next, usual_width
from bulk_pipeline.stages.parse.csv_plan import Plan, Syntax
from bulk_pipeline.stages.parse.csv_salvage import salvage
from bulk_pipeline.stages.parse.csv_tolerant import MoreNeeded, Reader
from bulk_pipeline.stages.parse.data_shape import looks_like_data
from bulk_pipeline.stages.parse.parsed import Notes

SAMPLE_RECORDS = 500
_ENOUGH_ROWS, _SHARE = 3, 0.8
_BLANKS_AND_LINE_ENDS = b" \t\x0b\x0c\r\n"
_RULER = re.compile(rb"(?=.*[-=]{3})[-=+|:,;\t \"]+")
_HINT = re.compile(rb'"?sep=.{1,2}"?', re.IGNORECASE)
"""What spreadsheets read the delimiter from."""


@dataclass(frozen=True)
class Header:
    """`cells` as written; none if the file has no header. The data start at `end`, in the physical line
    `next_line`."""

    cells: tuple[str, ...]
    raw: bytes
    line: int | None
    end: int
    next_line: int
    width: int


@dataclass(frozen=True)
class Line:
    """A record at the beginning of the file, whatever its width; no cells if its quotes do not add up."""

    cells: list[bytes | None] | None
    raw: bytes
    number: int
    start: int
    end: int
    next_number: int

    @property
    def filled(self) -> int:
        return sum(cell not in (None, b"") for cell in self.cells or ())


def of_table(lines: Sequence[Line], names: ColumnNames, required: Collection[str]) -> Header:
    """The first line with all `required` columns, else the one that names most of the table's columns.

    Raises `FileError` if there is none, or the rows below it have another width throughout.
    """
    best, most, widths = None, 0, [len(line.cells or ()) for line in lines]
    for at, line in enumerate(lines):
        known = names.known(map(as_text, line.cells or ()))
        if len(known) < 2 and at > 0 and widths[at] > 2:
            continue  # one cell of a row may be such a word
        if known and known.issuperset(required) and is_like_the_next(widths, at):
            best = line
            break  # a later line may name more: the header of a second table
        if len(known) > most:
            best, most = line, len(known)
    if best is None:
        header.check((), _seen(lines[0]) if lines else [], names, None)
        raise AssertionError  # no column is named, which is refused
    width = len(best.cells or ())
    below = [len(line.cells or ()) for line in lines[lines.index(best) + 1 :]]
    usual = usual_width(below)
    filled = [found for found in below if found]
    if len(below) >= _ENOUGH_ROWS and width not in below and filled.count(usual) > _SHARE * len(filled):
        seen = header.listed(map(as_text, best.cells or ()))
        raise FileError(
            "no_header",
            f"the header (line {best.number}) has {width} cells, the rows below it have {usual}: found {seen}; "
            f"expected columns of {names.table.name}: {header.listed(names.table.column_names)}",
        )
    return _header(best, width)


def by_position(
    lines: Sequence[Line], syntax: Syntax, table: Table, mode: Mode, notes: Notes
) -> Header | None:
    """The table's own columns for a file without header, whose rows have as many cells and fit them; with a warning.
    None if a line may be a header, or the cells do not fit."""
    if not lines:
        return None
    width = usual_width([len(line.cells or ()) for line in lines])
    names = csv_position.placed([_words(line, syntax) for line in lines], width, table, mode)
    return None if names is None else _without_header(lines[0], names, notes)


def declared_none(lines: Sequence[Line], syntax: Syntax, table: Table, mode: Mode, notes: Notes) -> Header:
    """The same for a file of which it was declared; `FileError` if no order of the table's columns is as wide."""
    if not lines:
        raise FileError("no_header", "the file holds blank lines only")
    width = usual_width([len(line.cells or ()) for line in lines])
    names = csv_position.declared([_words(line, syntax) for line in lines], width, table, mode)
    return _without_header(lines[0], names, notes)


def rows_above(lines: Sequence[Line], found: Header, names: ColumnNames) -> list[Line]:
    """The lines above the header that look like records, and are no titles."""
    above = [line for line in lines if found.line is not None and line.number < found.line]
    return [above[at] for at in records_above(list(map(_seen, above)), found.width, names)]


def below_ruler(lines: Sequence[Line], found: Header) -> Header | None:
    """The header, if a line of dashes stands between it and the rows, as database clients write one; else None."""
    below = next((line for line in lines if line.start >= found.end), None)
    if found.line is None or found.width == 1 or below is None or not _RULER.fullmatch(below.raw.strip()):
        return None
    return replace(found, end=below.end, next_line=below.next_number)


def of_file(lines: Sequence[Line], syntax: Syntax, notes: Notes, *, no_header: bool = False) -> Header:
    """The first line that is about as wide as most lines are, unless it looks like data itself, or it was declared that
    there is no header."""
    width = usual_width([len(line.cells or ()) for line in lines])
    index = next((i for i, line in enumerate(lines) if _may_be_header(line, width, syntax)), 0)
    if not lines:
        raise FileError("no_header", "the file holds blank lines only")
    if no_header:
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
    if looks_like_data([as_text(cell) for cell in line.cells or ()], rows):
        notes.warn("the file has no header: its columns were named column_1, column_2, …")
        return Header((), b"", None, line.start, line.number, width)
    return _header(line, width)


def _words(line: Line, syntax: Syntax) -> list[str]:
    """The cells; where the quotes do not add up, what stands between delimiters."""
    if line.cells is not None:
        return [as_text(cell) for cell in line.cells]
    return [as_text(part).strip().strip('"') for part in line.raw.split(syntax.delimiter)]


def _seen(line: Line) -> list[str]:
    return [as_text(cell) for cell in line.cells or [line.raw]]


def _without_header(first: Line, names: tuple[str, ...], notes: Notes) -> Header:
    notes.warn(f"the file has no header: the columns were taken by their position, as {header.listed(names)}")
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


def first_lines(head: bytes, final: bool, syntax: Syntax, limits: Limits, most: int) -> Iterator[Line]:
    """The first records that are not blank; a line whose quotes do not add up is one by itself."""
    reader = Reader(head, Plan(syntax, 0, (), (), (), b"", limits), final)
    nothing = Blanks(_BLANKS_AND_LINE_ENDS + syntax.delimiter)
    start, number, count = 0, 1, 0
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
                "too_large", f"the line {number} has too many cells: of columns, {limits.of('columns')}"
            )
        next_number = number + _line_ends(head[start:end])
        if cells is None or len(cells) == 1 or any(cells):
            yield Line(cells, head[start:stop], number, start, end, next_number)
        start, number, count = end, next_number, count + 1


def without_hint(lines: Sequence[Line]) -> Sequence[Line]:
    """The lines without `sep=;`, with which spreadsheets tell each other the delimiter."""
    return lines[1:] if lines and _HINT.fullmatch(lines[0].raw.strip()) else lines


def _first_filled(head: bytes, start: int, nothing: Blanks) -> int:
    """Where the first line begins, from the line at `start` on, that is neither blank nor nothing but delimiters. Found
    at once: a bomb can begin with millions of blank lines."""
    at = nothing.skip(head, start, len(head))
    if at == len(head):
        return len(head)
    return 1 + max(start - 1, head.rfind(b"\n", start, at), head.rfind(b"\r", start, at))


def _record(reader: Reader, start: int) -> tuple[list[bytes | None] | None, int, int]:
    try:
        return reader.loose(start)
    except MoreNeeded:  # a quote that is not closed in sight
        return (None, *reader.line(start))


def _line_ends(text: bytes) -> int:
    return text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")


def record_end(head: bytes) -> str | None:
    """CRLF, LF, CR or mixed, as the beginning of the file has it."""
    crlf = head.count(b"\r\n")
    counts = Counter({"CRLF": crlf, "LF": head.count(b"\n") - crlf, "CR": head.count(b"\r") - crlf})
    used = [name for name, count in counts.items() if count]
    return None if not used else used[0] if len(used) == 1 else "mixed"
