"""Writes rows again whose fate has changed because the database refused another row of their file."""

from collections.abc import Collection, Iterable
from functools import partial
from typing import Literal

import numpy as np
import pyarrow as pa

from bulk_pipeline.arrow.row_sets import difference, positions, union
from bulk_pipeline.stages.counts import LoadCounts
from bulk_pipeline.stages.load.absent_cells import completed
from bulk_pipeline.stages.load.context import LoadContext
from bulk_pipeline.stages.load.decisions import where
from bulk_pipeline.stages.load.fallback import FallbackWriter
from bulk_pipeline.stages.load.repeated_keys import Repeats, find_repeats
from bulk_pipeline.stages.load.resolve import Decision
from bulk_pipeline.stages.load.row_store import BatchWriter, RangeOutcome
from bulk_pipeline.stages.load.search import Batches, chosen

_ROWS_AT_ONCE = 50_000


def write_again(
    batches: Iterable[pa.RecordBatch],
    numbers: np.ndarray,
    context: LoadContext,
    counted: Literal["rejected", "superseded"],
    decisions: Iterable[Decision] = (),
    sources: Iterable[pa.RecordBatch] = (),
) -> None:
    """Write the rows with these sorted numbers, and correct the outcome of their ranges, where they are counted so far.

    `batches`: the good rows of the file. `decisions`, `sources`: cells that the rows carry, as in `completed`.
    """
    ranges, carried = sorted(context.store.committed()), list(sources)
    firsts = np.array([range_.first for range_ in ranges], np.int64)
    for batch in chosen(batches, numbers):
        for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
            rows = pa.Table.from_batches([batch.slice(start, _ROWS_AT_ONCE)])
            rows = completed(rows, context.table, decisions, carried)
            at = np.searchsorted(firsts, rows["_row"].to_numpy(), side="right") - 1
            for place in np.unique(at).tolist():
                inside = where(rows, at == place)
                context.store.settle_again(
                    ranges[place],
                    inside["_row"].to_numpy(),
                    LoadCounts(**{counted: inside.num_rows}),
                    partial(_outcome, inside, context),
                )


def restore_superseded(good: Batches, context: LoadContext) -> bool:
    """Write the rows of an upsert whose next row was refused; return whether there were any.

    So the result is that of the rows applied one after the other, even if the one that is written now is refused too.
    """
    if not len(context.store.refused()):
        return False
    decisions = {decision.row: decision for decision in context.store.decisions()}
    rows, after = _links(find_repeats(good, context.table), decisions.values())
    restored = False
    while True:
        refused = context.store.refused()
        done = union([refused, context.store.reopened()])
        lost = difference(rows[positions(after, refused)[0]], done)
        if not len(lost):
            return restored
        tangled = [decisions[row] for row in lost.tolist() if row in decisions]
        carried = np.array([row for decision in tangled for _, row in decision.carried], np.int64)
        write_again(good(), lost, context, "superseded", tangled, chosen(good(), union([carried])))
        restored = True


def _links(repeats: Repeats, decisions: Collection[Decision]) -> tuple[np.ndarray, np.ndarray]:
    """Return the superseded rows, sorted, and for each the next row that means the same row of the table."""
    decided = np.array(sorted(decision.row for decision in decisions), np.int64)
    simple = ~positions(repeats.overwritten, decided)[0]
    links = [(decision.row, decision.by) for decision in decisions if decision.by is not None]
    others = np.array(links, np.int64).reshape(-1, 2).T
    rows = np.concatenate([repeats.overwritten[simple], others[0]])
    order = np.argsort(rows)
    return rows[order], np.concatenate([repeats.by[simple], others[1]])[order]


def _outcome(rows: pa.Table, context: LoadContext, writer: BatchWriter) -> RangeOutcome:
    written = FallbackWriter(writer, context).write(rows)
    rejected = LoadCounts(rejected=rows.num_rows - written.counts.processed)
    return RangeOutcome(written.counts + rejected, written.failures)
