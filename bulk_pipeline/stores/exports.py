"""The ledger of exports: ask for one, look jobs up, see which need a run, cancel, let them expire.

Who works on a job, and what it writes there, is in `export_leases`.
"""

from datetime import date, datetime, timedelta

from bulk_pipeline.errors import JobFinishedError, StoreUnavailableError
from bulk_pipeline.stages.export.request import ExportRequest
from bulk_pipeline.stores.export_jobs import (
    ExportJob,
    ExportStatus,
    all_exports,
    changed_export,
    export_by_id,
    export_query,
    found_export,
    locked_export,
    one_export,
)
from bulk_pipeline.stores.jobs import new_id
from bulk_pipeline.stores.postgres import Postgres


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
    ) -> ExportJob:
        """A new job, or the one that was asked for with the same key, unless that one came to nothing.

        A key belongs to a table or, if `requested_by` is "api", to one request. `run_id`: the run that is about to
        take it; without one, it waits for the sensor. `partition_date`: the day of its folder; today, without one.
        Raises `SelectionError` and `UnknownTableError`.
        """
        asked = request.checked()
        given = {
            "id": new_id(),
            "table": asked.table,
            "format": asked.format,
            "compression": asked.compression,
            "kind": asked.kind,
            "columns": list(asked.columns),
            "filters": list(asked.filters),
            "sort_order": list(asked.order),
            "for_spreadsheets": asked.for_spreadsheets,
            "rows_per_part": asked.rows_per_part,
            "prefix": asked.prefix,
            "partition_date": partition_date,
            "requested_by": requested_by,
            "idempotency_key": idempotency_key,
            "expires_after": expires_after,
            "run_id": run_id,
            "request_id": request_id,
        }
        with self._postgres.transaction() as connection:
            job = one_export(connection, _ASK, given) or one_export(connection, _OF_REQUEST, given)
        if job is None:  # the first request with this key has just come to nothing
            raise StoreUnavailableError("the same request came to nothing a moment ago: send it again")
        return job

    def get(self, job_id: str) -> ExportJob:
        """`NotFoundError` without it."""
        with self._postgres.transaction() as connection:
            return export_by_id(connection, job_id)

    def newest(
        self,
        *,
        table: str | None = None,
        status: ExportStatus | None = None,
        since: datetime | None = None,
        limit: int = 50,
        before: tuple[datetime, str] | None = None,
    ) -> list[ExportJob]:
        """Jobs, newest first. `before`: go on behind the job with that `created_at` and id."""
        created_at, job_id = before or (None, None)
        given = {"table": table, "status": status, "limit": limit, "created_at": created_at, "id": job_id}
        given |= {"since": since}
        with self._postgres.transaction() as connection:
            return all_exports(connection, _NEWEST, given)

    def last_good(self, job: ExportJob) -> ExportJob | None:
        """The newest finished export that was asked for in the same words, but for its kind and where it lies."""
        with self._postgres.transaction() as connection:
            return one_export(connection, _LAST_GOOD, {"id": job.id})

    def unstarted(self) -> list[ExportJob]:
        """Jobs for which a run should be asked now. Those that none began with in time expire."""
        with self._postgres.transaction() as connection:
            return all_exports(connection, _UNSTARTED, {})

    def requested(self, job_id: str) -> None:
        """A run has been asked for."""
        with self._postgres.transaction() as connection:
            connection.execute(_REQUESTED, {"id": job_id})

    def overdue(self, *, older_than: timedelta) -> list[ExportJob]:
        """Jobs for which a run was asked so long ago, and that none has taken."""
        with self._postgres.transaction() as connection:
            return all_exports(connection, _OVERDUE, {"older_than": older_than})

    def forget_request(self, job_id: str) -> None:
        """Let a run be asked for again."""
        with self._postgres.transaction() as connection:
            connection.execute(_FORGET_REQUEST, {"id": job_id})

    def is_silent(self, run_id: str, *, since: datetime, older_than: timedelta) -> bool:
        """Whether a run, which has started at `since`, has neither held nor ended an export for that long."""
        given = {"run_id": run_id, "since": since, "older_than": older_than}
        with self._postgres.transaction() as connection:
            return connection.execute(_IS_SILENT, given).fetchone() == (True,)

    def cancel(self, job_id: str) -> ExportJob:
        """Stop a job: at once, or as soon as the run that has it looks. Raises `JobFinishedError`, `NotFoundError`."""
        with self._postgres.transaction() as connection:
            job = found_export(locked_export(connection, job_id), job_id)
            if job.status.is_final:
                raise JobFinishedError(f"job {job_id} is {job.status} already")
            query = _CANCEL if job.heartbeat_at is None else _ASK_TO_CANCEL
            return changed_export(connection, job.id, query)

    def given_up(self, within: timedelta) -> list[ExportJob]:
        """Jobs that failed or were cancelled not longer ago."""
        with self._postgres.transaction() as connection:
            return all_exports(connection, _GIVEN_UP, {"within": within})

    def past_retention(self, older_than: timedelta) -> list[ExportJob]:
        """Completed jobs that are older, and that a later full export in the same words makes up for."""
        with self._postgres.transaction() as connection:
            return all_exports(connection, _PAST_RETENTION, {"older_than": older_than})

    def files_removed(self, job_id: str) -> None:
        """Its files are gone; the ledger keeps what they were."""
        with self._postgres.transaction() as connection:
            connection.execute(_FILES_REMOVED, {"id": job_id})


_ASK = export_query("""
    INSERT INTO bulk.export_jobs AS job
        (id, table_name, format, compression, kind, columns, filters, sort_order, for_spreadsheets, rows_per_part,
         prefix, partition_date, requested_by, idempotency_key, expires_at, run_id, requested_at,
         request_id)
    VALUES
        (%(id)s, %(table)s, %(format)s, %(compression)s, %(kind)s, %(columns)s, %(filters)s, %(sort_order)s,
         %(for_spreadsheets)s, %(rows_per_part)s, %(prefix)s,
         coalesce(%(partition_date)s, (clock_timestamp() AT TIME ZONE 'UTC')::date),
         %(requested_by)s, %(idempotency_key)s, clock_timestamp() + %(expires_after)s, %(run_id)s,
         CASE WHEN %(run_id)s::text IS NOT NULL THEN clock_timestamp() END, %(request_id)s)
    ON CONFLICT DO NOTHING
    RETURNING {columns}
""")

_OF_REQUEST = export_query("""
    SELECT {columns}
    FROM bulk.export_jobs AS job
    WHERE idempotency_key = %(idempotency_key)s
      AND (table_name = %(table)s OR (requested_by = 'api' AND %(requested_by)s::text = 'api'))
      AND status NOT IN ('failed', 'cancelled', 'expired')
""")

_NEWEST = export_query("""
    SELECT {columns}
    FROM bulk.export_jobs AS job
    WHERE (%(table)s::text IS NULL OR table_name = %(table)s)
      AND (%(status)s::text IS NULL OR status = %(status)s)
      AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
      AND (%(created_at)s::timestamptz IS NULL OR (created_at, id) < (%(created_at)s, %(id)s::uuid))
    ORDER BY created_at DESC, id DESC
    LIMIT %(limit)s
""")

_LAST_GOOD = export_query("""
    SELECT {columns}
    FROM bulk.export_jobs AS job
    JOIN bulk.export_jobs AS asked
        USING (table_name, format, compression, columns, filters, for_spreadsheets, prefix)
    WHERE asked.id = %(id)s AND job.id <> asked.id AND job.manifest IS NOT NULL
    ORDER BY (job.manifest ->> 'snapshot_at')::timestamptz DESC
    LIMIT 1
""")

# One statement for the usual answer, which is that there is nothing: the sensor asks again and again.
_UNSTARTED = export_query("""
    WITH late AS (
        UPDATE bulk.export_jobs
        SET status = 'expired', finished_at = clock_timestamp(), error = 'no run began in time'
        WHERE status = 'pending' AND attempt = 0 AND expires_at < clock_timestamp()
        RETURNING id
    )
    SELECT {columns}
    FROM bulk.export_jobs AS job
    WHERE job.status IN ('pending', 'processing')
      AND job.heartbeat_at IS NULL
      AND job.requested_at IS NULL
      AND (job.next_attempt_at IS NULL OR job.next_attempt_at <= clock_timestamp())
      AND job.id NOT IN (SELECT id FROM late)
    ORDER BY job.created_at, job.id
""")

_REQUESTED = "UPDATE bulk.export_jobs SET requested_at = clock_timestamp() WHERE id = %(id)s"

_OVERDUE = export_query("""
    SELECT {columns}
    FROM bulk.export_jobs AS job
    WHERE job.status IN ('pending', 'processing')
      AND job.heartbeat_at IS NULL
      AND job.requested_at < clock_timestamp() - %(older_than)s
    ORDER BY job.created_at, job.id
""")

_FORGET_REQUEST = "UPDATE bulk.export_jobs SET requested_at = NULL WHERE id = %(id)s AND heartbeat_at IS NULL"

_IS_SILENT = """
    SELECT greatest(%(since)s, max(updated_at)) <= clock_timestamp() - %(older_than)s
       AND count(heartbeat_at) = 0
    FROM bulk.export_jobs
    WHERE run_id = %(run_id)s
"""

_ASK_TO_CANCEL = export_query("""
    UPDATE bulk.export_jobs AS job
    SET cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp())
    WHERE id = %(id)s
    RETURNING {columns}
""")

_CANCEL = export_query("""
    UPDATE bulk.export_jobs AS job
    SET status = 'cancelled',
        cancel_requested_at = clock_timestamp(),
        next_attempt_at = NULL,
        finished_at = clock_timestamp()
    WHERE id = %(id)s
    RETURNING {columns}
""")

# A later full export makes up for everything before it. Incremental ones need the last full one, and each other.
_PAST_RETENTION = export_query("""
    SELECT {columns}
    FROM bulk.export_jobs AS job
    WHERE job.status = 'completed'
      AND job.finished_at < clock_timestamp() - %(older_than)s
      AND EXISTS (
          SELECT
          FROM bulk.export_jobs AS later
          WHERE later.status = 'completed'
            AND later.manifest ->> 'kind' = 'full'
            AND (later.table_name, later.format, later.compression, later.columns, later.filters,
                 later.for_spreadsheets, later.prefix)
              = (job.table_name, job.format, job.compression, job.columns, job.filters,
                 job.for_spreadsheets, job.prefix)
            AND (later.created_at, later.id) > (job.created_at, job.id)
      )
    ORDER BY job.created_at, job.id
""")

_GIVEN_UP = export_query("""
    SELECT {columns}
    FROM bulk.export_jobs AS job
    WHERE job.status IN ('failed', 'cancelled')
      AND job.attempt > 0
      AND job.finished_at > clock_timestamp() - %(within)s
    ORDER BY job.created_at, job.id
""")

_FILES_REMOVED = "UPDATE bulk.export_jobs SET status = 'expired' WHERE id = %(id)s AND status = 'completed'"
