"""Writes rows that the database has refused as they were, so that only those at fault become failures.

A refusal means that the table has changed since the search (a key was taken, a parent removed) or that it has
constraints nobody declared. Only the batch that meets it pays: its rows are compared with the table as it is
now, and whatever is still refused is halved until the rows at fault stand alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.masks import mask
from bulk_pipeline.errors import RowsRefusedError
from bulk_pipeline.schema import ForeignKey, Key, Mode, Table
from bulk_pipeline.stages.counts import LoadCounts
from bulk_pipeline.stages.key_cells import cells
from bulk_pipeline.stages.load.absent_cells import completed, incomplete_rows
from bulk_pipeline.stages.load.context import LoadContext
from bulk_pipeline.stages.load.decisions import of_fate, rekeys, where, with_forced
from bulk_pipeline.stages.load.prepare import by_first_key, insertable
from bulk_pipeline.stages.load.resolve import Fate
from bulk_pipeline.stages.load.row_store import BatchWriter, Event, RangeOutcome, Rekey
from bulk_pipeline.stages.load.tangled import decide
from bulk_pipeline.stages.split import failure_messages
from bulk_pipeline.stages.split.own_references import parents_first

_ROUNDS = 2
"""The number of times that rows are compared with the table again because another session took their keys, before each
is written by itself."""


@dataclass(frozen=True)
class FallbackWriter:
    """Works inside the transaction of `writer`, in savepoints of its own."""

    writer: BatchWriter
    context: LoadContext
    waiting: list[tuple[pa.Table, RowsRefusedError]] = field(default_factory=list)
    """Rows that a deferred constraint has refused so far."""

    def rekey(self, rekeys: Sequence[Rekey]) -> None:
        """Change the key columns of stored rows, each in a savepoint; ignore refusals, since writing the rows that need
        these keys will report them."""
        for one in rekeys:
            try:
                with self.writer.savepoint():
                    self.writer.rekey([one])
            except RowsRefusedError:
                continue

    def write(self, rows: pa.Table) -> RangeOutcome:
        """Write the rows that can be written, in file order; the others become failures.

        A row that a deferred constraint has refused is tried again once the others are in, as it may need a later one.
        """
        settled, refused = self._write(parents_first(rows, self.context.table)), 0
        while self.waiting and len(self.waiting) != refused:
            refused = len(self.waiting)
            again = pa.concat_tables([row for row, _ in self.waiting], promote_options="default")
            self.waiting.clear()
            settled = _sum(settled, self._write(again))
        failures = (failure_messages.refused(row, self.context.table, why) for row, why in self.waiting)
        return _sum(settled, *(RangeOutcome(failures=failure) for failure in failures))

    def _write(self, rows: pa.Table) -> RangeOutcome:
        if not rows.num_rows:
            return RangeOutcome()
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

    def _refused(self, row: pa.Table, refusal: RowsRefusedError) -> RangeOutcome:
        if refusal.at_the_end:
            self.waiting.append((row, refusal))
            return RangeOutcome()
        return RangeOutcome(failures=failure_messages.refused(row, self.context.table, refusal))

    def _within_rules(self, rows: pa.Table) -> RangeOutcome:
        """Without the rows that lack a parent or break a check: a set at a time, for there may be many."""
        broken = self.writer.broken_checks(rows)
        rejected = np.isin(rows["_row"].to_numpy(), np.array([*broken], np.int64))
        reasons = [broken[row] for row in where(rows, rejected)["_row"].to_pylist()]
        table = self.context.table
        failures = [failure_messages.constraint(where(rows, rejected), table, reasons)]
        for key in (key for key in table.foreign_keys if key.is_in(rows.column_names)):
            unknown = self._unknown(rows, key)
            failures.append(failure_messages.unknown_reference(where(rows, unknown), table, key))
            rejected |= unknown
        found = RangeOutcome(failures=failure_messages.in_row_order(failures))
        return _sum(found, self._merge(where(rows, ~rejected), _ROUNDS))

    def _unknown(self, rows: pa.Table, key: ForeignKey) -> np.ndarray:
        """Which rows refer to a row that does not exist; the other rows that are referred to are held.

        A row may refer to one that is written with it.
        """
        table = self.context.table
        named = cells(rows, table, Key(key.columns))
        if key.parent == table.qualified_name and all(name in rows.column_names for name in key.references):
            written = cells(rows, table, Key(key.references)).drop_null()
            named = pc.if_else(pc.is_in(named, value_set=written, skip_nulls=True), None, named)
        values = pc.unique(named.drop_null())
        (whole,) = rows.select(list(key.columns)).combine_chunks().to_batches() or [None]
        if whole is None or not len(values):
            return np.zeros(rows.num_rows, bool)
        missing = self.writer.hold_parents(key, whole.take(pc.index_in(values, named)))
        return mask(pc.is_in(named, value_set=values.filter(pa.array(missing)), skip_nulls=True))

    def _merge(self, rows: pa.Table, rounds: int) -> RangeOutcome:
        if not rows.num_rows:
            return RangeOutcome()
        match self.context.mode:
            case Mode.INSERT_ONLY:
                return self._insert_only(rows, rounds)
            case Mode.UPSERT:
                return self._upsert(rows, rounds)
            case _:
                assert_never(self.context.mode)

    def _insert_only(self, rows: pa.Table, rounds: int) -> RangeOutcome:
        numbers, table = rows["_row"].to_numpy(), self.context.table
        free = np.ones(rows.num_rows, bool)
        failures = []
        for number, existing in self.writer.existing(rows).items():
            taken = np.isin(numbers, existing)
            failures.append(failure_messages.already_exists(where(rows, taken), table, table.keys[number]))
            free &= ~taken
        rejected = RangeOutcome(failures=failure_messages.in_row_order(failures))
        return _sum(rejected, self._insert(where(rows, free), rows, rounds))

    def _upsert(self, rows: pa.Table, rounds: int) -> RangeOutcome:
        table, mode = self.context.table, self.context.mode
        decisions = decide(rows, table, mode, self.writer.owners)
        if moved := rekeys(rows, table, decisions):
            self.writer.rekey(moved)
        fates = {fate: np.isin(rows["_row"].to_numpy(), of_fate(decisions, fate)) for fate in Fate}
        whole = completed(rows, table, decisions, rows.to_batches())
        conflicts, incomplete = where(rows, fates[Fate.CONFLICT]), where(rows, fates[Fate.INCOMPLETE])
        failures = incomplete_rows(incomplete, table, mode)
        if len(conflicts):
            failures.append(failure_messages.key_conflict(conflicts, table))
        changes = by_first_key(with_forced(where(whole, fates[Fate.UPDATE]), decisions), table)
        return _sum(
            RangeOutcome(
                LoadCounts(superseded=int(fates[Fate.SUPERSEDED].sum())),
                failure_messages.in_row_order(failures),
            ),
            self._insert(where(whole, fates[Fate.INSERT]), whole, rounds),
            *(self._update(found, key, whole, rounds) for key, found in changes),
        )

    def _insert(self, rows: pa.Table, given: pa.Table, rounds: int) -> RangeOutcome:
        if not rows.num_rows:
            return RangeOutcome()
        return _sum(*(self._insert_part(part, given, rounds) for part in insertable(rows, self.context)))

    def _insert_part(self, ready: pa.Table, given: pa.Table, rounds: int) -> RangeOutcome:
        if not rounds or ready.num_rows == 1:  # no key we know of is taken: let the database name its reason
            return _sum(
                *(self._insert_one(ready.slice(at, 1), given, rounds) for at in range(ready.num_rows))
            )
        if not self.writer.skips_taken():
            return self._inserted(ready, self.writer.insert(ready))
        taken = self.writer.insert_unless_taken(ready)
        written = RangeOutcome(LoadCounts(inserted=ready.num_rows - len(taken)))
        return _sum(written, self._merge(_numbered(given, taken), rounds - 1))

    def _insert_one(self, row: pa.Table, given: pa.Table, rounds: int) -> RangeOutcome:
        try:
            with self.writer.savepoint():
                return self._inserted(row, self.writer.insert(row))
        except RowsRefusedError as refusal:
            if rounds:  # another import may have taken its key meanwhile
                return self._merge(_numbered(given, row["_row"].to_numpy()), 0)
            return self._refused(row, refusal)

    def _inserted(self, rows: pa.Table, absent: np.ndarray) -> RangeOutcome:
        counts = LoadCounts(inserted=rows.num_rows - len(absent))
        if not len(absent):
            return RangeOutcome(counts)
        return RangeOutcome(counts, dropped(rows, self.context.table, absent, self.writer, "insert"))

    def _update(self, rows: pa.Table, by: Key, given: pa.Table, rounds: int) -> RangeOutcome:
        outcome = self.writer.update(rows, by)
        if len(outcome.missing) and not rounds:
            raise RowsRefusedError("the row is repeatedly removed by others")
        unchanged = rows.num_rows - outcome.changed - len(outcome.missing) - len(outcome.dropped)
        failures = failure_messages.in_row_order([])
        if len(outcome.dropped):
            failures = dropped(rows, self.context.table, outcome.dropped, self.writer, "update")
        written = RangeOutcome(LoadCounts(updated=outcome.changed, unchanged=unchanged), failures)
        return _sum(written, self._merge(_numbered(given, outcome.missing), rounds - 1))


def dropped(
    rows: pa.Table, table: Table, numbers: np.ndarray, writer: BatchWriter, event: Event
) -> pa.RecordBatch:
    """The failures of the rows of these numbers, which a trigger has dropped."""
    lost = _numbered(rows, numbers)
    return failure_messages.constraint(lost, table, [writer.dropped(event)] * lost.num_rows)


def _sum(*parts: RangeOutcome) -> RangeOutcome:
    counts = sum((part.counts for part in parts), LoadCounts())
    return RangeOutcome(counts, failure_messages.in_row_order([part.failures for part in parts]))


def _numbered(rows: pa.Table, numbers: np.ndarray) -> pa.Table:
    return where(rows, np.isin(rows["_row"].to_numpy(), numbers))
