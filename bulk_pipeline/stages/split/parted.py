"""Parts good rows from rejected ones before anything is loaded: references, keys used twice in the file."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema import Mode, Table
from bulk_pipeline.stages.sorted_sets import positions, union
from bulk_pipeline.stages.split import refusals
from bulk_pipeline.stages.split.key_claims import Claims, Stored, nothing_stored
from bulk_pipeline.stages.split.keys import fingerprints, key_columns, repeated

Batches = Callable[[], Iterable[pa.RecordBatch]]
"""Gives the batches of a file from the start, each time it is called."""
RowSet = Callable[[np.ndarray], np.ndarray]
"""Which of some row numbers belong to a set."""


class References(Protocol):
    """Knows which rows exist in the tables that others refer to."""

    def missing(self, table: str, ids: pa.Array) -> pa.Array:
        """Those of `ids` (text, without NULL and repetition) that no row of `table` has."""
        ...


@dataclass(frozen=True)
class Parted:
    """One batch, parted. `failed`: which of its rows have a failure. `failures`: the new ones, in row order.

    `winners`: the numbers of the rows, maybe of earlier batches, to which rows of this one have lost a key.
    """

    rows: pa.RecordBatch
    failed: np.ndarray
    failures: pa.RecordBatch
    winners: np.ndarray

    @property
    def good(self) -> pa.RecordBatch:
        return self.rows.filter(pa.array(~self.failed)) if self.failed.any() else self.rows


def split(
    batches: Batches,
    rejected: np.ndarray,
    table: Table,
    mode: Mode,
    references: References,
    stored: Stored = nothing_stored,
    folder: Path | None = None,
) -> Iterator[Parted]:
    """Part typed batches (`_row`, `_line`, columns of `table`) of all rows that could be read.

    `rejected`: the numbers of rows that have failures already (int64, sorted, unique). In `upsert` a key may
    be repeated in a file, so only references are looked at. `stored` is asked about rows that repeat a key: one that
    is in the table already claims nothing. `folder`: for keys of a file with very many.
    """
    known = _KnownReferences(references)
    claims = None if mode.updates_rows else _claims(batches, table, stored, folder)
    for rows in batches():
        failed, _ = positions(rows["_row"].to_numpy(), rejected)
        found, winners = [], []
        for key in (key for key in table.foreign_keys if key.column in rows.schema.names):
            unknown = known.unknown(key.table, rows[key.column])
            found.append(refusals.unknown_reference(_at(rows, unknown), key))
            failed[unknown] = True
        for lost in claims.make(rows, failed) if claims else ():
            losers = _at(rows, lost.positions)
            found.append(refusals.duplicate_in_file(losers, lost.column, pa.array(lost.winners)))
            failed[lost.positions] = True
            winners.append(lost.winners)
        yield Parted(rows, failed, refusals.in_row_order(found), union(winners))


def split_again(
    batches: Batches, holding: RowSet, wanting: RowSet, table: Table, stored: Stored, folder: Path | None
) -> Iterator[Parted]:
    """Give the keys of a file away once more: rows `holding` theirs keep them, rows `wanting` some get what is left.

    What is `failed` are the wanting rows that have lost again.
    """
    claims = _claims(batches, table, stored, folder)
    for rows in batches():
        list(claims.make(rows, ~holding(rows["_row"].to_numpy())))  # none loses: all of them are in the table
    for rows in batches():
        failed, found, winners = np.zeros(rows.num_rows, bool), [], []
        for lost in claims.make(rows, ~wanting(rows["_row"].to_numpy())):
            losers = _at(rows, lost.positions)
            found.append(refusals.duplicate_in_file(losers, lost.column, pa.array(lost.winners)))
            failed[lost.positions] = True
            winners.append(lost.winners)
        yield Parted(rows, failed, refusals.in_row_order(found), union(winners))


def _claims(batches: Batches, table: Table, stored: Stored, folder: Path | None) -> Claims:
    again = {
        name: repeated((rows[name] for rows in batches() if name in rows.schema.names), folder=folder)
        for name in key_columns(table)
    }
    return Claims(again, stored)


class _KnownReferences:
    """Asks about each id once. Of those that exist a fingerprint is kept, so memory is 8 bytes for each.

    Two ids with the same fingerprint would let a row with an unknown reference pass; the foreign key finds
    it.
    """

    def __init__(self, references: References) -> None:
        self._references = references
        self._existing: dict[str, np.ndarray] = {}

    def unknown(self, table: str, cells: pa.Array) -> np.ndarray:
        """The positions of cells that name no row of `table`; NULL names none and is not unknown."""
        existing = self._existing.get(table, np.empty(0, np.int64))
        ids = pc.unique(cells.drop_null())
        prints = fingerprints(ids)
        new, _ = positions(prints, existing)
        ids, prints = ids.filter(pa.array(~new)), prints[~new]
        if not len(ids):
            return np.empty(0, np.int64)
        missing = self._references.missing(table, ids)
        absent = pc.is_in(ids, value_set=missing).to_numpy(zero_copy_only=False)
        self._existing[table] = union([existing, prints[~absent]])
        return np.flatnonzero(pc.is_in(cells, value_set=missing, skip_nulls=True))


def _at(rows: pa.RecordBatch, positions: np.ndarray) -> pa.RecordBatch:
    return rows.take(pa.array(positions, pa.int64()))
