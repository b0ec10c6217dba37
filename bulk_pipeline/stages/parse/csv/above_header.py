"""Tells records above the header from title lines, so that no possible row is skipped without a message."""

from collections.abc import Iterator, Sequence

from bulk_pipeline.schema import ColumnType, Table
from bulk_pipeline.stages.parse import positional
from bulk_pipeline.stages.parse.column_names import ColumnNames

_SHARE, _ENOUGH_NAMES, _ENOUGH_LINES = 0.6, 2, 3
_COMMENTS = ("#", "//", "--")

Cells = Sequence[str]


def records_above(lines: Sequence[Cells], width: int, names: ColumnNames) -> list[int]:
    """Return the indexes of lines above a header of `width` cells that look like records or like another header.

    A line looks like a record if it is as wide as the header with most cells filled, if it has a cell that only records
    have, such as an email address, if it is part of a table of full lines, or if it is below a line that names columns.
    Comments never do.
    """
    is_record = [_is_record(cells, width, names.table) for cells in lines]
    for begin, end in _tables(lines):
        is_record[begin:end] = [True] * (end - begin)
    for at in range(len(lines) - 1):
        if len(names.known(lines[at])) >= _ENOUGH_NAMES and len(lines[at]) == len(lines[at + 1]):
            is_record[at:] = [True] * (len(lines) - at)
            break
    return [at for at, cells in enumerate(lines) if is_record[at] and not _is_comment(cells)]


def _is_record(cells: Cells, width: int, table: Table) -> bool:
    filled = sum(map(bool, cells))
    if len(cells) == width and filled >= max(2, round(_SHARE * width)):
        return True
    columns = [column for column in table.columns if column.type is not ColumnType.TIMESTAMP]
    return positional.is_data(cells, columns)  # without timestamps: a title may have a date


def _tables(lines: Sequence[Cells]) -> Iterator[tuple[int, int]]:
    """Yield the start and stop of each run of three or more lines of one width without empty cells.

    A labelled line such as `Author: | Ann` ends a run.
    """
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
