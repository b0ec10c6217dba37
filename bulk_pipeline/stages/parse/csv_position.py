"""Takes the columns of a table by their position, for a file whose header does not name them, or that has none.

Never on the width alone: every column that can be told by its cells (ids, addresses, times, choices) must hold such
cells, two of them at least, and names that the header does have must not say otherwise. Whoever imports the file
is warned; what does not fit is refused by the caller.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bulk_pipeline.schema import Column, ColumnType, Mode, Table
from bulk_pipeline.stages.parse import header

_ENOUGH_COLUMNS, _SHARE = 2, 0.8
_LONGEST = 400
_UUID = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?")
_BOOLEANS = {"true", "false", "1", "0", "yes", "no"}

Cells = Sequence[str]


@dataclass(frozen=True)
class Placed:
    """`names[i]` is the column of cell i. The data begin with line number `first` (from 0) of those looked at."""

    names: tuple[str, ...]
    first: int


def placed(lines: Sequence[Cells], width: int, table: Table, mode: Mode) -> Placed | None:
    """The columns of `lines`, most of which have `width` cells; None where it cannot be told."""
    found = [
        placed
        for names in _layouts(table, mode)
        if len(names) == width and (placed := _placed(lines, names, table)) is not None
    ]
    return found[0] if len(found) == 1 else None


def _placed(lines: Sequence[Cells], names: tuple[str, ...], table: Table) -> Placed | None:
    columns = [table.column(name) for name in names]
    first = next((i for i, cells in enumerate(lines) if _is_data(cells, columns)), len(lines))
    rows = [cells for cells in lines[first:] if len(cells) == len(names)]
    if not _agree(rows, columns) or any(_contradicts(cells, names, table) for cells in lines[:first]):
        return None
    return Placed(names, first)


def _layouts(table: Table, mode: Mode) -> Iterator[tuple[str, ...]]:
    """All columns in the order of the declaration; the same without those that the database makes: the id, and one
    time after the other from the last on."""
    times = [c.name for c in table.columns if c.generated and c.type is ColumnType.TIMESTAMP]
    for count in range(len(times) + 1):
        for left_out in (set(times[count:]), {"id", *times[count:]}):
            if not left_out & set(table.required_columns(mode)):
                yield tuple(name for name in table.column_names if name not in left_out)


def _is_data(cells: Cells, columns: Sequence[Column]) -> bool:
    """Whether any cell is what only data are, wherever it stands: a damaged first row is a row all the same."""
    told = [column for column in columns if column.type is not ColumnType.BOOLEAN and _is_telling(column)]
    return any(_fits(cell, column) for cell in cells if cell for column in told)


def _is_telling(column: Column) -> bool:
    """Whether a text of another kind, such as a name of a column, would show."""
    if column.pattern is not None:
        return re.fullmatch(column.pattern, "word") is None
    return column.type is not ColumnType.TEXT or bool(column.choices)


def _agree(rows: Sequence[Cells], columns: Sequence[Column]) -> bool:
    agreed = 0
    for at, column in enumerate(columns):
        cells = [row[at] for row in rows if row[at]]
        if not _is_telling(column) or not cells:
            continue
        if sum(_fits(cell, column) for cell in cells) < _SHARE * len(cells):
            return False
        agreed += 1
    return agreed >= _ENOUGH_COLUMNS


def _fits(cell: str, column: Column) -> bool:
    cell = cell.strip()[:_LONGEST]
    if column.type is ColumnType.UUID:
        return _UUID.fullmatch(cell.removeprefix(column.prefix or "")) is not None
    if column.type is ColumnType.TIMESTAMP:
        return _TIME.fullmatch(cell) is not None
    if column.type is ColumnType.BOOLEAN:
        return cell.lower() in _BOOLEANS
    if column.type is ColumnType.TEXT_ARRAY:
        return cell.startswith("[") and cell.endswith("]")
    if column.choices:
        return cell in column.choices
    return column.pattern is not None and re.fullmatch(column.pattern, cell) is not None


def _contradicts(cells: Cells, names: Sequence[str], table: Table) -> bool:
    """Whether names in a line above the data stand elsewhere; in a line of another width, in another order."""
    found = [
        (at, name) for at, name in enumerate(map(header.normalized, cells)) if name in table.column_names
    ]
    if len(found) < 2:
        return any(at < len(names) and names[at] != name for at, name in found if len(cells) == len(names))
    if len(cells) == len(names):
        return any(names[at] != name for at, name in found)
    order = [names.index(name) if name in names else -1 for _, name in found]
    return -1 in order or order != sorted(set(order))
