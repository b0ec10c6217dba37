"""Writes one batch: the rows straight into the table, and if the database refuses them, again with care."""

from collections.abc import Callable
from datetime import datetime

import pyarrow as pa

from bulk_pipeline.errors import RowsRefusedError
from bulk_pipeline.schema import Mode, Table
from bulk_pipeline.stages.load.careful import CarefulWriter, dropped
from bulk_pipeline.stages.load.ids import IdMaker
from bulk_pipeline.stages.load.prepare import Batch
from bulk_pipeline.stages.load.row_store import BatchWriter, LoadCounts, RowStore, Settled
from bulk_pipeline.stages.split import refusals


def write(
    batch: Batch, writer: BatchWriter, table: Table, mode: Mode, ids: IdMaker, now: Callable[[], datetime]
) -> Settled:
    """Write a batch in the transaction of `writer`; the counts cover its whole range."""
    try:
        with writer.savepoint():
            written = _as_searched(batch, writer, table)
    except RowsRefusedError:
        careful = CarefulWriter(writer, table, mode, ids, now)
        careful.rekey(batch.rekeys)
        written = careful.write(batch.pending)
    counts = written.counts + LoadCounts(unchanged=batch.same, superseded=batch.superseded)
    rejected = batch.range.last - batch.range.first + 1 - counts.settled
    failures = refusals.in_row_order([batch.failures, written.failures])
    return Settled(counts + LoadCounts(rejected=rejected), failures)


def write_again(
    rows: pa.Table, table: Table, mode: Mode, ids: IdMaker, store: RowStore
) -> Callable[[BatchWriter], Settled]:
    """How to write, with care, rows that were rejected before; for `RowStore.settle_again`."""
    return lambda writer: CarefulWriter(writer, table, mode, ids, store.now).write(rows)


def _as_searched(batch: Batch, writer: BatchWriter, table: Table) -> Settled:
    if batch.rekeys:
        writer.rekey(batch.rekeys)
    failures = []
    if batch.inserts.num_rows and len(absent := writer.insert(batch.inserts)):
        failures.append(dropped(batch.inserts, absent, writer, "insert"))
    inserted, updated, unchanged = batch.inserts.num_rows - sum(map(len, failures)), 0, 0
    for rows, by in ((batch.by_id, "id"), (batch.by_key, str(table.natural_key)), (batch.resolved, "id")):
        if rows.num_rows:
            outcome = writer.update(rows, by)
            if len(outcome.missing):
                raise RowsRefusedError("rows to update have been removed")
            if len(outcome.dropped):
                failures.append(dropped(rows, outcome.dropped, writer, "update"))
            updated += outcome.changed
            unchanged += rows.num_rows - outcome.changed - len(outcome.dropped)
    counts = LoadCounts(inserted=inserted, updated=updated, unchanged=unchanged)
    return Settled(counts, refusals.in_row_order(failures))
