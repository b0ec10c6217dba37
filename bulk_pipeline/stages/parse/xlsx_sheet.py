"""The rows of one sheet, as its XML is read from beginning to end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bulk_pipeline.errors import FileError
from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.xlsx_cells import (
    WITHOUT_VALUE,
    Cell,
    Flaw,
    error,
    number,
    text,
)
from bulk_pipeline.stages.parse.xlsx_formats import Reader
from bulk_pipeline.stages.parse.xlsx_package import Handlers, Package, qualified

_MOST_COLUMNS, _MOST_ROWS = 16_384, 1_048_576
_ROW, _CELL, _VALUE, _FORMULA, _INLINE, _TEXT, _PHONETIC, _STRING = range(8)
_TEXTS = (_VALUE, _TEXT)
_KINDS = qualified(
    {"row": _ROW, "c": _CELL, "v": _VALUE, "f": _FORMULA, "is": _INLINE, "t": _TEXT, "rPh": _PHONETIC}
)
_STRING_KINDS = qualified({"si": _STRING, "t": _TEXT, "rPh": _PHONETIC})


@dataclass(frozen=True)
class Row:
    """`number` is the row's in the sheet. The last cell is none that is empty."""

    number: int
    cells: list[Cell]


@dataclass(frozen=True)
class Contents:
    """What the cells of all sheets refer to by number: texts, and readers of numbers for each style."""

    strings: Sequence[Cell]
    styles: Sequence[Reader]


def shared_strings(package: Package, part: str) -> list[Cell]:
    """The texts that cells refer to by their number; what is to be read aloud is none of a text."""
    strings: list[Cell] = []
    run: list[str] = []
    whole: list[str] = []
    phonetic = False

    def start(name: str, _: dict[str, str]) -> None:
        nonlocal phonetic
        run.clear()
        kind = _STRING_KINDS.get(name)
        if kind == _STRING:
            whole.clear()
        elif kind == _PHONETIC:
            phonetic = True

    def end(name: str) -> None:
        nonlocal phonetic
        kind = _STRING_KINDS.get(name)
        if kind == _TEXT:
            if not phonetic:
                whole.extend(run)
        elif kind == _STRING:
            strings.append(text("".join(whole)))
        elif kind == _PHONETIC:
            phonetic = False

    for _ in package.stream(part, Handlers(start, end, run.append)):
        pass
    return strings


def rows(package: Package, part: str, contents: Contents, limits: Limits) -> Iterator[Row]:
    """Rows with something in them, in the order of the file."""
    sheet = _Sheet(contents, limits)
    for _ in package.stream(part, Handlers(sheet.start, sheet.end, sheet.text)):
        yield from sheet.finished
        sheet.finished.clear()


class _Sheet:
    """What is known of the row and the cell that are being read."""

    def __init__(self, contents: Contents, limits: Limits) -> None:
        self.finished: list[Row] = []
        self._pieces: list[str] = []
        self.text = self._pieces.append
        self._strings = contents.strings
        self._styles = {str(number): reader for number, reader in enumerate(contents.styles)}
        self._most_cells = limits.sheet_cells
        self._columns: dict[str, int] = {}
        self._number = self._widest = 0
        self._digits = ""
        self._row: list[Cell] = []
        self._cell: dict[str, str] = {}
        self._value: str | None = None
        self._runs: list[str] = []
        self._has_formula = self._is_phonetic = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        kind = _KINDS.get(name)
        if kind == _CELL:
            self._cell, self._value, self._has_formula = attributes, None, False
        elif kind in _TEXTS:
            self._pieces.clear()
        elif kind == _ROW:
            self._start_row(attributes.get("r"))
        elif kind == _FORMULA:
            self._has_formula = True
        elif kind == _INLINE:
            self._runs.clear()
        elif kind == _PHONETIC:
            self._is_phonetic = True

    def end(self, name: str) -> None:
        kind = _KINDS.get(name)
        if kind == _CELL:
            self._end_cell()
        elif kind == _VALUE:
            self._value = "".join(self._pieces)
        elif kind == _ROW:
            self._end_row()
        elif kind == _TEXT and not self._is_phonetic:
            self._runs += self._pieces
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
            column = self._placed(place)
        kind = attributes.get("t", "n")
        if kind == "n" and value:
            cell = self._styles.get(attributes.get("s", "0"), number)(value)
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
                "unreadable_file",
                f"the .xlsx file is damaged: row {self._number} of the sheet has a cell twice ({self._cell['r']})",
            )
        self._row[column] = cell

    def _placed(self, place: str | None) -> int:
        """The column of a place that is not known yet; a row without a number has that of its cells."""
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
                "unreadable_file",
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
            self.finished.append(Row(self._number, row))
        self._row = []

    def _refuse_extent(self, rows: int, columns: int) -> None:
        if rows * columns > self._most_cells:
            raise FileError(
                "too_large",
                f"the sheet reaches over {rows:,} rows and {columns:,} columns, the limit is {self._most_cells:,} "
                "cells: save it as CSV",
            )

    def _other(self, kind: str, value: str | None) -> Cell:
        if kind == "inlineStr":
            return text("".join(self._runs) or value or "")
        if value is None or (not value and kind != "str"):
            return WITHOUT_VALUE if self._has_formula else None
        match kind:
            case "b":
                return {"1": "true", "0": "false"}.get(value, value)
            case "e":
                return error(value)
            case _:  # `str` of a formula, and `d`: a date or a time in ISO 8601
                return text(value)

    def _shared(self, value: str) -> Cell:
        try:
            at = int(value)
            return self._strings[at] if at >= 0 else _MISSING
        except (ValueError, IndexError):
            return _MISSING


_MISSING = Flaw("", "refers to a text that the file does not hold")


def _row_number(digits: str) -> int:
    if digits.isascii() and digits.isdigit() and 0 < int(digits[:9]) <= _MOST_ROWS and len(digits) <= 9:
        return int(digits)
    raise FileError("unreadable_file", f"the .xlsx file is damaged: a sheet has no row {digits[:20]!r}")


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters[:4].upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    if not (letters.isascii() and letters.isalpha() and number <= _MOST_COLUMNS):
        raise FileError(
            "unreadable_file", f"the .xlsx file is damaged: a sheet has no column {letters[:20]!r}"
        )
    return number - 1
