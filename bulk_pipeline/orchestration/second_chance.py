"""Rows that lost a key to an earlier row of their file which the database then refused: they get the key after all.

Only loading finds out that a trigger or a constraint refuses a row, when the losers of its keys are rejected already.
So the keys are given away once more, without the refused rows, until nobody gets one who had lost it before.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.orchestration.staged import FOUND_BEFORE_LOAD, FailureReader, Staged
from bulk_pipeline.orchestration.work import WorkLocation
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.load import write_again
from bulk_pipeline.stages.load.ids import IdMaker
from bulk_pipeline.stages.load.row_store import RowStore
from bulk_pipeline.stages.sorted_sets import difference, positions, union
from bulk_pipeline.stages.split import refusals, split_again
from bulk_pipeline.stages.split.key_claims import Stored

_FAILURES = "split_failures"
_ROWS_AT_ONCE = 50_000


def give_keys_back(
    staged: Staged, work: WorkLocation, store: RowStore, stored: Stored, ids: IdMaker
) -> Staged:
    """Load the rows that lost their keys to refused rows; gives what is rejected now.

    `staged` is what `split` has left, and all its good rows are loaded: a row that lost one key to a refused row, and
    whose other key a row has by now, is rejected still. `stored`: what `split` was told.
    """
    losers = _doubles(staged, work)
    if not len(losers):
        return staged
    winners, now = staged.numbers(work, "winners"), staged
    while positions(winners, refused := store.refused())[0].any():
        before = store.reopened()
        now, winners = _split_again(staged, losers, refused, before, work, stored)
        reopened = difference(difference(losers, _doubles(now, work)), before)
        for rows in _rows(now, work, reopened):
            store.settle_again(rows["_row"].to_numpy(), write_again(rows, now.table, now.mode, ids, store))
        if not len(reopened):
            break
    return now


def _split_again(
    staged: Staged,
    losers: np.ndarray,
    refused: np.ndarray,
    reopened: np.ndarray,
    work: WorkLocation,
    stored: Stored,
) -> tuple[Staged, np.ndarray]:
    """What `split` would have left if it had known of the refused rows, and who has a key that others want."""
    area = work.area(staged.job_id, staged.attempt)
    before = FailureReader(staged.batches(work, _FAILURES))
    rejected = union([difference(staged.rejected(work, *FOUND_BEFORE_LOAD), reopened), refused])
    losing = difference(losers, reopened)
    winners: list[np.ndarray] = []
    with area.writer("split_again_failures") as failures:
        for part in split_again(
            lambda: staged.batches(work, "rows"),
            lambda rows: ~positions(rows, rejected)[0],
            lambda rows: positions(rows, losing)[0],
            staged.table,
            stored,
            area.folder,
        ):
            winners.append(part.winners)
            kept = _without_doubles(before.through(part.rows["_row"][-1].as_py()))
            if len(found := refusals.in_row_order([kept, part.failures])):
                failures.write(found)
    (reference,) = area.references(failures).values()
    return replace(staged, files=staged.files | {_FAILURES: reference}), union(winners)


def _doubles(staged: Staged, work: WorkLocation) -> np.ndarray:
    """The numbers of the rows that have lost a key to another row of their file."""
    failures = staged.batches(work, _FAILURES)
    return union(batch.filter(_is_double(batch))["row"].to_numpy() for batch in failures)


def _without_doubles(failures: pa.RecordBatch) -> pa.RecordBatch:
    return failures.filter(pc.invert(_is_double(failures)))


def _is_double(failures: pa.RecordBatch) -> pa.Array:
    return pc.equal(failures["code"], Code.DUPLICATE_IN_FILE.value)


def _rows(staged: Staged, work: WorkLocation, wanted: np.ndarray) -> Iterator[pa.Table]:
    """The rows of these numbers, some thousands at a time."""
    columns = ["_row", "_line", *(name for name in staged.table.column_names if name in staged.columns)]
    for batch in staged.good_rows(work) if len(wanted) else ():
        rows = batch.filter(pa.array(positions(batch["_row"].to_numpy(), wanted)[0])).select(columns)
        for start in range(0, rows.num_rows, _ROWS_AT_ONCE):
            yield pa.Table.from_batches([rows.slice(start, _ROWS_AT_ONCE)])
