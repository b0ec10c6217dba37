"""Parts good rows from rejected ones before anything is loaded: references, keys used twice in the file.

Rows are not copied: a `SplitResult` says which of them are good.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.row_sets import positions, union
from bulk_pipeline.schema import ForeignKey, Key, Mode, Table, TableName
from bulk_pipeline.stages import key_cells
from bulk_pipeline.stages.split import failure_messages
from bulk_pipeline.stages.split.key_claims import Claims, Stored, nothing_stored
from bulk_pipeline.stages.split.keys import fingerprints, repeated
from bulk_pipeline.stages.split.own_references import Orphans, own_keys

Batches = Callable[[], Iterable[pa.RecordBatch]]
"""Gives the batches of a file from the start, each time it is called."""
RowSet = Callable[[np.ndarray], np.ndarray]
"""Which of some row numbers belong to a set."""


class References(Protocol):
    """Knows which rows exist in the tables that others refer to."""

    def missing(self, key: ForeignKey, values: pa.RecordBatch) -> np.ndarray:
        """Return a mask of the rows of `values`, columns of the foreign key without NULL, that refer to no row."""
        ...


@dataclass(frozen=True)
class SplitResult:
    """One batch, parted. `failed`: which of its rows have a failure. `failures`: the new ones, in row order.

    `winners`: the numbers of the rows, maybe of earlier batches, to which rows of this one have lost a key.
    """

    rows: pa.RecordBatch
    failed: np.ndarray
    failures: pa.RecordBatch
    winners: np.ndarray


def split(
    batches: Batches,
    rejected: np.ndarray,
    table: Table,
    mode: Mode,
    references: References,
    stored: Stored = nothing_stored,
    folder: Path | None = None,
) -> Iterator[SplitResult]:
    """Part typed batches (`_row`, `_line`, columns of `table`) of all rows that could be read.

    `rejected`: the numbers of rows that have failures already (int64, sorted, unique). `stored` is called for rows that
    repeat a key. A row whose key is already in the table claims no key. `folder`: for keys of a file with very many.
    """
    known = _KnownReferences(references, table)
    claims = _claims(batches, table, stored, folder) if mode.rules.rejects_repeated_keys else None
    orphans = _orphans(batches, rejected, table, known)
    for rows in batches():
        failed, _ = positions(rows["_row"].to_numpy(), rejected)
        found, winners = [], []
        for key in (key for key in table.foreign_keys if key.is_in(rows.schema.names)):
            is_own = key.parent == table.qualified_name
            unknown = orphans.among(rows, key) if is_own else known.unknown(key, rows)
            found.append(failure_messages.unknown_reference(_at(rows, unknown), table, key))
            failed[unknown] = True
        for lost in claims.make(rows, failed) if claims else ():
            losers = _at(rows, lost.positions)
            found.append(failure_messages.duplicate_in_file(losers, table, lost.key, lost.winners))
            failed[lost.positions] = True
            winners.append(lost.winners)
        yield SplitResult(rows, failed, failure_messages.in_row_order(found), union(winners))


def split_again(
    batches: Batches, holding: RowSet, wanting: RowSet, table: Table, stored: Stored, folder: Path | None
) -> Iterator[SplitResult]:
    """Assign the keys of a file again: rows in `holding` keep their keys, rows in `wanting` then claim the keys that
    are left.

    `SplitResult.failed` marks the rows in `wanting` that lost a key again.
    """
    claims = _claims(batches, table, stored, folder)
    for rows in batches():
        list(claims.make(rows, ~holding(rows["_row"].to_numpy())))  # none loses: all of them are in the table
    for rows in batches():
        failed, found, winners = np.zeros(rows.num_rows, bool), [], []
        for lost in claims.make(rows, ~wanting(rows["_row"].to_numpy())):
            losers = _at(rows, lost.positions)
            found.append(failure_messages.duplicate_in_file(losers, table, lost.key, lost.winners))
            failed[lost.positions] = True
            winners.append(lost.winners)
        yield SplitResult(rows, failed, failure_messages.in_row_order(found), union(winners))


def _orphans(batches: Batches, rejected: np.ndarray, table: Table, known: "_KnownReferences") -> Orphans:
    orphans = Orphans(table)
    if any(key.parent == table.qualified_name for key in table.foreign_keys):
        for rows in batches():
            for key in own_keys(table, rows.schema.names):
                orphans.look(rows, key, known.unknown(key, rows))
        orphans.settle(rejected)
    return orphans


def _claims(batches: Batches, table: Table, stored: Stored, folder: Path | None) -> Claims:
    def cells(key: Key) -> Iterator[pa.Array]:
        keys = (key_cells.key_rows(rows, table) for rows in batches())
        return (key_cells.cells(rows, table, key) for rows in keys if key.is_in(rows.schema.names))

    return Claims(table, {key: repeated(cells(key), folder=folder) for key in table.keys}, stored)


class _KnownReferences:
    """Asks about each value once. Of those that exist a fingerprint is kept, so memory is 8 bytes for each.

    Two values with the same fingerprint would let a row with an unknown reference pass; the foreign key finds
    it.
    """

    def __init__(self, references: References, table: Table) -> None:
        self._references = references
        self._table = table
        self._existing: dict[tuple[TableName, tuple[str, ...]], np.ndarray] = {}

    def unknown(self, key: ForeignKey, rows: pa.RecordBatch) -> np.ndarray:
        """The positions of rows that refer to a row that does not exist; NULL refers to none and is not unknown."""
        cells = key_cells.cells(rows, self._table, Key(key.columns))
        referred = (key.parent, key.references)
        existing = self._existing.get(referred, np.empty(0, np.int64))
        values = pc.unique(cells.drop_null())
        prints = fingerprints(values)
        new, _ = positions(prints, existing)
        values, prints = values.filter(pa.array(~new)), prints[~new]
        if not len(values):
            return np.empty(0, np.int64)
        named = rows.select(list(key.columns)).take(pc.index_in(values, cells))
        absent = self._references.missing(key, named)
        self._existing[referred] = union([existing, prints[~absent]])
        return np.flatnonzero(pc.is_in(cells, value_set=values.filter(pa.array(absent)), skip_nulls=True))


def _at(rows: pa.RecordBatch, positions: np.ndarray) -> pa.RecordBatch:
    return rows.take(pa.array(positions, pa.int64()))
