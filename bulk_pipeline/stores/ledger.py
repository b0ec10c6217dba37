"""The ledger as a whole: look jobs up, see what is open, ask for runs, cancel.

Jobs are made by `claims` and held by `leases`; `attempts` writes what is found while they are worked on.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from bulk_pipeline.errors import JobFinishedError
from bulk_pipeline.schema import Mode
from bulk_pipeline.stores.job_queries import (
    all_jobs,
    counts_of,
    job_by_id,
    job_locked_for_takeover,
    job_query,
    locked_job,
    one_job,
)
from bulk_pipeline.stores.jobs import Counts, ImportJob, OpenJob, Status
from bulk_pipeline.stores.postgres import Postgres
from bulk_pipeline.stores.records import plain


class Ledger:
    """The import jobs of one database."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def get(self, job_id: str) -> ImportJob:
        """`NotFoundError` without it."""
        with self._postgres.reading() as connection:
            return job_by_id(connection, job_id)

    def newest(
        self,
        *,
        table: str | None = None,
        status: Status | None = None,
        file: str | None = None,
        since: datetime | None = None,
        limit: int = 50,
        before: tuple[datetime, str] | None = None,
    ) -> list[ImportJob]:
        """Jobs, newest first. `before`: go on behind the job with that `created_at` and id.

        `file`: a part of the file's name or, with `*` or `?`, a pattern for all of it; with a slash, of the key.
        """
        created_at, job_id = before or (None, None)
        given = {"table": table, "status": status, "limit": limit, "created_at": created_at, "id": job_id}
        given |= {"file": _like(file) if file else None, "in_key": "/" in (file or ""), "since": since}
        with self._postgres.transaction() as connection:
            return all_jobs(connection, _NEWEST, given)

    def newest_with_errors(self) -> ImportJob | None:
        """The newest job that has reports, or that failed as a whole."""
        with self._postgres.transaction() as connection:
            return one_job(connection, _NEWEST_WITH_ERRORS, {})

    def newest_of_object(self, bucket: str, key: str, etag: str | None = None) -> ImportJob | None:
        """The newest job of the object, of any of its contents if no `etag` is given."""
        with self._postgres.transaction() as connection:
            return one_job(connection, _NEWEST_OF_OBJECT, {"bucket": bucket, "key": key, "etag": etag})

    def next_of_object(self, bucket: str, key: str, after: str | None) -> ImportJob | None:
        """The oldest job of the object that was made after the job with the id `after`; without one, of all."""
        given = {"bucket": bucket, "key": key, "after": after}
        with self._postgres.transaction() as connection:
            return one_job(connection, _NEXT_OF_OBJECT, given)

    def of_request(self, table: str, idempotency_key: str) -> ImportJob | None:
        """The first job that was asked for with that idempotency key."""
        given = {"table": table, "idempotency_key": idempotency_key}
        with self._postgres.transaction() as connection:
            return one_job(connection, _OF_REQUEST, given)

    def counts(self, job_ids: Iterable[str]) -> dict[str, Counts]:
        """What became of the rows of each job so far."""
        with self._postgres.reading() as connection:
            return counts_of(connection, list(job_ids))

    def open_jobs(self) -> list[OpenJob]:
        """Jobs that are not final and whose bytes are archived, in order of arrival."""
        with self._postgres.transaction() as connection:
            rows = connection.execute(_OPEN).fetchall()
        return [_open_job(row) for row in rows]

    def open_counts(self) -> dict[Status, int]:
        """How many jobs are pending and processing."""
        with self._postgres.transaction() as connection:
            rows = connection.execute(_OPEN_COUNTS).fetchall()
        return {Status.PENDING: 0, Status.PROCESSING: 0} | {Status(status): count for status, count in rows}

    def assign_group(self, job_ids: Iterable[str], group_id: str, *, isolated: bool = False) -> list[str]:
        """Let jobs share a run, for which `requested` is called once it is asked for.

        Gives those that were free: not final, in no group, with no lease.
        """
        given = {"ids": list(job_ids), "group_id": group_id, "isolated": isolated}
        with self._postgres.transaction() as connection:
            return [str(job_id) for (job_id,) in connection.execute(_ASSIGN_GROUP, given)]

    def requested(self, group_id: str) -> None:
        """A run has been asked for."""
        with self._postgres.transaction() as connection:
            connection.execute(_REQUESTED, {"group_id": group_id})

    def warn(self, job_id: str, warning: str) -> None:
        """Add a warning to the job, once."""
        with self._postgres.transaction() as connection:
            connection.execute(_WARN, {"id": job_id, "warning": Jsonb([warning])})

    def cancel(self, job_id: str) -> ImportJob:
        """Stop a job: at once, or as soon as the run that has it looks. Committed rows stay.

        Raises `JobFinishedError` and `NotFoundError`.
        """
        with self._postgres.transaction() as connection:
            job = locked_job(connection, job_id)
            if job.status.is_final:
                raise JobFinishedError(f"job {job_id} is {job.status} already")
            query = _ASK_TO_CANCEL if _is_held(connection, job) else _CANCEL
            if query is _CANCEL:
                job_locked_for_takeover(connection, job_id)
            cancelled = one_job(connection, query, {"id": job.id})
        assert cancelled is not None
        return cancelled


def _like(file: str) -> str:
    """A pattern of Postgres for a part of a name, or for a name with `*` and `?` in it."""
    literal = file.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    if "*" in literal or "?" in literal:
        return literal.replace("*", "%").replace("?", "_")
    return f"%{literal}%"


def _is_held(connection: psycopg.Connection, job: ImportJob) -> bool:
    query = "SELECT EXISTS (SELECT FROM bulk.job_leases WHERE job_id = %s)"
    return connection.execute(query, (job.id,)).fetchone() == (True,)


def _open_job(row: tuple[Any, ...]) -> OpenJob:  # whatever Postgres gives
    given = dict(zip(_OPEN_FIELDS, map(plain, row), strict=True))
    given["mode"], given["status"] = Mode(given["mode"]), Status(given["status"])
    return OpenJob(**given)


_OPEN_FIELDS = (
    "id",
    "table",
    "mode",
    "status",
    "size_bytes",
    "arrived_at",
    "created_at",
    "attempt",
    "group_id",
    "isolated",
    "run_id",
    "requested_at",
    "next_attempt_at",
    "request_id",
    "is_held",
)

_OPEN = """
    SELECT
        job.id, job.table_name, job.mode, job.status, job.size_bytes, job.arrived_at, job.created_at,
        job.attempt, job.group_id, job.isolated, job.run_id, job.requested_at, job.next_attempt_at,
        job.request_id, lease.job_id IS NOT NULL
    FROM bulk.import_jobs AS job
    LEFT JOIN bulk.job_leases AS lease ON lease.job_id = job.id
    WHERE job.status IN ('pending', 'processing') AND job.claimed_at IS NOT NULL
    ORDER BY job.arrived_at, job.id
"""

_OPEN_COUNTS = """
    SELECT status, count(*)
    FROM bulk.import_jobs
    WHERE status IN ('pending', 'processing')
    GROUP BY status
"""

_NEWEST = job_query("""
    SELECT {columns}
    FROM bulk.import_jobs AS job
    WHERE (%(table)s::text IS NULL OR table_name = %(table)s)
      AND (%(status)s::text IS NULL OR status = %(status)s)
      AND (
          %(file)s::text IS NULL
          OR coalesce(upload_name, regexp_replace(key, '^.*/', '')) ILIKE %(file)s
          OR (%(in_key)s AND key ILIKE %(file)s)
      )
      AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
      AND (%(created_at)s::timestamptz IS NULL OR (created_at, id) < (%(created_at)s, %(id)s::uuid))
    ORDER BY created_at DESC, id DESC
    LIMIT %(limit)s
""")

_NEWEST_WITH_ERRORS = job_query("""
    SELECT {columns}
    FROM bulk.import_jobs AS job
    WHERE reports <> '{{}}' OR (status = 'failed' AND error IS NOT NULL)
    ORDER BY created_at DESC, id DESC
    LIMIT 1
""")

_NEWEST_OF_OBJECT = job_query("""
    SELECT {columns}
    FROM bulk.import_jobs AS job
    WHERE bucket = %(bucket)s AND key = %(key)s AND (%(etag)s::text IS NULL OR etag = %(etag)s)
    ORDER BY created_at DESC, id DESC
    LIMIT 1
""")

_NEXT_OF_OBJECT = job_query("""
    SELECT {columns}
    FROM bulk.import_jobs AS job
    WHERE bucket = %(bucket)s AND key = %(key)s
      AND (created_at, id) > (
          SELECT
              coalesce(max(created_at), '-infinity'),
              coalesce(%(after)s::uuid, '00000000-0000-0000-0000-000000000000')
          FROM bulk.import_jobs
          WHERE id = %(after)s::uuid
      )
    ORDER BY created_at, id
    LIMIT 1
""")

_OF_REQUEST = job_query("""
    SELECT {columns}
    FROM bulk.import_jobs AS job
    WHERE table_name = %(table)s AND idempotency_key = %(idempotency_key)s AND scope IS NULL AND status <> 'skipped'
    ORDER BY created_at, id
    LIMIT 1
""")

_ASSIGN_GROUP = """
    UPDATE bulk.import_jobs AS job
    SET group_id = %(group_id)s,
        requested_at = NULL,
        isolated = isolated OR %(isolated)s
    WHERE id = ANY (%(ids)s::uuid[])
      AND status IN ('pending', 'processing')
      AND group_id IS NULL
      AND NOT EXISTS (SELECT FROM bulk.job_leases AS lease WHERE lease.job_id = job.id)
    RETURNING id
"""

_REQUESTED = """
    UPDATE bulk.import_jobs
    SET requested_at = clock_timestamp()
    WHERE group_id = %(group_id)s AND status IN ('pending', 'processing') AND requested_at IS NULL
"""

_WARN = """
    UPDATE bulk.import_jobs
    SET warnings = warnings || %(warning)s
    WHERE id = %(id)s AND NOT warnings @> %(warning)s
"""

_ASK_TO_CANCEL = job_query("""
    UPDATE bulk.import_jobs AS job
    SET cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp())
    WHERE id = %(id)s
    RETURNING {columns}
""")

_CANCEL = job_query("""
    UPDATE bulk.import_jobs AS job
    SET status = 'cancelled',
        cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp()),
        next_attempt_at = NULL,
        finished_at = clock_timestamp()
    WHERE id = %(id)s
    RETURNING {columns}
""")
