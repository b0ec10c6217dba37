"""Writes rows that the database has refused as they were, so that only those at fault become failures.

A refusal means that the table has changed since the search (a key was taken, a parent removed) or that it has
constraints nobody declared. Only the batch that meets it pays: its rows are set beside the table as it is
now, and whatever is still refused is halved until the rows at fault stand alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.errors import RowsRefusedError
from bulk_pipeline.schema import Mode, Table
from bulk_pipeline.stages.load.decided import identify, of_fate, rekeys, where, with_forced
from bulk_pipeline.stages.load.ids import IdMaker
from bulk_pipeline.stages.load.prepare import insertable
from bulk_pipeline.stages.load.resolve import Fate, resolve
from bulk_pipeline.stages.load.row_store import BatchWriter, Event, LoadCounts, Settled
from bulk_pipeline.stages.load.search import keyed_rows, owner_keys
from bulk_pipeline.stages.load.unsaid import completed, incomplete_rows
from bulk_pipeline.stages.split import refusals

_ROUNDS = 2
"""How often rows are set beside the table because somebody took their keys, before each is written by itself."""


@dataclass(frozen=True)
class CarefulWriter:
    """Works inside the transaction of `writer`, in savepoints of its own."""

    writer: BatchWriter
    table: Table
    mode: Mode
    ids: IdMaker
    now: Callable[[], datetime]
    waiting: list[tuple[pa.Table, RowsRefusedError]] = field(default_factory=list)
    """Rows that a deferred constraint has refused so far."""

    def rekey(self, keys: Sequence[tuple[str, str]]) -> None:
        """Give natural keys away as far as possible; the rows they belong to come later and say so if not."""
        for one in keys:
            try:
                with self.writer.savepoint():
                    self.writer.rekey([one])
            except RowsRefusedError:
                continue

    def write(self, rows: pa.Table) -> Settled:
        """Write the rows that can be written, in file order; the others become failures.

        A row that a deferred constraint has refused is tried again once the others are in, as it may need a later one.
        """
        settled, refused = self._write(rows), 0
        while self.waiting and len(self.waiting) != refused:
            refused = len(self.waiting)
            again = pa.concat_tables([row for row, _ in self.waiting], promote_options="default")
            self.waiting.clear()
            settled = _sum(settled, self._write(again))
        return _sum(settled, *(Settled(failures=refusals.refused(*one)) for one in self.waiting))

    def _write(self, rows: pa.Table) -> Settled:
        if not rows.num_rows:
            return Settled()
        waiting = len(self.waiting)
        try:
            with self.writer.savepoint():
                return self._within_rules(rows)
        except RowsRefusedError as refusal:
            del self.waiting[waiting:]
            if rows.num_rows == 1:
                return self._refused(rows, refusal)
        half = rows.num_rows // 2
        return _sum(self._write(rows.slice(0, half)), self._write(rows.slice(half)))

    def _refused(self, row: pa.Table, refusal: RowsRefusedError) -> Settled:
        if refusal.at_the_end:
            self.waiting.append((row, refusal))
            return Settled()
        return Settled(failures=refusals.refused(row, refusal))

    def _within_rules(self, rows: pa.Table) -> Settled:
        """Without the rows that lack a parent or break a check: a set at a time, for there may be many."""
        broken = self.writer.broken_checks(rows)
        rejected = np.isin(rows["_row"].to_numpy(), np.array([*broken], np.int64))
        reasons = [f"constraint {broken[row]}" for row in where(rows, rejected)["_row"].to_pylist()]
        failures = [refusals.constraint(where(rows, rejected), reasons)]
        for key in (key for key in self.table.foreign_keys if key.column in rows.column_names):
            named = pc.unique(rows[key.column]).drop_null()
            unknown = _among(rows, key.column, self.writer.hold_parents(key.table, named))
            failures.append(refusals.unknown_reference(where(rows, unknown), key))
            rejected |= unknown
        found = Settled(failures=refusals.in_row_order(failures))
        return _sum(found, self._merge(where(rows, ~rejected), _ROUNDS))

    def _merge(self, rows: pa.Table, rounds: int) -> Settled:
        if not rows.num_rows:
            return Settled()
        match self.mode:
            case Mode.INSERT_ONLY:
                return self._insert_only(rows, rounds)
            case Mode.UPSERT:
                return self._upsert(rows, rounds)
            case _:
                assert_never(self.mode)

    def _insert_only(self, rows: pa.Table, rounds: int) -> Settled:
        stored = self.writer.owners(*owner_keys(rows, self.table))
        free = np.ones(rows.num_rows, bool)
        failures = []
        for column, values in ((self.table.natural_key, stored.values()), ("id", stored.keys())):
            if column is None or column not in rows.column_names:
                continue
            taken = free & _among(rows, column, pa.array(values, pa.string()))
            failures.append(refusals.already_exists(where(rows, taken), column, self.table))
            free &= ~taken
        rejected = Settled(failures=refusals.in_row_order(failures))
        return _sum(rejected, self._insert(where(rows, free), rows, rounds))

    def _upsert(self, rows: pa.Table, rounds: int) -> Settled:
        stored = self.writer.owners(*owner_keys(rows, self.table))
        decisions = resolve(keyed_rows(rows, self.table, self.mode), stored)
        if moved := rekeys(rows, self.table, decisions):
            self.writer.rekey(moved)
        fates = {fate: np.isin(rows["_row"].to_numpy(), of_fate(decisions, fate)) for fate in Fate}
        whole = completed(rows, self.table, decisions, rows.to_batches())
        chosen = identify(whole, decisions)
        conflicts, incomplete = where(rows, fates[Fate.CONFLICT]), where(rows, fates[Fate.INCOMPLETE])
        failures = incomplete_rows(incomplete, self.table, self.mode)
        if len(conflicts):
            failures.append(refusals.key_conflict(conflicts, self.table))
        return _sum(
            Settled(
                LoadCounts(superseded=int(fates[Fate.SUPERSEDED].sum())), refusals.in_row_order(failures)
            ),
            self._insert(where(chosen, fates[Fate.INSERT]), whole, rounds),
            self._update(with_forced(where(chosen, fates[Fate.UPDATE]), decisions), whole, rounds),
        )

    def _insert(self, rows: pa.Table, given: pa.Table, rounds: int) -> Settled:
        if not rows.num_rows:
            return Settled()
        ready = insertable(rows, self.table, self.ids, self.now)
        if not rounds or ready.num_rows == 1:  # no key we know of is taken: let the database name its reason
            return _sum(
                *(self._insert_one(ready.slice(at, 1), given, rounds) for at in range(ready.num_rows))
            )
        if not self.writer.skips_taken():
            return _inserted(ready, self.writer.insert(ready), self.writer)
        taken = self.writer.insert_unless_taken(ready)
        written = Settled(LoadCounts(inserted=rows.num_rows - len(taken)))
        return _sum(written, self._merge(_numbered(given, taken), rounds - 1))

    def _insert_one(self, row: pa.Table, given: pa.Table, rounds: int) -> Settled:
        try:
            with self.writer.savepoint():
                return _inserted(row, self.writer.insert(row), self.writer)
        except RowsRefusedError as refusal:
            if rounds:  # another import may have taken its key meanwhile
                return self._merge(_numbered(given, row["_row"].to_numpy()), 0)
            return self._refused(row, refusal)

    def _update(self, rows: pa.Table, given: pa.Table, rounds: int) -> Settled:
        if not rows.num_rows:
            return Settled()
        outcome = self.writer.update(rows, "id")
        if len(outcome.missing) and not rounds:
            raise RowsRefusedError("the row is removed again and again")
        unchanged = rows.num_rows - outcome.changed - len(outcome.missing) - len(outcome.dropped)
        failures = refusals.in_row_order([])
        if len(outcome.dropped):
            failures = dropped(rows, outcome.dropped, self.writer, "update")
        written = Settled(LoadCounts(updated=outcome.changed, unchanged=unchanged), failures)
        return _sum(written, self._merge(_numbered(given, outcome.missing), rounds - 1))


def dropped(rows: pa.Table, numbers: np.ndarray, writer: BatchWriter, event: Event) -> pa.RecordBatch:
    """The failures of the rows of these numbers, which a trigger has dropped."""
    lost = _numbered(rows, numbers)
    return refusals.constraint(lost, [writer.dropped(event)] * lost.num_rows)


def _inserted(rows: pa.Table, absent: np.ndarray, writer: BatchWriter) -> Settled:
    counts = LoadCounts(inserted=rows.num_rows - len(absent))
    return Settled(counts, dropped(rows, absent, writer, "insert")) if len(absent) else Settled(counts)


def _sum(*parts: Settled) -> Settled:
    counts = sum((part.counts for part in parts), LoadCounts())
    return Settled(counts, refusals.in_row_order([part.failures for part in parts]))


def _among(rows: pa.Table, column: str, values: pa.Array) -> np.ndarray:
    """Which rows have one of `values` in the column; NULL never is."""
    return pc.is_in(rows[column], value_set=values.drop_null(), skip_nulls=True).to_numpy()


def _numbered(rows: pa.Table, numbers: np.ndarray) -> pa.Table:
    return where(rows, np.isin(rows["_row"].to_numpy(), numbers))
