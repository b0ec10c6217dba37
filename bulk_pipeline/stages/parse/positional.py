"""Matches the cells of a file without header with a table's columns by position.

The width alone is not enough: the first line must have a value that cannot be a column's name, no line may look like a
header, and at least two columns must be recognisable by their cells (ids, addresses, times, choices) and have such
cells. The import then carries a warning. If the file is declared to have no header, the width is enough.
"""

import re
from collections.abc import Iterator, Sequence

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.schema import Column, ColumnType, Mode, Table
from bulk_pipeline.stages.parse import header_match

_ENOUGH_COLUMNS, _SHARE = 2, 0.8
_LONGEST = 400

Cells = Sequence[str]


def detected_columns(lines: Sequence[Cells], width: int, table: Table, mode: Mode) -> tuple[str, ...] | None:
    """Return the columns of `lines`, most of which have `width` cells, or None if they are not recognisable."""
    rows = [cells for cells in lines if len(cells) == width]
    fitting = [
        names
        for names in layouts(table, mode)
        if len(names) == width and _is_layout_of(lines[0], rows, [table.column(name) for name in names])
    ]
    return fitting[0] if len(fitting) == 1 else None


def declared_columns(lines: Sequence[Cells], width: int, table: Table, mode: Mode) -> tuple[str, ...]:
    """Return the columns of a file that is declared to have no header: the layout of this width that fits most cells.

    Raises `FileError` if there is no such layout, or if several fit equally well.
    """
    possible = list(layouts(table, mode))
    fitting = {names: 0 for names in possible if len(names) == width}
    for names in fitting:
        columns = [table.column(name) for name in names]
        fitting[names] = sum(
            fits(cell, column)
            for cells in lines
            if len(cells) == width
            for cell, column in zip(cells, columns, strict=True)
            if cell and _is_recognisable(column)
        )
    best = [names for names, count in fitting.items() if count == max(fitting.values())]
    if len(best) == 1:
        return best[0]
    orders = "; or ".join(f"{len(names)} ({header_match.listed(names)})" for names in best or possible)
    why = "their cells do not tell which order they have" if best else "no order has as many"
    raise FileError(
        FileErrorCode.NO_HEADER,
        f"header: none is declared, and most rows have {width} cells: {why}; "
        f"expected columns of {table.upload_name} by their position: {orders}",
    )


def layouts(table: Table, mode: Mode) -> Iterator[tuple[str, ...]]:
    """Yield the possible column orders: the declared order, then the same without generated columns. Generated times
    are left out one by one, starting with the last; the other generated columns are left out together."""
    columns = [column for column in table.columns if column.is_writable]
    made = [column for column in columns if column.is_made]
    times = [column.name for column in made if column.type is ColumnType.TIMESTAMP]
    others = frozenset(column.name for column in made if column.name not in times)
    for count in range(len(times) + 1):
        for left_out in dict.fromkeys((frozenset(times[count:]), others | {*times[count:]})):
            if not left_out & set(table.required_columns(mode)):
                yield tuple(column.name for column in columns if column.name not in left_out)


def is_data(cells: Cells, columns: Sequence[Column]) -> bool:
    """Return True if a cell, in any position, can only be data. A choice may be a column's name (`published`)."""
    recognisable = [
        column
        for column in columns
        if column.type.facts.never_a_name or (column.pattern and _is_recognisable(column))
    ]
    return any(fits(cell, column) for cell in cells if cell for column in recognisable)


def fits(cell: str, column: Column) -> bool:
    """Return True if a cell looks like a value of the column; False for a column that takes any text."""
    cell = cell.strip()
    if (pattern := column.type.facts.looks_like) is not None:
        return pattern.fullmatch(cell.removeprefix(column.prefix or "")) is not None
    cell = cell[:_LONGEST]
    if column.choices:
        return cell in column.choices
    return column.pattern is not None and re.fullmatch(column.pattern, cell) is not None


def _is_layout_of(first: Cells, rows: Sequence[Cells], columns: Sequence[Column]) -> bool:
    if not is_data(first, columns) or not _agree(rows, columns):
        return False
    return not any(all(cells) and not is_data(cells, columns) for cells in rows)


def _is_recognisable(column: Column) -> bool:
    """Return True if the column's values can be told from other texts, such as the names of columns."""
    if column.pattern is not None:
        return re.fullmatch(column.pattern, "word") is None
    return column.type.facts.looks_like is not None or bool(column.choices)


def _agree(rows: Sequence[Cells], columns: Sequence[Column]) -> bool:
    agreeing = 0
    for at, column in enumerate(columns):
        cells = [row[at] for row in rows if row[at]]
        if not _is_recognisable(column) or not cells:
            continue
        if sum(fits(cell, column) for cell in cells) < _SHARE * len(cells):
            return False
        agreeing += 1
    return agreeing >= _ENOUGH_COLUMNS
