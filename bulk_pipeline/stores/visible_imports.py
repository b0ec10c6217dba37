"""Imports as clients of the API may see them: those that are nobody's, and their own; each with its counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bulk_pipeline.errors import NotFoundError
from bulk_pipeline.stores.job_queries import all_jobs, counts_of, job_query
from bulk_pipeline.stores.jobs import Counts, ImportJob, Status, as_uuid
from bulk_pipeline.stores.postgres import Postgres


@dataclass(frozen=True)
class VisibleImport:
    """A job and what became of its rows so far. The counts of a final job are final."""

    job: ImportJob
    counts: Counts


class VisibleImports:
    """The imports of one database. `account_id`: who is asking; None sees what is nobody's."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def get(self, job_id: str, account_id: str | None) -> VisibleImport:
        """`NotFoundError` without it, and for somebody else's."""
        job_id = str(as_uuid(job_id))
        return visible(self.all_of([job_id]).get(job_id), job_id, account_id)

    def all_of(self, job_ids: Sequence[str]) -> dict[str, VisibleImport]:
        """Those of the jobs that there are, whosever they are."""
        with self._postgres.reading() as connection:
            jobs = all_jobs(connection, _BY_IDS, {"ids": list(job_ids)})
            counts = counts_of(connection, [job.id for job in jobs])
        return {job.id: VisibleImport(job, counts[job.id]) for job in jobs}

    def newest(
        self,
        account_id: str | None,
        *,
        limit: int,
        table: str | None = None,
        statuses: Sequence[Status] = (),
        before: tuple[datetime, str] | None = None,
    ) -> list[VisibleImport]:
        """Newest first; of one table and of any of the statuses, if given. `before`: go on behind the job with that
        `created_at` and id.
        """
        created_at, job_id = before or (None, None)
        given = {
            "account_id": account_id,
            "table": table,
            "statuses": list(statuses) or None,
            "limit": limit,
            "created_at": created_at,
            "id": job_id,
        }
        with self._postgres.transaction() as connection:
            jobs = all_jobs(connection, _NEWEST, given)
            counts = counts_of(connection, [job.id for job in jobs])
        return [VisibleImport(job, counts[job.id]) for job in jobs]


def visible(found: VisibleImport | None, job_id: str, account_id: str | None) -> VisibleImport:
    """What was found of a job, as the account may see it: `NotFoundError` for nothing, and for somebody else's."""
    if found is None or found.job.owner_id not in (None, account_id):
        raise NotFoundError(f"no job {job_id}")
    return found


_BY_IDS = job_query("SELECT {columns} FROM bulk.import_jobs AS job WHERE id = ANY (%(ids)s::uuid[])")

_NEWEST = job_query("""
    SELECT {columns}
    FROM bulk.import_jobs AS job
    WHERE (owner_id IS NULL OR owner_id = %(account_id)s::uuid)
      AND (%(table)s::text IS NULL OR table_name = %(table)s)
      AND (%(statuses)s::text[] IS NULL OR status = ANY (%(statuses)s))
      AND (%(created_at)s::timestamptz IS NULL OR (created_at, id) < (%(created_at)s, %(id)s::uuid))
    ORDER BY created_at DESC, id DESC
    LIMIT %(limit)s
""")
