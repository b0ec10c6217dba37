"""`bulk.import_batches`: which ranges of a job are in, and what became of their rows."""

from collections.abc import Iterator

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import errors

from bulk_pipeline.errors import JobCancelledError, JobGoneError, LeaseLostError, StoreUnavailableError
from bulk_pipeline.stages.failures import FAILURES
from bulk_pipeline.stages.load.row_store import LoadCounts, Range, Settled
from bulk_pipeline.stages.split import refusals
from bulk_pipeline.stores.postgres import Postgres

_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


def load_failures(postgres: Postgres, job_id: str) -> Iterator[pa.RecordBatch]:
    """The failures that loading found, in row order: batches of `FAILURES`, one or none for each range."""
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
    found = connection.execute(
        """
        SELECT first_row, last_row, inserted, updated, unchanged, superseded, rejected
        FROM bulk.import_batches
        WHERE job_id = %s
        ORDER BY first_row
        """,
        [job_id],
    )
    return {Range(first, last): LoadCounts(*counts) for first, last, *counts in found}


def fence(connection: psycopg.Connection, job_id: str, attempt: int) -> None:
    """Keep the job the attempt's until the transaction ends; a takeover waits for that (it locks FOR UPDATE).

    Raises `JobGoneError`, `LeaseLostError` and `JobCancelledError` if the attempt must not write.
    """
    held = connection.execute(_FENCE, [job_id, attempt]).fetchone()
    if held is None:
        if connection.execute(_IS_THERE, [job_id]).fetchone() == (False,):
            raise JobGoneError(job_id)
        raise LeaseLostError(f"job {job_id}: attempt {attempt} is not the current one any more")
    if held[0]:
        raise JobCancelledError(f"job {job_id} was cancelled; rows committed before that stay")


def record(
    connection: psycopg.Connection, job_id: str, attempt: int, range_: Range, settled: Settled
) -> None:
    """Write a range into the ledger, in the transaction that writes its rows.

    `StoreUnavailableError` if it is there: a session that was given up has committed it after all.
    """
    counts = settled.counts
    given = [
        *(job_id, attempt, range_.first, range_.last),
        *(counts.inserted, counts.updated, counts.unchanged, counts.superseded, counts.rejected),
        _stream(settled.failures),
    ]
    try:
        connection.execute(_RECORD, given)
    except errors.UniqueViolation as error:
        raise StoreUnavailableError(f"{range_} of job {job_id} is in already") from error


def correct(connection: psycopg.Connection, job_id: str, rows: np.ndarray, settled: Settled) -> None:
    """Write down what became of rows that their ranges count as rejected: they are inserted, or rejected as it says."""
    failing = settled.failures["row"].to_numpy()
    ranges = connection.execute(_RANGES, [job_id, rows.tolist()]).fetchall()
    for first, last, stream in ranges:
        inside = rows[(rows >= first) & (rows <= last)]
        chosen = settled.failures.filter(pa.array((failing >= first) & (failing <= last)))
        before = [*pa.ipc.open_stream(stream)] if stream else []
        failures = refusals.in_row_order([*before, chosen])
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
