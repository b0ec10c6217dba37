"""The ledger of imports: finds jobs, lists open ones, and requests runs.

`claims` creates jobs, `leases` assigns them to runs, and `attempts` records the progress of a run.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from psycopg.types.json import Jsonb

from bulk_pipeline.ledger.job_queries import IMPORTS, counts_of, file_filter, job_query, one_job
from bulk_pipeline.ledger.job_table import columns_of, rows_of
from bulk_pipeline.ledger.jobs import ImportJob, OpenJob, Status
from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.rights import EVERYBODY
from bulk_pipeline.schema import Mode
from bulk_pipeline.stages.counts import Counts


class Ledger:
    """The import jobs of one database."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def get(self, job_id: str) -> ImportJob:
        """Return the job. Raises `NotFoundError` if there is none."""
        with self._postgres.reading() as connection:
            return IMPORTS.get(connection, job_id)

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
        """Return jobs, newest first; with `before`, those older than that `created_at` and id.

        `file` is a part of the file's name or, with `*` or `?`, a pattern for the whole name; with a slash, of the key.
        """
        filters = {"table": table, "status": status, "since": since}
        filters |= file_filter(file)
        with self._postgres.transaction() as connection:
            return IMPORTS.newest(connection, EVERYBODY, limit=limit, before=before, **filters)

    def newest_with_errors(self) -> ImportJob | None:
        """Return the newest job that has reports, or that failed as a whole."""
        with self._postgres.transaction() as connection:
            return one_job(connection, _NEWEST_WITH_ERRORS, {})

    def newest_of_object(self, bucket: str, key: str, etag: str | None = None) -> ImportJob | None:
        """Return the newest job of the object, with this `etag` or, without one, with any content."""
        with self._postgres.transaction() as connection:
            return one_job(connection, _NEWEST_OF_OBJECT, {"bucket": bucket, "key": key, "etag": etag})

    def next_of_object(self, bucket: str, key: str, after: str | None) -> ImportJob | None:
        """Return the oldest job of the object that is newer than the job `after`, or the oldest of all without it."""
        parameters = {"bucket": bucket, "key": key, "after": after}
        with self._postgres.transaction() as connection:
            return one_job(connection, _NEXT_OF_OBJECT, parameters)

    def of_unknown_tables(
        self, known: Sequence[str], since: datetime, *, limit: int
    ) -> tuple[int, list[str]]:
        """Return the number of files since then whose folders name none of the known tables, and their newest keys.

        Files whose jobs have been retried are not among them.
        """
        parameters = {"known": list(known), "since": since, "limit": limit}
        with self._postgres.reading() as connection:
            rows = connection.execute(_OF_UNKNOWN_TABLES, parameters).fetchall()
        return (rows[0][1] if rows else 0), [key for key, _ in rows]

    def counts(self, job_ids: Iterable[str]) -> dict[str, Counts]:
        """Return the counts of each job's rows so far."""
        with self._postgres.reading() as connection:
            return counts_of(connection, list(job_ids))

    def of_run(self, run_id: str) -> list[str]:
        """Return the ids of the jobs that a run was the last to work on."""
        with self._postgres.reading() as connection:
            return [str(job_id) for (job_id,) in connection.execute(_OF_RUN, {"run_id": run_id})]

    def open_jobs(self) -> list[OpenJob]:
        """Return the jobs that are not final and whose bytes are archived, in order of arrival."""
        with (
            self._postgres.transaction() as connection,
            connection.cursor(row_factory=_OPEN_ROWS) as cursor,
        ):
            return cursor.execute(_OPEN).fetchall()

    def open_counts(self) -> dict[Status, int]:
        """Return the numbers of pending and processing jobs."""
        with self._postgres.transaction() as connection:
            rows = connection.execute(_OPEN_COUNTS).fetchall()
        return {Status.PENDING: 0, Status.PROCESSING: 0} | {Status(status): count for status, count in rows}

    def assign_group(self, job_ids: Iterable[str], group_id: str, *, isolated: bool = False) -> list[str]:
        """Assign free jobs to a group, which shares a run, and return their ids; call `requested` for the run.

        Free jobs are not final, have no group and no lease.
        """
        parameters = {"ids": list(job_ids), "group_id": group_id, "isolated": isolated}
        with self._postgres.transaction() as connection:
            return [str(job_id) for (job_id,) in connection.execute(_ASSIGN_GROUP, parameters)]

    def requested(self, group_id: str) -> None:
        """Record that a run of the group was requested."""
        with self._postgres.transaction() as connection:
            connection.execute(_REQUESTED, {"group_id": group_id})

    def warn(self, job_id: str, warning: str) -> None:
        """Add a warning to the job, once."""
        with self._postgres.transaction() as connection:
            connection.execute(_WARN, {"id": job_id, "warning": Jsonb([warning])})


_OPEN_ROWS = rows_of(OpenJob, {"mode": Mode, "status": Status})
_OPEN = IMPORTS.query(
    """
    SELECT {open_columns}, lease.job_id IS NOT NULL AS is_held
    FROM bulk.import_jobs AS job
    LEFT JOIN bulk.job_leases AS lease ON lease.job_id = job.id
    WHERE job.status IN ('pending', 'processing') AND job.claimed_at IS NOT NULL
    ORDER BY job.arrived_at, job.id
    """,
    open_columns=columns_of(OpenJob, "is_held"),
)

_OF_UNKNOWN_TABLES = """
    SELECT key, count(*) OVER ()
    FROM bulk.import_jobs AS job
    WHERE created_at >= %(since)s
      AND status = 'failed'
      AND table_name <> ALL (%(known)s::text[])
      AND NOT EXISTS (SELECT FROM bulk.import_jobs AS retry WHERE retry.retry_of = job.id)
    ORDER BY created_at DESC, id DESC
    LIMIT %(limit)s
"""

_OF_RUN = "SELECT id FROM bulk.import_jobs WHERE run_id = %(run_id)s ORDER BY arrived_at, id"

_OPEN_COUNTS = """
    SELECT status, count(*)
    FROM bulk.import_jobs
    WHERE status IN ('pending', 'processing')
    GROUP BY status
"""

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
