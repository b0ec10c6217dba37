"""The rejected rows of jobs: where the rows of a corrected file come from, and which rows are still open.

`import_fixes` records what became of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bulk_pipeline.ledger.job_table import plain
from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.postgres.connection import Postgres

MOST_JOBS = 1000
"""Most jobs that the rows of one file may come from."""
_MOST_WARNINGS = 20


@dataclass(frozen=True)
class OpenRows:
    """A job with rejected rows that are not in the table yet, and their number.

    `rejected` and `fixed` are the rows that the job itself has rejected, and those of them that later jobs imported.
    """

    id: str
    table: str
    file: str
    status: Status
    rejected: int
    fixed: int
    open: int
    finished_at: datetime


class RejectedRows:
    """The rejected rows of the jobs in one database."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def parents(self, job: ImportJob, rows: Mapping[str, int]) -> tuple[dict[str, int], list[str]]:
        """Return the jobs of the same table that rows of the file come from, and warnings about the others.

        `rows`: the number of rows from each job.
        """
        if not rows:
            return {}, []
        ids = sorted(rows)
        with self._postgres.reading() as connection:
            known = {
                str(job_id): table
                for job_id, table in connection.execute(_TABLES, [ids[:MOST_JOBS]]).fetchall()
            }
        parents = {name: rows[name] for name in ids if known.get(name) == job.table}
        return parents, [_warning(name, rows[name], known, job) for name in ids if name not in parents][
            :_MOST_WARNINGS
        ]

    def open_rows(self, table: str | None = None, limit: int = 1000) -> list[OpenRows]:
        """Return the finished jobs with open rows, by table, oldest first.

        Of several jobs of the same bytes, only the one that loaded rows last is among them: it has rejected again what
        the others had.
        """
        with self._postgres.transaction() as connection:
            found = connection.execute(_OPEN_ROWS, {"table": table, "limit": limit}).fetchall()
        return [_open_rows(row) for row in found]

    def still_open(self, rows: Sequence[tuple[str, int]]) -> set[tuple[str, int]]:
        """Return those of the rows (job id, number in the job) that no later job has imported."""
        values = {"jobs": [job for job, _ in rows], "rows": [row for _, row in rows]}
        with self._postgres.reading() as connection:
            return {(str(job), row) for job, row in connection.execute(_STILL_OPEN, values).fetchall()}

    def corrections_under_way(self, key_start: str) -> str | None:
        """Return the id of a job that is not finished, and whose idempotency key begins with `key_start`."""
        with self._postgres.reading() as connection:
            found = connection.execute(_UNDER_WAY, [key_start]).fetchone()
        return None if found is None else str(found[0])

    def of_request(self, scope: str, key: str) -> str | None:
        """Return the id of the job that a request with this idempotency key has made."""
        with self._postgres.reading() as connection:
            found = connection.execute(_OF_REQUEST, [scope, key]).fetchone()
        return None if found is None else str(found[0])


def _warning(name: str, rows: int, known: Mapping[str, str], job: ImportJob) -> str:
    which = "1 row comes" if rows == 1 else f"{rows:,} rows come"
    table = known.get(name)
    why = f"is one of {table}, not of {job.table}" if table else "is not in the ledger"
    return f"{which} from job {name}, which {why}: imported as new rows, which fix none of that job"


def _open_rows(row: tuple[Any, ...]) -> OpenRows:  # any values of Postgres
    job_id, table, file, status, rejected, fixed, open_, finished_at = map(plain, row)
    return OpenRows(job_id, table, file, Status(status), rejected, fixed, open_, finished_at)


_TABLES = "SELECT id, table_name FROM bulk.import_jobs WHERE id = ANY (%s::uuid[])"

_STILL_OPEN = """
    SELECT given.job, given.row
    FROM unnest(%(jobs)s::uuid[], %(rows)s::bigint[]) AS given (job, row)
    WHERE NOT EXISTS (
        SELECT FROM bulk.import_fixes AS fix WHERE fix.parent_id = given.job AND fix.fixed @> given.row
    )
"""

_UNDER_WAY = """
    SELECT id
    FROM bulk.import_jobs
    WHERE status IN ('pending', 'processing') AND starts_with(idempotency_key, %s)
    ORDER BY arrived_at
    LIMIT 1
"""

_OF_REQUEST = """
    SELECT id
    FROM bulk.import_jobs
    WHERE scope = %s AND idempotency_key = %s AND archive_key IS NOT NULL
"""

_OPEN_ROWS = """
    SELECT *
    FROM (
        SELECT
            job.id,
            job.table_name,
            coalesce(job.upload_name, regexp_replace(job.key, '^.*/', '')),
            job.status,
            counts.rejected - counts.rejected_again AS rejected,
            counts.fixed,
            counts.open,
            job.finished_at
        FROM bulk.import_jobs AS job
        CROSS JOIN LATERAL (SELECT * FROM bulk.import_job_fixes WHERE job_id = job.id) AS counts
        WHERE job.status IN ('completed_with_errors', 'failed', 'cancelled')
          AND (%(table)s::text IS NULL OR job.table_name = %(table)s)
    ) AS listed
    WHERE open > 0
    ORDER BY table_name, finished_at, id
    LIMIT %(limit)s
"""
