"""Tells which rows of a sheet are no records: what stands above its header, further headers and what is below them."""

from collections.abc import Iterable, Iterator, Sequence

from bulk_pipeline.stages.parse.column_names import ColumnNames, plain, spelling
from bulk_pipeline.stages.parse.xlsx_cells import Cell
from bulk_pipeline.stages.parse.xlsx_header import SheetHeader, words
from bulk_pipeline.stages.parse.xlsx_sheet import Row

Judged = tuple[Row, str | None]
"""A row, and why it is no record."""

_ENOUGH_NAMES = 2
_MORE_CHARACTERS = 16
"""By how much a name in the sheet may be longer than the table's, for blanks and punctuation."""


def judged(found: SheetHeader, rows: Iterable[Row], names: ColumnNames | None) -> Iterator[Judged]:
    """The rows above the header that are no titles, and those below it. `names`: of the table's columns, if any."""
    for row in found.records_above:
        yield row, f"stands above the header (row {found.number} of the sheet)"
    own = [_name(label, names) for label in found.labels]
    watch = _Watch([*found.labels, *(names.plain_spellings() if names else ())])
    width, below = len(own), 0
    for row in rows:
        cells = words(row) if watch.sees(row.cells) else []
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
    """Looks for names in rows: few rows hold one, and only these need a further look."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)
        self._plain = frozenset(map(plain, names)) - {""}
        self._longest = max(map(len, names), default=0) + _MORE_CHARACTERS

    def sees(self, cells: Iterable[Cell]) -> bool:
        """Whether one of the cells may be a name, in any spelling."""
        return any(
            cell in self._names or plain(cell) in self._plain
            for cell in cells
            if isinstance(cell, str) and len(cell) <= self._longest
        )


def _name(word: str, names: ColumnNames | None) -> str:
    return (names and names.column(word)) or spelling(word)


def _is_own(cells: list[str], own: list[str]) -> bool:
    """An empty cell of the header has a label that was made up."""
    return len(cells) == len(own) and all(
        cell == label or (not cell and label.startswith("column"))
        for cell, label in zip(cells, own, strict=True)
    )
