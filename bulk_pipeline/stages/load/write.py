"""Writes one batch: the rows straight into the table, and if the database refuses them, again with care."""

import pyarrow as pa

from bulk_pipeline.errors import RowsRefusedError
from bulk_pipeline.schema import Table
from bulk_pipeline.stages.counts import LoadCounts
from bulk_pipeline.stages.load.context import LoadContext
from bulk_pipeline.stages.load.fallback import FallbackWriter, dropped
from bulk_pipeline.stages.load.prepare import Batch
from bulk_pipeline.stages.load.row_store import BatchWriter, RangeOutcome
from bulk_pipeline.stages.split import failure_messages


def write(batch: Batch, writer: BatchWriter, context: LoadContext) -> RangeOutcome:
    """Write a batch in the transaction of `writer`; the counts cover its whole range."""
    try:
        with writer.savepoint():
            written = _as_searched(batch, writer, context.table)
    except RowsRefusedError:
        careful = FallbackWriter(writer, context)
        careful.rekey(batch.rekeys)
        written = careful.write(batch.pending)
    counts = written.counts + LoadCounts(unchanged=batch.same, superseded=batch.superseded)
    rejected = batch.range.last - batch.range.first + 1 - counts.processed
    failures = failure_messages.in_row_order([batch.failures, written.failures])
    return RangeOutcome(counts + LoadCounts(rejected=rejected), failures)


def _as_searched(batch: Batch, writer: BatchWriter, table: Table) -> RangeOutcome:
    if batch.rekeys:
        writer.rekey(batch.rekeys)
    failures, inserted, updated, unchanged = list[pa.RecordBatch](), 0, 0, 0
    for rows in batch.inserts:
        if len(absent := writer.insert(rows)):
            failures.append(dropped(rows, table, absent, writer, "insert"))
        inserted += rows.num_rows - len(absent)
    for by, rows in batch.updates:
        outcome = writer.update(rows, by)
        if len(outcome.missing):
            raise RowsRefusedError("rows to update have been removed")
        if len(outcome.dropped):
            failures.append(dropped(rows, table, outcome.dropped, writer, "update"))
        updated += outcome.changed
        unchanged += rows.num_rows - outcome.changed - len(outcome.dropped)
    counts = LoadCounts(inserted=inserted, updated=updated, unchanged=unchanged)
    return RangeOutcome(counts, failure_messages.in_row_order(failures))
