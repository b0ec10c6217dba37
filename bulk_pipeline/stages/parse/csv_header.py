"""Finds the header line of a delimited file, below any title lines and comments."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import Mode, Table
from bulk_pipeline.stages.parse import csv_position, header
from bulk_pipeline.stages.parse.blanks import Blanks
from bulk_pipeline.stages.parse.csv_dialect import as_text, usual_width
from bulk_pipeline.stages.parse.csv_plan import Plan, Syntax
from bulk_pipeline.stages.parse.csv_salvage import salvage
from bulk_pipeline.stages.parse.csv_tolerant import MoreNeeded, Reader
from bulk_pipeline.stages.parse.data_shape import looks_like_data
from bulk_pipeline.stages.parse.limits import Limits
from bulk_pipeline.stages.parse.parsed import Notes

SAMPLE_RECORDS = 500
_ENOUGH_ROWS, _SHARE, _NEXT_LINES = 3, 0.8, 3
_NOTHING = Blanks(b" \t\x0b\x0c\r\n")


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


def of_table(lines: Sequence[Line], table: Table, required: Collection[str]) -> Header:
    """The first line with all `required` columns, else the one that names most of the table's columns.

    Raises `FileError` if there is none, or the rows below it have another width throughout.
    """
    best, most = None, 0
    for at, line in enumerate(lines):
        names = header.known(map(as_text, line.cells or ()), table)
        if len(names) > most and (len(names) > 1 or line is lines[0] or len(line.cells or ()) <= 2):
            best, most = line, len(names)
        if best is line and names.issuperset(required) and _is_like_the_next(lines, at):
            break  # a later line may name more: the header of a second table
    if best is None:
        seen = [as_text(cell) for cell in lines[0].cells or [lines[0].raw]] if lines else []
        expected = header.listed(table.column_names)
        raise FileError(
            "no_header",
            f"no usable header: found {header.listed(seen)}; expected columns of {table.name}: {expected}",
        )
    width = len(best.cells or ())
    below = [len(line.cells or ()) for line in lines[lines.index(best) + 1 :]]
    usual = usual_width(below)
    told = [found for found in below if found]
    if len(below) >= _ENOUGH_ROWS and width not in below and told.count(usual) > _SHARE * len(told):
        seen = header.listed(map(as_text, best.cells or ()))
        raise FileError(
            "no_header",
            f"the header (line {best.number}) has {width} cells, the rows below it have {usual}: found {seen}; "
            f"expected columns of {table.name}: {header.listed(table.column_names)}",
        )
    return _header(best, width)


def by_position(
    lines: Sequence[Line], syntax: Syntax, table: Table, mode: Mode, notes: Notes
) -> Header | None:
    """The table's own columns for rows that have as many cells and fit them, under a header that says nothing of use,
    or under none; with a warning. None if they do not fit."""
    width = usual_width([len(line.cells or ()) for line in lines])
    found = csv_position.placed([_words(line, syntax) for line in lines], width, table, mode)
    if found is None:
        return None
    above, first = lines[: found.first], lines[found.first]
    columns = f"the columns were taken by their position, as {header.listed(found.names)}"
    if above:
        seen = header.listed(map(as_text, above[-1].cells or [above[-1].raw]))
        notes.warn(
            f"the header (line {above[-1].number}) does not name the columns of {table.name}: {columns}; found {seen}"
        )
        return Header(found.names, above[-1].raw, above[-1].number, first.start, first.number, width)
    notes.warn(f"the file has no header: {columns}")
    return Header(found.names, b"", None, first.start, first.number, width)


def of_file(lines: Sequence[Line], syntax: Syntax, notes: Notes) -> Header:
    """The first line that is about as wide as most lines are, unless it looks like data itself."""
    width = usual_width([len(line.cells or ()) for line in lines])
    index = next((i for i, line in enumerate(lines) if _may_be_header(line, width, syntax)), 0)
    if not lines:
        raise FileError("no_header", "the file holds blank lines only")
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


def _is_like_the_next(lines: Sequence[Line], at: int) -> bool:
    """Whether a line may be the header of those below it, and no title."""
    width = len(lines[at].cells or ())
    below = lines[at + 1 : at + 1 + _NEXT_LINES]
    return not below or any(len(line.cells or ()) == width for line in below)


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
    start, number, count = 0, 1, 0
    while count < most:
        filled = _first_filled(head, start)
        number, start = number + _line_ends(head[start:filled]), filled
        if start == len(head):
            return
        try:
            cells, stop, end = _record(reader, start)
        except MoreNeeded:
            return
        next_number = number + _line_ends(head[start:end])
        yield Line(cells, head[start:stop], number, start, end, next_number)
        start, number, count = end, next_number, count + 1


def _first_filled(head: bytes, start: int) -> int:
    """Where the first line begins, from the line at `start` on, that is not blank. Found at once: a bomb
    can begin with millions of blank lines."""
    at = _NOTHING.skip(head, start, len(head))
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
