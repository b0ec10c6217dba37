"""The ledger of exports: creates and finds jobs, lists those that need a run, ends and expires them.

Leases on exports are in `leases`.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from bulk_pipeline.errors import StoreUnavailableError
from bulk_pipeline.ledger.export_jobs import EXPORTS, ExportJob, ExportStatus
from bulk_pipeline.ledger.jobs import new_id
from bulk_pipeline.ledger.leases import end_lease
from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.rights import EVERYBODY, Viewer
from bulk_pipeline.stages.export.request import ExportRequest


class Exports:
    """The export jobs of one database."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def ask(
        self,
        request: ExportRequest,
        *,
        requested_by: str | None = None,
        idempotency_key: str | None = None,
        expires_after: timedelta | None = None,
        partition_date: date | None = None,
        run_id: str | None = None,
        request_id: str | None = None,
        owner_id: str | None = None,
    ) -> ExportJob:
        """Create a job, or return the one with the same key, unless that one failed, expired or was cancelled.

        An idempotency key is unique per table and, among requests over HTTP (`requested_by` is "api"), across all
        tables. `run_id` is the run that is about to take the job; without one, the sensor starts it. `owner_id` is the
        account of the caller, `partition_date` the date of the job's folder, by default today.
        """
        values = {
            "id": new_id(),
            "table": request.table,
            "format": request.format,
            "compression": request.compression,
            "kind": request.kind,
            "selection": Jsonb(request.selection.as_json()),
            "for_spreadsheets": request.for_spreadsheets,
            "rows_per_part": request.rows_per_part,
            "prefix": request.prefix,
            "partition_date": partition_date,
            "requested_by": requested_by,
            "idempotency_key": idempotency_key,
            "expires_after": expires_after,
            "run_id": run_id,
            "request_id": request_id,
            "owner_id": owner_id,
        }
        with self._postgres.transaction() as connection:
            job = EXPORTS.one(connection, _ASK, values) or EXPORTS.one(connection, _OF_REQUEST, values)
        if job is None:  # the first request with this key has just failed
            raise StoreUnavailableError("a concurrent request with the same key failed: send it again")
        return job

    def get(self, job_id: str) -> ExportJob:
        """Return the job. Raises `NotFoundError` if there is none."""
        with self._postgres.transaction() as connection:
            return EXPORTS.get(connection, job_id)

    def newest(
        self,
        *,
        table: str | None = None,
        status: ExportStatus | None = None,
        since: datetime | None = None,
        limit: int = 50,
        before: tuple[datetime, str] | None = None,
        viewer: Viewer = EVERYBODY,
    ) -> list[ExportJob]:
        """Return the exports that the viewer sees, newest first.

        `before`: list jobs after the one with that `created_at` and id.
        """
        filters = {"table": table, "status": status, "since": since}
        with self._postgres.transaction() as connection:
            return EXPORTS.newest(connection, viewer, limit=limit, before=before, **filters)

    def last_good(self, job: ExportJob) -> ExportJob | None:
        """Return the newest finished export of the same columns and filters, in the same format and prefix."""
        with self._postgres.transaction() as connection:
            return EXPORTS.one(connection, _LAST_GOOD, {"id": job.id})

    def last_complete(self, table: str, older_than: timedelta) -> ExportJob | None:
        """Return the newest finished export of all rows of the table that is older, or else the oldest one."""
        with self._postgres.transaction() as connection:
            return EXPORTS.one(connection, _LAST_COMPLETE, {"table": table, "older_than": older_than})

    def unstarted(self) -> list[ExportJob]:
        """Return the jobs that need a run now. Jobs that no run has taken in time expire."""
        with self._postgres.transaction() as connection:
            return EXPORTS.all(connection, _UNSTARTED, {})

    def requested(self, job_id: str) -> None:
        """Note that a run was requested."""
        with self._postgres.transaction() as connection:
            connection.execute(_REQUESTED, {"id": job_id})

    def note_progress(self, job: ExportJob, rows: int, size: int) -> None:
        """Note how many rows and bytes the attempt has written so far."""
        values = {"id": job.id, "attempt": job.attempt, "rows": rows, "bytes": size}
        with self._postgres.transaction() as connection:
            connection.execute(_NOTE_PROGRESS, values)

    def finish(self, job: ExportJob, manifest: Mapping[str, Any]) -> ExportJob:
        """Complete the job: its files are written. A repeated call changes nothing, in case an answer was lost.

        Raises `JobGoneError`, and `LeaseLostError` if the job's attempt is not its newest.
        """
        with self._postgres.transaction() as connection:
            current = EXPORTS.locked(connection, job.id)
            if current.status.is_final and current.attempt == job.attempt:
                return current
            EXPORTS.check_attempt(current, job.attempt)
            end_lease(connection, job.id)
            values = {"manifest": Jsonb(dict(manifest)), "rows": manifest["rows"], "bytes": manifest["bytes"]}
            return EXPORTS.changed(connection, job.id, _FINISH, **values)

    def fail(self, job: ExportJob, error: str) -> ExportJob:
        """Fail the job, which is not tried again. Raises `JobGoneError` and `LeaseLostError`."""
        with self._postgres.transaction() as connection:
            EXPORTS.check_attempt(EXPORTS.locked(connection, job.id), job.attempt)
            end_lease(connection, job.id)
            return EXPORTS.changed(connection, job.id, _FAIL, error=error)

    def given_up(self, within: timedelta) -> list[ExportJob]:
        """Return the jobs that failed or were cancelled in the last `within`."""
        with self._postgres.transaction() as connection:
            return EXPORTS.all(connection, _GIVEN_UP, {"within": within})

    def past_retention(self, older_than: timedelta) -> list[ExportJob]:
        """Return the completed jobs older than `older_than` that a later full export of the same selection replaces."""
        with self._postgres.transaction() as connection:
            return EXPORTS.all(connection, _PAST_RETENTION, {"older_than": older_than})

    def files_removed(self, job_id: str) -> None:
        """Note that the files are removed; the ledger keeps the manifest."""
        with self._postgres.transaction() as connection:
            connection.execute(_FILES_REMOVED, {"id": job_id})


_ASK = EXPORTS.query("""
    INSERT INTO bulk.export_jobs AS job
        (id, table_name, format, compression, kind, selection, for_spreadsheets, rows_per_part,
         prefix, partition_date, requested_by, idempotency_key, expires_at, run_id, requested_at,
         request_id, owner_id)
    VALUES
        (%(id)s, %(table)s, %(format)s, %(compression)s, %(kind)s, %(selection)s,
         %(for_spreadsheets)s, %(rows_per_part)s, %(prefix)s,
         coalesce(%(partition_date)s, (clock_timestamp() AT TIME ZONE 'UTC')::date),
         %(requested_by)s, %(idempotency_key)s, clock_timestamp() + %(expires_after)s, %(run_id)s,
         CASE WHEN %(run_id)s::text IS NOT NULL THEN clock_timestamp() END, %(request_id)s, %(owner_id)s)
    ON CONFLICT DO NOTHING
    RETURNING {columns}
""")

_OF_REQUEST = EXPORTS.query("""
    SELECT {columns}
    FROM bulk.export_jobs AS job
    WHERE idempotency_key = %(idempotency_key)s
      AND (table_name = %(table)s OR (requested_by = 'api' AND %(requested_by)s::text = 'api'))
      AND status NOT IN ('failed', 'cancelled', 'expired')
""")

_LAST_GOOD = EXPORTS.query("""
    SELECT {columns}
    FROM bulk.export_jobs AS job
    JOIN bulk.export_jobs AS asked
        USING (table_name, format, compression, for_spreadsheets, prefix)
    WHERE job.selection - 'order' = asked.selection - 'order'
      AND asked.id = %(id)s AND job.id <> asked.id AND job.manifest IS NOT NULL
    ORDER BY (job.manifest ->> 'snapshot_at')::timestamptz DESC
    LIMIT 1
""")

# Of the older ones the newest; of the others, which come after them, the oldest.
_LAST_COMPLETE = EXPORTS.query("""
    SELECT {columns}
    FROM bulk.export_jobs AS job
    WHERE table_name = %(table)s AND kind = 'full' AND status = 'completed' AND manifest IS NOT NULL
      AND selection -> 'filters' = '[]'
    ORDER BY
        finished_at > clock_timestamp() - %(older_than)s,
        abs(extract(epoch FROM clock_timestamp() - %(older_than)s - finished_at))
    LIMIT 1
""")

# One statement, since the sensor polls, and there is usually nothing to start.
_UNSTARTED = EXPORTS.query("""
    WITH late AS (
        UPDATE bulk.export_jobs
        SET status = 'expired', finished_at = clock_timestamp(), error = 'no run began in time'
        WHERE status = 'pending' AND attempt = 0 AND expires_at < clock_timestamp()
        RETURNING id
    )
    SELECT {columns}
    FROM bulk.export_jobs AS job
    WHERE job.status IN ('pending', 'processing')
      AND NOT EXISTS (SELECT FROM bulk.job_leases AS lease WHERE lease.job_id = job.id)
      AND job.requested_at IS NULL
      AND (job.next_attempt_at IS NULL OR job.next_attempt_at <= clock_timestamp())
      AND job.id NOT IN (SELECT id FROM late)
    ORDER BY job.created_at, job.id
""")

_REQUESTED = "UPDATE bulk.export_jobs SET requested_at = clock_timestamp() WHERE id = %(id)s"

_NOTE_PROGRESS = """
    UPDATE bulk.export_jobs
    SET rows_written = %(rows)s, bytes_written = %(bytes)s
    WHERE id = %(id)s AND attempt = %(attempt)s AND status = 'processing'
"""

_FINISH = EXPORTS.query("""
    UPDATE bulk.export_jobs AS job
    SET status = 'completed',
        manifest = %(manifest)s,
        total_rows = %(rows)s,
        rows_written = %(rows)s,
        bytes_written = %(bytes)s,
        error = NULL,
        finished_at = clock_timestamp()
    WHERE id = %(id)s
    RETURNING {columns}
""")

_FAIL = EXPORTS.query("""
    UPDATE bulk.export_jobs AS job
    SET status = 'failed', error = %(error)s, finished_at = clock_timestamp()
    WHERE id = %(id)s
    RETURNING {columns}
""")

# A later full export replaces everything before it. Incremental exports need the last full one, and each other.
_PAST_RETENTION = EXPORTS.query("""
    SELECT {columns}
    FROM bulk.export_jobs AS job
    WHERE job.status = 'completed'
      AND job.finished_at < clock_timestamp() - %(older_than)s
      AND EXISTS (
          SELECT
          FROM bulk.export_jobs AS later
          WHERE later.status = 'completed'
            AND later.manifest ->> 'kind' = 'full'
            AND (later.table_name, later.format, later.compression, later.selection - 'order',
                 later.for_spreadsheets, later.prefix)
              = (job.table_name, job.format, job.compression, job.selection - 'order',
                 job.for_spreadsheets, job.prefix)
            AND (later.created_at, later.id) > (job.created_at, job.id)
      )
    ORDER BY job.created_at, job.id
""")

_GIVEN_UP = EXPORTS.query("""
    SELECT {columns}
    FROM bulk.export_jobs AS job
    WHERE job.status IN ('failed', 'cancelled')
      AND job.attempt > 0
      AND job.finished_at > clock_timestamp() - %(within)s
    ORDER BY job.created_at, job.id
""")

_FILES_REMOVED = "UPDATE bulk.export_jobs SET status = 'expired' WHERE id = %(id)s AND status = 'completed'"
