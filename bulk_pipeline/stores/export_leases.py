"""Who works on an export: taken under a lock, kept alive by beats that carry the progress, ended or given back.

Times are the database's, so that the clocks of workers do not matter. An attempt that is not the job's newest can
change nothing any more.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from bulk_pipeline.errors import JobCancelledError, LeaseHeldError, LeaseLostError
from bulk_pipeline.stores.export_jobs import (
    ExportJob,
    all_exports,
    changed_export,
    export_query,
    export_session,
    found_export,
    locked_export,
)
from bulk_pipeline.stores.jobs import as_uuid, wait_seconds
from bulk_pipeline.stores.postgres import Postgres, end_sessions, end_statements


class ExportLeases:
    """How long one lives without a beat, and how often a job is tried."""

    def __init__(
        self, postgres: Postgres, *, lease_seconds: float, retry_seconds: float, max_attempts: int
    ) -> None:
        self._postgres = postgres
        self._lease = timedelta(seconds=lease_seconds)
        self._retry_seconds = retry_seconds
        self._max_attempts = max_attempts

    def take(self, job_id: str, run_id: str) -> ExportJob | None:
        """The job, in a new attempt; None if it is final. Raises `LeaseHeldError` and `NotFoundError`."""
        given = {"id": as_uuid(job_id), "lease": self._lease, "run_id": run_id}
        with self._postgres.transaction() as connection:
            job = found_export(locked_export(connection, job_id), job_id)
            if job.status.is_final:
                return None
            if job.run_id != run_id and connection.execute(_IS_LIVE, given).fetchone() == (True,):
                raise LeaseHeldError(f"export {job_id} is being worked on by run {job.run_id}")
            if job.cancel_requested_at is not None:
                changed_export(connection, job.id, _CANCEL)
                return None
            return changed_export(connection, job.id, _BEGIN, run_id=run_id)

    def beat(self, job: ExportJob, rows: int, size: int) -> None:
        """The work goes on, and is so far. Raises `LeaseLostError` and `JobCancelledError`."""
        given = {"id": job.id, "attempt": job.attempt, "rows": rows, "bytes": size}
        with self._postgres.transaction() as connection:
            found = connection.execute(_BEAT, given).fetchone()
        if found is None:
            raise LeaseLostError(f"export {job.id}: attempt {job.attempt} is not the current one any more")
        if found[0]:
            raise JobCancelledError(f"export {job.id} was cancelled")

    def end_statement(self, job: ExportJob) -> None:
        """End what the server does for the export at the moment."""
        with self._postgres.transaction() as connection:
            end_statements(connection, export_session(job.id))

    def finish(self, job: ExportJob, manifest: Mapping[str, Any]) -> ExportJob:
        """The files are there. Once more changes nothing, in case an answer got lost. Raises `LeaseLostError`."""
        with self._postgres.transaction() as connection:
            found = _fenced(connection, job)
            if found.status.is_final:
                return found
            given = {"manifest": Jsonb(dict(manifest)), "rows": manifest["rows"], "bytes": manifest["bytes"]}
            return changed_export(connection, job.id, _FINISH, **given)

    def fail(self, job: ExportJob, error: str) -> ExportJob:
        """Nothing will come of it, however often it is tried. Raises `LeaseLostError`."""
        with self._postgres.transaction() as connection:
            return changed_export(connection, _fenced(connection, job).id, _FAIL, error=error)

    def release(self, job: ExportJob, error: str) -> ExportJob:
        """Give it back: it waits for its next attempt, or ends if it was cancelled or there is none left.

        Raises `LeaseLostError`.
        """
        with self._postgres.transaction() as connection:
            found = _fenced(connection, job)
            return found if found.status.is_final else self._give_back(connection, found, error)

    def expired(self) -> list[ExportJob]:
        """Jobs whose run has been silent for too long."""
        with self._postgres.transaction() as connection:
            return all_exports(connection, _EXPIRED, {"lease": self._lease})

    def reap(self, job: ExportJob, error: str) -> ExportJob | None:
        """Like `release`, for a run that is silent. None if it has spoken, or somebody else was faster."""
        with self._postgres.transaction() as connection:
            found = locked_export(connection, job.id)
            is_live = connection.execute(_IS_LIVE, {"id": job.id, "lease": self._lease}).fetchone() == (True,)
            if found is None or is_live or found.heartbeat_at is None or found.attempt != job.attempt:
                return None
            end_sessions(connection, export_session(job.id))
            return self._give_back(connection, found, error)

    def _give_back(self, connection: psycopg.Connection, job: ExportJob, error: str) -> ExportJob:
        if job.cancel_requested_at is not None:
            return changed_export(connection, job.id, _CANCEL)
        if job.attempt >= self._max_attempts:
            return changed_export(
                connection, job.id, _FAIL, error=f"gave up after {job.attempt} attempts: {error}"
            )
        wait = timedelta(seconds=wait_seconds(job.attempt, self._retry_seconds))
        return changed_export(connection, job.id, _WAIT, error=error, wait=wait)


def _fenced(connection: psycopg.Connection, job: ExportJob) -> ExportJob:
    found = locked_export(connection, job.id)
    if found is None or found.attempt != job.attempt or found.run_id != job.run_id:
        raise LeaseLostError(f"export {job.id}: attempt {job.attempt} is not the current one any more")
    return found


_IS_LIVE = "SELECT heartbeat_at > clock_timestamp() - %(lease)s FROM bulk.export_jobs WHERE id = %(id)s"

_BEGIN = export_query("""
    UPDATE bulk.export_jobs AS job
    SET attempt = attempt + 1,
        status = 'processing',
        run_id = %(run_id)s,
        heartbeat_at = clock_timestamp(),
        started_at = coalesce(started_at, clock_timestamp()),
        next_attempt_at = NULL,
        rows_written = 0,
        bytes_written = 0
    WHERE id = %(id)s
    RETURNING {columns}
""")

_BEAT = """
    UPDATE bulk.export_jobs
    SET heartbeat_at = clock_timestamp(), rows_written = %(rows)s, bytes_written = %(bytes)s
    WHERE id = %(id)s AND attempt = %(attempt)s AND heartbeat_at IS NOT NULL
    RETURNING cancel_requested_at IS NOT NULL
"""

_FINISH = export_query("""
    UPDATE bulk.export_jobs AS job
    SET status = 'completed',
        manifest = %(manifest)s,
        total_rows = %(rows)s,
        rows_written = %(rows)s,
        bytes_written = %(bytes)s,
        error = NULL,
        heartbeat_at = NULL,
        finished_at = clock_timestamp()
    WHERE id = %(id)s
    RETURNING {columns}
""")

_FAIL = export_query("""
    UPDATE bulk.export_jobs AS job
    SET status = 'failed', error = %(error)s, heartbeat_at = NULL, finished_at = clock_timestamp()
    WHERE id = %(id)s
    RETURNING {columns}
""")

_CANCEL = export_query("""
    UPDATE bulk.export_jobs AS job
    SET status = 'cancelled', heartbeat_at = NULL, finished_at = clock_timestamp()
    WHERE id = %(id)s
    RETURNING {columns}
""")

_WAIT = export_query("""
    UPDATE bulk.export_jobs AS job
    SET next_attempt_at = clock_timestamp() + %(wait)s,
        heartbeat_at = NULL,
        requested_at = NULL,
        error = %(error)s
    WHERE id = %(id)s
    RETURNING {columns}
""")

_EXPIRED = export_query("""
    SELECT {columns}
    FROM bulk.export_jobs AS job
    WHERE job.status = 'processing' AND job.heartbeat_at <= clock_timestamp() - %(lease)s
    ORDER BY job.created_at, job.id
""")
