"""Loads rows that lost a key to an earlier row of their file if the database then refused that row.

Only loading shows whether a trigger or a constraint refuses a row; by then, later rows with the same keys have already
been rejected. So keys are assigned again without the refused rows, until no rejected row gets a key.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.row_sets import difference, positions, union
from bulk_pipeline.pipeline.import_state import FAILURES_BEFORE_LOAD, FailureReader, ImportState
from bulk_pipeline.pipeline.work_files import WorkLocation
from bulk_pipeline.schema import Table
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.load import LoadContext, write_again
from bulk_pipeline.stages.split import failure_messages, split_again
from bulk_pipeline.stages.split.key_claims import Stored

_FAILURES = "split_failures"


def give_keys_back(
    state: ImportState, work: WorkLocation, context: LoadContext, stored: Stored
) -> ImportState:
    """Load the rows that lost their keys to refused rows, and return the state with the remaining failures.

    `state` is that of `split`, with all good rows loaded: a row that lost one key to a refused row stays rejected if
    another row has its other key by now. `stored` is the function that `split` used.
    """
    losers = _doubles(state, work)
    if not len(losers):
        return state
    store, winners, now = context.store, state.numbers(work, "winners"), state
    while positions(winners, refused := store.refused())[0].any():
        before = store.reopened()
        now, winners = _split_again(state, context.table, losers, refused, before, work, stored)
        reopened = difference(difference(losers, _doubles(now, work)), before)
        write_again(_rows(now, work), reopened, context, "rejected")
        if not len(reopened):
            break
    return now


def _split_again(
    state: ImportState,
    table: Table,
    losers: np.ndarray,
    refused: np.ndarray,
    reopened: np.ndarray,
    work: WorkLocation,
    stored: Stored,
) -> tuple[ImportState, np.ndarray]:
    """Return the state that `split` would give without the refused rows, and the rows with keys that others repeat."""
    area = work.area(state.job_id, state.attempt)
    before = FailureReader(state.batches(work, _FAILURES))
    rejected = union([difference(state.rejected(work, *FAILURES_BEFORE_LOAD), reopened), refused])
    losing = difference(losers, reopened)
    winners: list[np.ndarray] = []
    with area.writer("split_again_failures") as failures:
        for part in split_again(
            lambda: state.batches(work, "rows"),
            lambda rows: ~positions(rows, rejected)[0],
            lambda rows: positions(rows, losing)[0],
            table,
            stored,
            area.folder,
        ):
            winners.append(part.winners)
            others = _without_doubles(before.through(part.rows["_row"][-1].as_py()))
            if len(batch := failure_messages.in_row_order([others, part.failures])):
                failures.write(batch)
    (reference,) = area.references(failures).values()
    return replace(state, files=state.files | {_FAILURES: reference}), union(winners)


def _doubles(state: ImportState, work: WorkLocation) -> np.ndarray:
    """Return the numbers of the rows that lost a key to another row of their file."""
    failures = state.batches(work, _FAILURES)
    return union(batch.filter(_is_double(batch))["row"].to_numpy() for batch in failures)


def _without_doubles(failures: pa.RecordBatch) -> pa.RecordBatch:
    return failures.filter(pc.invert(_is_double(failures)))


def _is_double(failures: pa.RecordBatch) -> pa.Array:
    return pc.equal(failures["code"], Code.DUPLICATE_IN_FILE)


def _rows(state: ImportState, work: WorkLocation) -> Iterator[pa.RecordBatch]:
    columns = ["_row", "_line", *(name for name in state.table.column_names if name in state.columns)]
    for batch in state.batches(work, "rows"):
        yield batch.select(columns)
