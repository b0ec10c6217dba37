"""Decides about every good row before the first one is written: is it in the table, overwritten, in conflict?

Whole sets at a time: rows whose keys nobody else names need one join. Only rows that depend on each other are
applied one after the other, by `tangled`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import assert_never

import numpy as np
import pyarrow as pa

from bulk_pipeline.arrow.row_sets import difference, positions, union
from bulk_pipeline.schema import Mode, Table
from bulk_pipeline.stages import absence
from bulk_pipeline.stages.key_cells import key_rows, keys_in
from bulk_pipeline.stages.load.absent_cells import lacks_some
from bulk_pipeline.stages.load.context import LoadContext
from bulk_pipeline.stages.load.repeated_keys import find_repeats
from bulk_pipeline.stages.load.resolve import Decision
from bulk_pipeline.stages.load.row_store import Range
from bulk_pipeline.stages.load.tangled import decide

Batches = Callable[[], Iterable[pa.RecordBatch]]


class Verdict(IntEnum):
    """The facts known about a row before it is written."""

    NEW = 0
    SAME = 1
    CHANGED = 2
    SUPERSEDED = 3
    CONFLICT = 4
    RESOLVED = 5
    INCOMPLETE = 6
    EXISTS = 7
    """And above: the key of the number `code - EXISTS` is in the table."""


@dataclass(frozen=True)
class Verdicts:
    """`codes`: a verdict for each row number, a byte each. `decisions`: those about the RESOLVED rows.

    `sources`: the rows that decisions carry cells from.
    """

    codes: np.ndarray
    decisions: dict[int, Decision] = field(default_factory=dict)
    sources: list[pa.RecordBatch] = field(default_factory=list)

    def mark(self, rows: np.ndarray, verdict: int) -> None:
        """Set the verdict of these rows, replacing earlier ones; row numbers beyond the last missing range are
        ignored."""
        self.codes[rows[rows < len(self.codes)]] = verdict


def search(good: Batches, context: LoadContext, missing: Sequence[Range]) -> Verdicts:
    """Verdicts for the rows of the ranges that are `missing` in the table.

    Committed ranges are not compared again, but all rows of the file are searched for repeated keys.
    """
    verdicts = Verdicts(np.full(missing[-1].last + 1, Verdict.NEW, np.uint8))
    first = next(within(good(), missing), None)
    if first is None:
        return verdicts
    has_keys = bool(keys_in(context.table, key_rows(first, context.table).schema.names))
    match context.mode:
        case Mode.INSERT_ONLY:
            if has_keys:
                keys = (key_rows(rows, context.table) for rows in within(good(), missing))
                for number, rows in context.store.existing(keys).items():
                    verdicts.mark(rows, Verdict.EXISTS + number)
        case Mode.UPSERT:
            _mark_compared(verdicts, good, context, missing, has_keys)
        case _:
            assert_never(context.mode)
    return verdicts


def _mark_compared(
    verdicts: Verdicts, good: Batches, context: LoadContext, missing: Sequence[Range], has_keys: bool
) -> None:
    repeats, store = find_repeats(good, context.table), context.store
    tangled, conflicting = repeats.tangled, np.empty(0, np.int64)
    if has_keys and not store.is_empty():
        found = store.compare(lambda: within(good(), missing))
        verdicts.mark(found.same, Verdict.SAME)
        verdicts.mark(found.changed, Verdict.CHANGED)
        conflicting = found.conflicting
        tangled = union([tangled, found.linked])
    incomplete = _incomplete(verdicts, within(good(), missing), context)
    if _get_equal_nulls(verdicts, within(good(), missing), context.table):
        tangled = union(rows["_row"].to_numpy() for rows in within(good(), missing))
    verdicts.mark(repeats.overwritten, Verdict.SUPERSEDED)
    verdicts.mark(incomplete, Verdict.INCOMPLETE)
    verdicts.mark(conflicting, Verdict.CONFLICT)
    verdicts.decisions.update(_resolved(good, context, missing, tangled))
    verdicts.mark(np.array([*verdicts.decisions], np.int64), Verdict.RESOLVED)
    carried = [source for decision in verdicts.decisions.values() for _, source in decision.carried]
    verdicts.sources.extend(chosen(good(), union([np.array(carried, np.int64)])))


def _incomplete(verdicts: Verdicts, batches: Iterable[pa.RecordBatch], context: LoadContext) -> np.ndarray:
    """The numbers of new rows that lack a required column."""
    lacking = [np.empty(0, np.int64)]
    for rows in batches:
        if absence.COLUMN not in rows.schema.names:
            break
        lacking.append(rows["_row"].to_numpy()[lacks_some(rows, context.table, context.mode)])
    numbers = np.concatenate(lacking)
    return numbers[verdicts.codes[numbers] == Verdict.NEW]


def _get_equal_nulls(verdicts: Verdicts, batches: Iterable[pa.RecordBatch], table: Table) -> bool:
    """Return whether some new row gets NULL in a key with NULLS NOT DISTINCT of which it says nothing.

    The search has not looked for that key: any other row may have it, take it or give it up.
    """
    keys = [
        key
        for key in table.keys
        if not key.nulls_distinct and not any(table.column(name).null_keeps_stored for name in key.columns)
    ]
    for rows in batches if keys else ():
        is_new = verdicts.codes[rows["_row"].to_numpy()] == Verdict.NEW
        absent = absence.absent(rows, table)
        for key in keys:
            unsaid = [absent.get(name) for name in key.columns if name in rows.schema.names]
            if (
                all(silent is not None for silent in unsaid)
                and np.logical_and.reduce([is_new, *unsaid]).any()
            ):
                return True
    return False


def _resolved(
    good: Batches, context: LoadContext, missing: Sequence[Range], tangled: np.ndarray
) -> dict[int, Decision]:
    """Decisions about the tangled rows: those that an earlier attempt kept, and new ones for the others."""
    table, store = context.table, context.store
    decisions = {decision.row: decision for decision in store.decisions()}
    tangled = difference(tangled, np.array(sorted(decisions), np.int64))
    rows = list(chosen(within(good(), missing), tangled))
    if rows:
        found = decide(pa.Table.from_batches(rows), table, context.mode, store.owners)
        store.keep_decisions(found)
        decisions |= {decision.row: decision for decision in found}
    return decisions


def within(batches: Iterable[pa.RecordBatch], ranges: Sequence[Range]) -> Iterator[pa.RecordBatch]:
    """The rows whose numbers are in `ranges`, which are in ascending order."""
    if not ranges:
        return
    firsts = np.array([range_.first for range_ in ranges], np.int64)
    lasts = np.array([range_.last for range_ in ranges], np.int64)
    for rows in batches:
        numbers = rows["_row"].to_numpy()
        at = np.searchsorted(firsts, numbers, side="right") - 1
        inside = (at >= 0) & (numbers <= lasts[np.maximum(at, 0)])
        if inside.all():
            yield rows
        elif inside.any():
            yield rows.filter(pa.array(inside))


def chosen(batches: Iterable[pa.RecordBatch], wanted: np.ndarray) -> Iterator[pa.RecordBatch]:
    """The rows with these numbers, which are sorted."""
    for rows in batches if len(wanted) else ():
        found, _ = positions(rows["_row"].to_numpy(), wanted)
        if found.any():
            yield rows.filter(pa.array(found))
