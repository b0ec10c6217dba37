"""The table `bulk.import_batches`: the committed ranges of a job, and the outcomes of their rows."""

from collections.abc import Iterator
from dataclasses import astuple

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import errors

from bulk_pipeline.errors import JobCancelledError, JobGoneError, LeaseLostError, StoreUnavailableError
from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.stages.counts import LoadCounts
from bulk_pipeline.stages.failures import FAILURES
from bulk_pipeline.stages.load.row_store import Range, RangeOutcome
from bulk_pipeline.stages.split import failure_messages

_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


def load_failures(postgres: Postgres, job_id: str) -> Iterator[pa.RecordBatch]:
    """Yield the failures found by loading, in row order: at most one batch of `FAILURES` for each range."""
    query = """
        SELECT load_failures
        FROM bulk.import_batches
        WHERE job_id = %s AND load_failures IS NOT NULL
        ORDER BY first_row
    """
    with postgres.reading() as connection, connection.cursor() as cursor:
        for (stream,) in cursor.stream(query, [job_id], binary=True):  # each may be some megabytes
            yield from pa.ipc.open_stream(stream)


def committed(connection: psycopg.Connection, job_id: str) -> dict[Range, LoadCounts]:
    rows = connection.execute(
        """
        SELECT first_row, last_row, inserted, updated, unchanged, superseded, rejected
        FROM bulk.import_batches
        WHERE job_id = %s
        ORDER BY first_row
        """,
        [job_id],
    )
    return {Range(first, last): LoadCounts(*counts) for first, last, *counts in rows}


def fence(connection: psycopg.Connection, job_id: str, attempt: int) -> None:
    """Prevent another attempt until the transaction ends; a takeover waits for it, since it locks FOR UPDATE.

    Raises `JobGoneError`, `LeaseLostError` or `JobCancelledError` if the attempt must not write.
    """
    job = connection.execute(_FENCE, [job_id, attempt]).fetchone()
    if job is None:
        if connection.execute(_IS_THERE, [job_id]).fetchone() == (False,):
            raise JobGoneError(job_id)
        raise LeaseLostError(f"job {job_id}: attempt {attempt} is no longer the current one")
    if job[0]:
        raise JobCancelledError(f"job {job_id} was cancelled")


def record(
    connection: psycopg.Connection, job_id: str, attempt: int, range_: Range, outcome: RangeOutcome
) -> None:
    """Insert a range into the ledger, in the transaction that writes its rows.

    Raises `StoreUnavailableError` if the range is already there, committed by a session that was thought dead.
    """
    place = (job_id, attempt, range_.first, range_.last)
    values = [*place, *astuple(outcome.counts), _stream(outcome.failures)]
    try:
        connection.execute(_RECORD, values)
    except errors.UniqueViolation as error:
        raise StoreUnavailableError(f"{range_} of job {job_id} are already committed") from error


def correct(
    connection: psycopg.Connection, job_id: str, range_: Range, before: LoadCounts, outcome: RangeOutcome
) -> None:
    """Replace the outcome of some rows of a committed range, which counted as `before`, and add their failures."""
    place = (job_id, range_.first)
    found = connection.execute(_LOAD_FAILURES, place).fetchone()
    earlier = [*pa.ipc.open_stream(found[0])] if found and found[0] else []
    failures = failure_messages.in_row_order([*earlier, outcome.failures])
    changes = np.subtract(astuple(outcome.counts), astuple(before)).tolist()
    connection.execute(_CORRECT, [*changes, _stream(failures), *place])


_FENCE = """
    SELECT cancel_requested_at IS NOT NULL
    FROM bulk.import_jobs
    WHERE id = %s AND attempt = %s AND status = 'processing'
    FOR KEY SHARE
"""

_IS_THERE = "SELECT EXISTS (SELECT FROM bulk.import_jobs WHERE id = %s)"

_LOAD_FAILURES = "SELECT load_failures FROM bulk.import_batches WHERE job_id = %s AND first_row = %s"

_CORRECT = """
    UPDATE bulk.import_batches
    SET inserted = inserted + %s,
        updated = updated + %s,
        unchanged = unchanged + %s,
        superseded = superseded + %s,
        rejected = rejected + %s,
        load_failures = %s
    WHERE job_id = %s AND first_row = %s
"""

_RECORD = """
    INSERT INTO bulk.import_batches (job_id, attempt, first_row, last_row,
        inserted, updated, unchanged, superseded, rejected, load_failures)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


def _stream(failures: pa.RecordBatch) -> bytes | None:
    if not failures.num_rows:
        return None
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, FAILURES, options=_OPTIONS) as writer:
        writer.write_batch(failures)
    return out.getvalue().to_pybytes()
