"""Reads the rows of a sheet from its XML, as a stream."""

import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.xlsx.cells import (
    WITHOUT_VALUE,
    Cell,
    Flaw,
    as_stored,
    error,
    exact_text,
    number,
    text,
)
from bulk_pipeline.stages.parse.xlsx.number_formats import Reader
from bulk_pipeline.stages.parse.xlsx.package import Handlers, Package, qualified, refuse_depth, too_large

_STRINGS_BYTES, _FLAW_BYTES = 250_000_000, 500
_MOST_PIECES = 100_000
_MOST_COLUMNS, _MOST_ROWS = 16_384, 1_048_576
_ROW, _CELL, _VALUE, _FORMULA, _INLINE, _TEXT, _PHONETIC, _STRING = range(8)
_TEXTS = (_VALUE, _TEXT)
_KINDS = qualified(
    {"row": _ROW, "c": _CELL, "v": _VALUE, "f": _FORMULA, "is": _INLINE, "t": _TEXT, "rPh": _PHONETIC}
)
_STRING_KINDS = qualified({"si": _STRING, "t": _TEXT, "rPh": _PHONETIC})


@dataclass(frozen=True)
class Row:
    """A row of a sheet, with its number there; the last cell is never empty."""

    number: int
    cells: list[Cell]


@dataclass(frozen=True)
class SharedStrings:
    """The texts to which cells refer by number. `exact` holds those with blanks around them, and empty ones, as they
    are, if the workbook has cells that keep them."""

    cells: list[Cell] = field(default_factory=list)
    exact: dict[int, Cell] = field(default_factory=dict)


@dataclass(frozen=True)
class Contents:
    """The texts, and the readers of numbers by style, to which the cells of all sheets refer by number.

    `exact_styles`: the styles of cells whose texts are taken as they are, see `EXACT_TEXT`.
    `marks_stored`: whether the texts of values are marked (`StoredValue`).
    """

    strings: SharedStrings
    styles: Sequence[Reader]
    exact_styles: Collection[str] = ()
    marks_stored: bool = False


def shared_strings(package: Package, part: str, *, keeps_exact: bool) -> SharedStrings:
    """Return the texts without phonetic hints."""
    shared = SharedStrings()
    strings = shared.cells
    size = depth = 0
    run: list[str] = []
    whole: list[str] = []
    phonetic = False

    def start(name: str, _: dict[str, str]) -> None:
        nonlocal phonetic, depth
        depth += 1
        run.clear()
        kind = _STRING_KINDS.get(name)
        if kind == _STRING:
            whole.clear()
        elif kind == _PHONETIC:
            phonetic = True

    def end(name: str) -> None:
        nonlocal phonetic, depth, size
        depth -= 1
        kind = _STRING_KINDS.get(name)
        if kind == _TEXT:
            if not phonetic:
                whole.extend(run)
        elif kind == _STRING:
            written = "".join(whole)
            cell = text(written)
            if keeps_exact and (exact := exact_text(written)) != cell:
                shared.exact[len(strings)] = exact
                size += sys.getsizeof(exact)
            strings.append(cell)
            size += sys.getsizeof(cell) if isinstance(cell, str) else _FLAW_BYTES if cell else 0
        elif kind == _PHONETIC:
            phonetic = False

    for _ in package.stream(part, Handlers(start, end, run.append)):
        refuse_depth(depth)
        _refuse_pieces(run, whole)
        if size + 8 * len(strings) > _STRINGS_BYTES:
            raise FileError(
                FileErrorCode.TOO_LARGE,
                f"the texts of the .xlsx file take more than {_STRINGS_BYTES:,} bytes of memory: save it as CSV",
            )
    return shared


def rows(package: Package, part: str, contents: Contents, limits: Limits) -> Iterator[Row]:
    """Yield the rows that are not empty, in file order."""
    sheet = _Sheet(contents, limits)
    for _ in package.stream(part, Handlers(sheet.start, sheet.end, sheet.text)):
        refuse_depth(sheet.depth)
        _refuse_pieces(sheet.pieces, sheet.runs)
        yield from sheet.complete
        sheet.complete.clear()


class _Sheet:
    """The state of the row and the cell that are being read, and the rows that are complete."""

    def __init__(self, contents: Contents, limits: Limits) -> None:
        self.complete: list[Row] = []
        self.depth = 0
        self.pieces: list[str] = []
        self.runs: list[str] = []
        self.text = self.pieces.append
        self._strings, self._exact_strings = contents.strings.cells, contents.strings.exact
        self._exact_styles = contents.exact_styles
        self._mark = as_stored if contents.marks_stored else _unmarked
        self._styles = {str(style): self._marked(reader) for style, reader in enumerate(contents.styles)}
        self._without_style = self._marked(number)
        self._most_cells = limits.sheet_cells
        self._columns: dict[str, int] = {}
        self._number = self._widest = 0
        self._digits = ""
        self._row: list[Cell] = []
        self._cell: dict[str, str] = {}
        self._value: str | None = None
        self._has_formula = self._is_phonetic = False

    def _marked(self, reader: Reader) -> Reader:
        return reader if self._mark is _unmarked else lambda value: as_stored(reader(value))

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        kind = _KINDS.get(name)
        if kind == _CELL:
            self._cell, self._value, self._has_formula = attributes, None, False
        elif kind in _TEXTS:
            self.pieces.clear()
        elif kind == _ROW:
            self._start_row(attributes.get("r"))
        elif kind == _FORMULA:
            self._has_formula = True
        elif kind == _INLINE:
            self.runs.clear()
        elif kind == _PHONETIC:
            self._is_phonetic = True

    def end(self, name: str) -> None:
        self.depth -= 1
        kind = _KINDS.get(name)
        if kind == _CELL:
            self._end_cell()
        elif kind == _VALUE:
            self._value = "".join(self.pieces)
        elif kind == _ROW:
            self._end_row()
        elif kind == _TEXT and not self._is_phonetic:
            self.runs += self.pieces
        elif kind == _PHONETIC:
            self._is_phonetic = False

    def _start_row(self, number: str | None) -> None:
        self._row = []
        self._digits = number or ""
        self._number = self._number + 1 if number is None else _row_number(number)

    def _end_cell(self) -> None:
        row, attributes, value = self._row, self._cell, self._value
        place = attributes.get("r")
        column = len(row) if place is None else self._columns.get(place.removesuffix(self._digits))
        if column is None or not self._digits:
            column = self._column_of(place)
        kind = attributes.get("t", "n")
        if kind == "n" and value:
            cell = self._styles.get(attributes.get("s", "0"), self._without_style)(value)
        elif kind == "s" and value is not None:
            cell = self._shared(value)
        else:
            cell = self._other(kind, value)
        if column == len(row):
            row.append(cell)
        elif cell is not None:
            self._put(column, cell)

    def _put(self, column: int, cell: Cell) -> None:
        self._row += [None] * (column + 1 - len(self._row))
        if self._row[column] is not None:
            raise FileError(
                FileErrorCode.UNREADABLE_FILE,
                f"the .xlsx file is damaged: row {self._number} of the sheet has a cell twice ({self._cell['r']})",
            )
        self._row[column] = cell

    def _column_of(self, place: str | None) -> int:
        """Return the column of a new place, and remember it; a row without a number gets that of its cells."""
        if place is None:
            return len(self._row)
        letters = place.rstrip("0123456789")
        digits = place[len(letters) :]
        number, column = _row_number(digits), _column_number(letters)
        if not self._digits and (not self._row or number == self._number):
            self._number = number
            return column
        if number != self._number:
            self._refuse_extent(number, column + 1)
            raise FileError(
                FileErrorCode.UNREADABLE_FILE,
                f"the .xlsx file is damaged: the cell {place} stands in row {self._number} of the sheet",
            )
        self._columns[letters] = column
        return column

    def _end_row(self) -> None:
        row = self._row
        while row and row[-1] is None:
            row.pop()
        if row:
            self._widest = max(self._widest, len(row))
            self._refuse_extent(self._number, self._widest)
            self.complete.append(Row(self._number, row))
        self._row = []

    def _refuse_extent(self, rows: int, columns: int) -> None:
        if rows * columns > self._most_cells:
            raise FileError(
                FileErrorCode.TOO_LARGE,
                f"the sheet reaches over {rows:,} rows and {columns:,} columns, the limit is {self._most_cells:,} "
                "cells: save it as CSV",
            )

    def _other(self, kind: str, value: str | None) -> Cell:
        if kind == "inlineStr":
            is_exact = self._cell.get("s") in self._exact_styles
            return (exact_text if is_exact else text)("".join(self.runs) or value or "")
        if value is None or (not value and kind != "str"):
            return WITHOUT_VALUE if self._has_formula else None
        match kind:
            case "b":
                return self._mark({"1": "true", "0": "false"}.get(value, value))
            case "e":
                return error(value)
            case "d":  # a date or a time in ISO 8601
                return self._mark(text(value))
            case _:  # `str` of a formula
                return text(value)

    def _shared(self, value: str) -> Cell:
        try:
            at = int(value)
            if at in self._exact_strings and self._cell.get("s") in self._exact_styles:
                return self._exact_strings[at]
            return self._strings[at] if at >= 0 else _MISSING
        except (ValueError, IndexError):
            return _MISSING


def _unmarked(cell: Cell) -> Cell:
    return cell


_MISSING = Flaw("", "refers to a text that the file does not hold")


def _refuse_pieces(*pieces: list[str]) -> None:
    """Raise `FileError` for a text in very many pieces, which take far more memory than the text."""
    if max(map(len, pieces)) > _MOST_PIECES:
        raise too_large(f"a text has more than {_MOST_PIECES:,} pieces")


def _row_number(digits: str) -> int:
    if digits.isascii() and digits.isdigit() and 0 < int(digits[:9]) <= _MOST_ROWS and len(digits) <= 9:
        return int(digits)
    raise FileError(
        FileErrorCode.UNREADABLE_FILE, f"the .xlsx file is damaged: a sheet has no row {digits[:20]!r}"
    )


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters[:4].upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    if not (letters.isascii() and letters.isalpha() and number <= _MOST_COLUMNS):
        raise FileError(
            FileErrorCode.UNREADABLE_FILE,
            f"the .xlsx file is damaged: a sheet has no column {letters[:20]!r}",
        )
    return number - 1
