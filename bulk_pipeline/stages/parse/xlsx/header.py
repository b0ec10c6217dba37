"""Finds the header of a sheet, below any title rows, and tells records above it from titles."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import dropwhile, islice

from bulk_pipeline.limits import Limits
from bulk_pipeline.schema import Mode, Table, UploadFormat
from bulk_pipeline.stages.parse import header_match, positional
from bulk_pipeline.stages.parse.column_names import ColumnNames
from bulk_pipeline.stages.parse.csv.dialect import HEADER_LINES, usual_width
from bulk_pipeline.stages.parse.data_shape import looks_like_data
from bulk_pipeline.stages.parse.header_match import Columns
from bulk_pipeline.stages.parse.parsed import Notes
from bulk_pipeline.stages.parse.xlsx.cells import Flaw
from bulk_pipeline.stages.parse.xlsx.sheet import Row

_NEXT_ROWS = 3
_SHARE, _FULL = 0.6, 0.75


@dataclass(frozen=True)
class SheetHeader:
    """The header of a sheet.

    `labels` are unique names of a row's cells, by position. `number` is the header's row in the sheet, None without a
    header. `above` is the number of rows before the records; `records_above` are those of them that are not titles.
    """

    labels: tuple[str, ...]
    columns: Columns
    number: int | None
    above: int
    records_above: tuple[Row, ...] = ()


def words(row: Row) -> list[str]:
    """Return the texts that people see in the cells."""
    return [cell.shown if isinstance(cell, Flaw) else cell or "" for cell in row.cells]


def first_rows(rows: Iterable[Row], declared: UploadFormat) -> list[Row]:
    """Return the first rows, from that of the declared header on; none if that row is empty."""
    number = declared.header_row or 1
    first = list(islice(dropwhile(lambda row: row.number < number, rows), HEADER_LINES))
    return first if declared.header_row is None or (first and first[0].number == number) else []


def of_table(
    first: Sequence[Row],
    known: ColumnNames,
    declared: UploadFormat,
    mode: Mode,
    notes: Notes,
    limits: Limits,
) -> SheetHeader:
    """Return the header that names the columns of a table. Raises `FileError` if no row does."""
    table = known.table
    at = best(first, known, table.required_columns(mode), declared) or 0
    names = words(first[at])
    header_match.refuse_oversize(names, len(names), limits)
    columns = header_match.of_table(names, table, mode, notes, declared)
    records = _records_above(first[:at], len(names), columns, known)
    if len(records) < at or _is_below_titles(declared):
        notes.warn(f"the header is in row {first[at].number} of the sheet: the rows before it were not used")
    return SheetHeader(labels(names), columns, first[at].number, at + 1, records)


def by_position(first: Sequence[Row], known: ColumnNames, mode: Mode, notes: Notes) -> SheetHeader:
    """Return the table's own columns, for a sheet that is declared to have no header."""
    table = known.table
    width = max(len(row.cells) for row in first)
    padded = [words(row) + [""] * (width - len(row.cells)) for row in first]
    names = positional.declared_columns(padded, width, table, mode)
    header_match.warn_of_unused((), known, notes)
    columns = tuple(name for name in table.column_names if name in names)
    notes.warn(
        f"the sheet has no header: the columns were taken by their position, as {header_match.listed(names)}"
    )
    return SheetHeader(names, Columns(columns, tuple(map(names.index, columns))), None, 0)


def of_sheet(first: Sequence[Row], declared: UploadFormat, notes: Notes, limits: Limits) -> SheetHeader:
    """Return the sheet's own columns: the first row about as wide as most, unless it looks like data."""
    width = usual_width([len(row.cells) for row in first])
    enough = max(min(2, width), round(_SHARE * width))
    at = next((i for i, row in enumerate(first) if _filled(row) >= enough or declared.header_row), 0)
    names = words(first[at])
    below = [] if declared.header_row else [words(row) for row in first[at + 1 :]]
    if declared.no_header or looks_like_data(names, below):
        if not declared.no_header:
            notes.warn("the sheet has no header: its columns were named column_1, column_2, …")
        width = max(len(row.cells) for row in first)
        header_match.refuse_oversize((), width, limits)
        columns = header_match.of_file([], width, notes)
        return SheetHeader(columns.names, columns, None, 0)
    header_match.refuse_oversize(names, len(names), limits)
    if at > 0 or _is_below_titles(declared):
        notes.warn(f"the header is in row {first[at].number} of the sheet: the rows before it were not used")
    return SheetHeader(
        labels(names), header_match.of_file(names, len(names), notes), first[at].number, at + 1
    )


def best(
    rows: Sequence[Row], known: ColumnNames, required: Collection[str], declared: UploadFormat
) -> int | None:
    """Return the index of the first row with all `required` columns, else of the one that names most columns.

    If the row of the header is declared, only the first row can be it.
    """
    best_row, most = None, 0
    for at, row in enumerate(rows[:1] if declared.header_row else rows):
        names = known.known(words(row))
        if len(names) > most and (len(names) > 1 or at == 0 or len(row.cells) <= 2):
            best_row, most = at, len(names)
        if best_row == at and names.issuperset(required) and _is_like_the_next(rows, at):
            break  # a later row may name more: the header of a second table
    return best_row


def labels(names: Sequence[str]) -> tuple[str, ...]:
    """Return unique names for the cells of a row: the header's, or made-up ones where it is empty."""
    unique: dict[str, None] = {}
    for number, name in enumerate(names, 1):
        label = name or f"column_{number}"
        while label in unique:
            label += f"_{number}"
        unique[label] = None
    return tuple(unique)


def _is_like_the_next(rows: Sequence[Row], at: int) -> bool:
    """Return True if a row is wide enough to be the header of the next rows rather than a title."""
    below = rows[at + 1 : at + 1 + _NEXT_ROWS]
    return not below or any(len(row.cells) <= len(rows[at].cells) for row in below)


def _records_above(above: Sequence[Row], width: int, columns: Columns, known: ColumnNames) -> tuple[Row, ...]:
    """Return the rows that are as full as records, have a cell that only records have, or are below another header."""
    own = next((i for i, row in enumerate(above) if len(known.known(words(row))) > 1), len(above))
    return tuple(
        row for i, row in enumerate(above) if i >= own or _is_record(words(row), width, columns, known.table)
    )


def _is_record(cells: list[str], width: int, columns: Columns, table: Table) -> bool:
    if sum(map(bool, cells)) >= max(2, math.ceil(_FULL * width)):
        return True
    columns_at = zip(columns.names, columns.positions, strict=True)
    return any(
        positional.is_data([cells[at]], [table.column(name)]) for name, at in columns_at if at < len(cells)
    )


def _is_below_titles(declared: UploadFormat) -> bool:
    return declared.header_row is not None and declared.header_row > 1


def _filled(row: Row) -> int:
    return sum(cell is not None for cell in row.cells)
