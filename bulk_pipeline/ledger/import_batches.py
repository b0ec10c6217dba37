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


def correct(connection: psycopg.Connection, job_id: str, rows: np.ndarray, outcome: RangeOutcome) -> None:
    """Replace the outcome of rows that were counted as rejected: those without a failure in `outcome` count as
    inserted, the others keep their rejection with the new failures."""
    failing = outcome.failures["row"].to_numpy()
    ranges = connection.execute(_RANGES, [job_id, rows.tolist()]).fetchall()
    for first, last, stream in ranges:
        inside = rows[(rows >= first) & (rows <= last)]
        chosen = outcome.failures.filter(pa.array((failing >= first) & (failing <= last)))
        before = [*pa.ipc.open_stream(stream)] if stream else []
        failures = failure_messages.in_row_order([*before, chosen])
        inserted = len(np.setdiff1d(inside, failing))
        connection.execute(_CORRECT, [inserted, inserted, _stream(failures), job_id, first])


_FENCE = """
    SELECT cancel_requested_at IS NOT NULL
    FROM bulk.import_jobs
    WHERE id = %s AND attempt = %s AND status = 'processing'
    FOR KEY SHARE
"""

_IS_THERE = "SELECT EXISTS (SELECT FROM bulk.import_jobs WHERE id = %s)"

_RANGES = """
    SELECT first_row, last_row, load_failures
    FROM bulk.import_batches
    WHERE job_id = %s AND EXISTS (
        SELECT FROM unnest(%s::bigint[]) AS given (row) WHERE given.row BETWEEN first_row AND last_row
    )
    ORDER BY first_row
"""

_CORRECT = """
    UPDATE bulk.import_batches
    SET inserted = inserted + %s, rejected = rejected - %s, load_failures = %s
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
