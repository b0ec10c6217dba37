"""Takes the columns of a table by their position, for a file that has no header.

Never on the width alone: the first line must hold a value that no name of a column can be, no line may look like a
header, and every column that can be told by its cells (ids, addresses, times, choices) must hold such cells, two of
them at least. Whoever imports the file is warned. Where it was declared that there is no header, the width is enough.
"""

import re
from collections.abc import Iterator, Sequence

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import Column, ColumnType, Mode, Table
from bulk_pipeline.stages.parse import header

_ENOUGH_COLUMNS, _SHARE = 2, 0.8
_LONGEST = 400
_UUID = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?")
_BOOLEANS = {"true", "false", "1", "0", "yes", "no"}

Cells = Sequence[str]


def placed(lines: Sequence[Cells], width: int, table: Table, mode: Mode) -> tuple[str, ...] | None:
    """The columns of `lines`, most of which have `width` cells; None where it cannot be told."""
    rows = [cells for cells in lines if len(cells) == width]
    found = [
        names
        for names in layouts(table, mode)
        if len(names) == width and _is_placed(lines[0], rows, [table.column(name) for name in names])
    ]
    return found[0] if len(found) == 1 else None


def declared(lines: Sequence[Cells], width: int, table: Table, mode: Mode) -> tuple[str, ...]:
    """The same for a file that is declared to have no header: of the orders that are as wide, the one that most cells
    fit. `FileError` if there is none, or it cannot be told."""
    possible = list(layouts(table, mode))
    fitting = {names: 0 for names in possible if len(names) == width}
    for names in fitting:
        columns = [table.column(name) for name in names]
        fitting[names] = sum(
            fits(cell, column)
            for cells in lines
            if len(cells) == width
            for cell, column in zip(cells, columns, strict=True)
            if cell and _is_telling(column)
        )
    best = [names for names, count in fitting.items() if count == max(fitting.values())]
    if len(best) == 1:
        return best[0]
    orders = "; or ".join(f"{len(names)} ({header.listed(names)})" for names in best or possible)
    why = "their cells do not tell which order they have" if best else "no order has as many"
    raise FileError(
        "no_header",
        f"header: none is declared, and most rows have {width} cells: {why}; expected columns of {table.name} by their "
        f"position: {orders}",
    )


def layouts(table: Table, mode: Mode) -> Iterator[tuple[str, ...]]:
    """All columns in the order of the declaration; the same without those that the database makes: the id, and one
    time after the other from the last on."""
    times = [c.name for c in table.columns if c.generated and c.type is ColumnType.TIMESTAMP]
    for count in range(len(times) + 1):
        for left_out in (set(times[count:]), {"id", *times[count:]}):
            if not left_out & set(table.required_columns(mode)):
                yield tuple(name for name in table.column_names if name not in left_out)


def is_data(cells: Cells, columns: Sequence[Column]) -> bool:
    """Whether any cell is what only data are, wherever it stands: a damaged first row is a row all the same. A choice
    may be the name of a column (`published`)."""
    kinds = (ColumnType.UUID, ColumnType.TIMESTAMP, ColumnType.TEXT_ARRAY)
    told = [column for column in columns if column.type in kinds or (column.pattern and _is_telling(column))]
    return any(fits(cell, column) for cell in cells if cell for column in told)


def fits(cell: str, column: Column) -> bool:
    """Whether a cell looks like a value of a column that can be told by its cells."""
    cell = cell.strip()
    if column.type is ColumnType.TEXT_ARRAY:  # `[title]` is a name, as some databases write it
        return cell.startswith("[") and cell.endswith("]") and cell[1:].lstrip()[:1] in ('"', "]")
    cell = cell[:_LONGEST]
    if column.type is ColumnType.UUID:
        return _UUID.fullmatch(cell.removeprefix(column.prefix or "")) is not None
    if column.type is ColumnType.TIMESTAMP:
        return _TIME.fullmatch(cell) is not None
    if column.type is ColumnType.BOOLEAN:
        return cell.lower() in _BOOLEANS
    if column.choices:
        return cell in column.choices
    return column.pattern is not None and re.fullmatch(column.pattern, cell) is not None


def _is_placed(first: Cells, rows: Sequence[Cells], columns: Sequence[Column]) -> bool:
    if not is_data(first, columns) or not _agree(rows, columns):
        return False
    return not any(all(cells) and not is_data(cells, columns) for cells in rows)


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
        if sum(fits(cell, column) for cell in cells) < _SHARE * len(cells):
            return False
        agreed += 1
    return agreed >= _ENOUGH_COLUMNS
