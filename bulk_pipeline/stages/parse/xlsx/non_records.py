"""Finds the rows of a sheet that are not records: rows above its header, further headers, and rows below these."""

from collections.abc import Iterable, Iterator, Sequence

from bulk_pipeline.stages.parse.column_names import ColumnNames, plain, spelling
from bulk_pipeline.stages.parse.xlsx.cells import Cell
from bulk_pipeline.stages.parse.xlsx.header import SheetHeader, words
from bulk_pipeline.stages.parse.xlsx.sheet import Row

RowProblem = tuple[Row, str | None]
"""A row, and the reason why it is not a record, None if it is one."""

_ENOUGH_NAMES = 2
_MORE_CHARACTERS = 16
"""Characters by which a name in the sheet may be longer than the table's: blanks and punctuation."""


def with_problems(
    header: SheetHeader, rows: Iterable[Row], names: ColumnNames | None
) -> Iterator[RowProblem]:
    """Yield the rows above the header that are not titles, and the `rows` below it, each with its problem, if any.

    `names` are those of the table's columns, None without a table.
    """
    for row in header.records_above:
        yield row, f"stands above the header (row {header.number} of the sheet)"
    own = [_name(label, names) for label in header.labels]
    watch = _Watch([*header.labels, *(names.plain_spellings() if names else ())])
    width, below = len(own), 0
    for row in rows:
        cells = words(row) if watch.may_have_name(row.cells) else []
        if cells and _is_own([_name(cell, names) for cell in cells], own):
            below = 0
            yield row, "the header is repeated here"
        elif cells and names and len(names.known(cells)) >= _ENOUGH_NAMES:
            below = row.number
            yield row, "is a header with other columns than the sheet's"
        elif below:
            yield row, f"stands below a header with other columns (row {below} of the sheet)"
        elif len(row.cells) > width:
            yield row, f"has {len(row.cells)} cells, expected {width}"
        else:
            yield row, None


class _Watch:
    """Finds rows that may have a column's name: few do, and only these are compared with headers."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)
        self._plain = frozenset(map(plain, names)) - {""}
        self._longest = max(map(len, names), default=0) + _MORE_CHARACTERS

    def may_have_name(self, cells: Iterable[Cell]) -> bool:
        """Return True if one of the cells may be a name, in any spelling."""
        return any(
            cell in self._names or plain(cell) in self._plain
            for cell in cells
            if isinstance(cell, str) and len(cell) <= self._longest
        )


def _name(word: str, names: ColumnNames | None) -> str:
    return (names and names.column(word)) or spelling(word)


def _is_own(cells: list[str], own: list[str]) -> bool:
    """Return True if the cells repeat the sheet's own header, whose empty cells have made-up labels."""
    return len(cells) == len(own) and all(
        cell == label or (not cell and label.startswith("column"))
        for cell, label in zip(cells, own, strict=True)
    )
