"""Tells records above the chosen header from title lines: nothing that may be a row is left out without a word."""

from collections.abc import Iterator, Sequence

from bulk_pipeline.schema import ColumnType, Table
from bulk_pipeline.stages.parse import csv_position
from bulk_pipeline.stages.parse.column_names import ColumnNames

_SHARE, _ENOUGH_NAMES, _ENOUGH_LINES = 0.6, 2, 3
_COMMENTS = ("#", "//", "--")

Cells = Sequence[str]


def records_above(lines: Sequence[Cells], width: int, names: ColumnNames) -> list[int]:
    """Which of the lines above a header of `width` cells look like records, or like a header of their own.

    Those are lines as wide as the header with most cells filled, lines with a cell that only records have, such as an
    address, tables of full lines, and everything below a line that names columns. Comments never are.
    """
    found = [_is_record(cells, width, names.table) for cells in lines]
    for begin, end in _tables(lines):
        found[begin:end] = [True] * (end - begin)
    for at in range(len(lines) - 1):
        if len(names.known(lines[at])) >= _ENOUGH_NAMES and len(lines[at]) == len(lines[at + 1]):
            found[at:] = [True] * (len(lines) - at)
            break
    return [at for at, cells in enumerate(lines) if found[at] and not _is_comment(cells)]


def _is_record(cells: Cells, width: int, table: Table) -> bool:
    filled = sum(map(bool, cells))
    if len(cells) == width and filled >= max(2, round(_SHARE * width)):
        return True
    telling = [
        column for column in table.columns if column.type is not ColumnType.TIMESTAMP
    ]  # a title may have a date
    return csv_position.is_data(cells, telling)


def _tables(lines: Sequence[Cells]) -> Iterator[tuple[int, int]]:
    """Where three lines and more of one width follow each other, and no cell is empty; `Author: | Ann` is no such
    line."""
    begin = 0
    for at in range(1, len(lines) + 1):
        if (
            at == len(lines)
            or len(lines[at]) != len(lines[begin])
            or not (_is_full(lines[at]) and _is_full(lines[begin]))
        ):
            if at - begin >= _ENOUGH_LINES:
                yield begin, at
            begin = at


def _is_full(cells: Cells) -> bool:
    return len(cells) > 1 and all(cells) and not cells[0].endswith(":")


def _is_comment(cells: Cells) -> bool:
    return bool(cells) and cells[0].startswith(_COMMENTS)
