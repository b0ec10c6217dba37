"""Good rows into a table, range by range; each is committed whole, with what became of its rows.

What is decided where: `search` compares the whole file with the table before anything is written, `prepare`
makes one range ready, `write` writes it. The database is a `RowStore`, passed as an argument. Rows become visible batch
by batch.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence, Set
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from bulk_pipeline.concurrency import as_they_finish, read_ahead
from bulk_pipeline.errors import StoreUnavailableError
from bulk_pipeline.stages import absence
from bulk_pipeline.stages.counts import LoadCounts
from bulk_pipeline.stages.load.again import restore_superseded
from bulk_pipeline.stages.load.batches import cut, ranges
from bulk_pipeline.stages.load.context import LoadContext
from bulk_pipeline.stages.load.prepare import Batch, prepare
from bulk_pipeline.stages.load.row_store import Range
from bulk_pipeline.stages.load.search import search
from bulk_pipeline.stages.load.write import write

_OUTAGES_IN_A_ROW = 3
"""Outages without a batch committed in between, after which the load gives up for now."""
_FEW_ROWS = 5_000
"""So many, of one range, are kept in memory: to open the file anew for each look costs more."""


def load(
    good: Callable[[], Iterable[pa.RecordBatch]],
    context: LoadContext,
    *,
    columns: Sequence[str],
    total_rows: int,
    batch_rows: int,
    progress: Callable[[LoadCounts], None] = lambda counts: None,
) -> LoadCounts:
    """Load the ranges that are not committed yet, and return the counts of the whole file.

    `good`: gives typed batches (`_row`, `_line`, columns of `table`, and in all of them or none the column of
    `stages.absence`) in file order, from the start at each call. A source row that is in no batch counts as rejected.
    `columns`: those of the table that the file has; others are left alone. `total_rows`, `batch_rows`: of the source,
    rejected rows included. `progress` gets the counts so far after every commit. Raises `StoreUnavailableError` for an
    outage that lasts, `LoadRefusedError` if the table cannot take such rows, `JobGoneError`, `LeaseLostError` and
    `JobCancelledError` before anything more is written.
    """
    if total_rows <= min(_FEW_ROWS, batch_rows):
        good = partial(iter, list(good()))
    extra = {absence.COLUMN} if context.mode.rules.keeps_absent_cells else set[str]()
    source = _Source(good, ("_row", "_line", *(c for c in context.table.column_names if c in columns)), extra)
    store, outages, seen = context.store, 0, -1
    while True:
        try:
            store.check_fit(source.names[2:], context.mode)
            committed = store.committed()
            outages, seen = (0 if len(committed) > seen else outages), len(committed)
            missing = [range_ for range_ in ranges(total_rows, batch_rows) if range_ not in committed]
            counts = sum(committed.values(), LoadCounts())
            with closing(_load_missing(source, missing, context)) as settling:
                for settled in settling:
                    counts += settled
                    progress(counts)
            if counts.superseded and restore_superseded(source.batches, context):
                counts = sum(store.committed().values(), LoadCounts())
            return counts
        except StoreUnavailableError:
            outages += 1
            if outages >= _OUTAGES_IN_A_ROW:
                raise
            store.recover()  # what is in is looked up again, so a lost answer to COMMIT does no harm


@dataclass(frozen=True)
class _Source:
    """The good rows, without columns that are not to be loaded, but with those absent from each row."""

    good: Callable[[], Iterable[pa.RecordBatch]]
    names: Sequence[str]
    extra: Set[str]

    def batches(self) -> Iterator[pa.RecordBatch]:
        for rows in self.good():
            if rows.num_rows:
                yield rows.select([*self.names, *(self.extra & {*rows.schema.names})])


def _load_missing(
    source: _Source, missing: Sequence[Range], context: LoadContext
) -> Generator[LoadCounts, None, None]:
    """Commit the ranges; one after the other if keys change hands between rows of different ranges."""
    if not missing:
        return
    store = context.store
    verdicts = search(source.batches, context, missing)
    prepared = _prepared(source, missing, partial(prepare, context=context, verdicts=verdicts))
    with closing(read_ahead(prepared, waiting=1) if len(missing) > 1 else prepared) as batches:
        yield from as_they_finish(
            lambda batch: store.settle(batch.range, partial(write, batch, context=context)),
            batches,
            at_once=1 if verdicts.decisions else min(store.connections, len(missing)),
            interrupt=store.interrupt,
        )


def _prepared(
    source: _Source, missing: Sequence[Range], ready: Callable[[Range, pa.Table], Batch]
) -> Generator[Batch, None, None]:
    nothing = pa.table({"_row": pa.array([], pa.int64()), "_line": pa.array([], pa.int64())})
    for range_, parts in cut(source.batches(), missing):
        yield ready(range_, pa.Table.from_batches(parts) if parts else nothing)
