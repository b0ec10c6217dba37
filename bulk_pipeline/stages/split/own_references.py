"""References from rows of a file to rows of the same table. The parent may be stored already, or be anywhere in the
file."""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from bulk_pipeline.arrow.row_sets import positions, union
from bulk_pipeline.schema import ForeignKey, Key, Table
from bulk_pipeline.stages import key_cells
from bulk_pipeline.stages.split.keys import fingerprints

Numbered: TypeAlias = tuple[np.ndarray, np.ndarray]
"""Row numbers, and a fingerprint for each."""


def own_keys(table: Table, columns: list[str]) -> list[ForeignKey]:
    """Return the foreign keys by which rows with these columns refer to rows of their own table."""
    return [key for key in table.foreign_keys if key.parent == table.qualified_name and key.is_in(columns)]


class Orphans:
    """Rows whose parent is neither in the table nor among the good rows of the file.

    The rows of a file are given one batch after the other to `look`, then `settle` decides. 24 bytes for each row.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._referring: dict[ForeignKey, list[Numbered]] = {}
        self._referred: dict[tuple[str, ...], list[Numbered]] = {}
        self._orphans: dict[ForeignKey, np.ndarray] = {}

    def look(self, rows: pa.RecordBatch, key: ForeignKey, unknown: np.ndarray) -> None:
        """Note the rows at the positions `unknown`, which refer to rows that the table does not have."""
        numbers = rows["_row"].to_numpy()
        named = fingerprints(key_cells.cells(rows, self._table, Key(key.columns)))
        self._referring.setdefault(key, []).append((numbers[unknown], named[unknown]))
        if all(name in rows.schema.names for name in key.references):
            own = fingerprints(key_cells.cells(rows, self._table, Key(key.references)))
            self._referred.setdefault(key.references, []).append((numbers, own))

    def settle(self, rejected: np.ndarray) -> None:
        """Decide about all rows: one that refers to a rejected row or to an orphan is an orphan too."""
        gone = rejected
        referring = {key: _together(parts) for key, parts in self._referring.items()}
        referred = {names: _together(parts) for names, parts in self._referred.items()}
        while True:
            self._orphans = {
                key: self._without(named, key, referred, gone) for key, named in referring.items()
            }
            after = union([gone, *self._orphans.values()])
            if len(after) == len(gone):
                return
            gone = after

    def among(self, rows: pa.RecordBatch, key: ForeignKey) -> np.ndarray:
        """Return the positions of the rows that are orphans by this key."""
        is_orphan, _ = positions(rows["_row"].to_numpy(), self._orphans.get(key, np.empty(0, np.int64)))
        return np.flatnonzero(is_orphan)

    @staticmethod
    def _without(
        named: Numbered, key: ForeignKey, referred: dict[tuple[str, ...], Numbered], gone: np.ndarray
    ) -> np.ndarray:
        numbers, prints = named
        if key.references not in referred:
            return union([numbers])
        rows, own = referred[key.references]
        is_gone, _ = positions(rows, gone)
        is_there, _ = positions(prints, union([own[~is_gone]]))
        return union([numbers[~is_there]])


def parents_first(rows: pa.Table, table: Table) -> pa.Table:
    """Return the rows in an order in which a row comes after the rows that it refers to, but for circles."""
    parents = list(_parents(rows, table))
    if not parents:
        return rows
    order: dict[int, None] = {}
    for start in range(rows.num_rows):
        path = [start]
        on_path = {start}
        while path:
            ahead = [
                parent
                for of in parents
                if (parent := of[path[-1]]) is not None and parent not in order and parent not in on_path
            ]
            if ahead and path[-1] not in order:
                path.append(ahead[0])
                on_path.add(ahead[0])
            else:
                order[path.pop()] = None
    return rows.take(pa.array(list(order), pa.int64()))


def _parents(rows: pa.Table, table: Table) -> Iterator[list[int | None]]:
    """Yield for each foreign key the position of the row that each row refers to, None if it is not among them."""
    for key in own_keys(table, rows.column_names):
        if not all(name in rows.column_names for name in key.references):
            continue
        places = {
            cell: at
            for at, cell in enumerate(key_cells.cells(rows, table, Key(key.references)).to_pylist())
            if cell is not None
        }
        yield [places.get(cell) for cell in key_cells.cells(rows, table, Key(key.columns)).to_pylist()]


def _together(parts: list[Numbered]) -> Numbered:
    return np.concatenate([numbers for numbers, _ in parts]), np.concatenate([prints for _, prints in parts])
