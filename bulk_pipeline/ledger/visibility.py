"""Imports with their counts, as far as clients of the API may see them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bulk_pipeline.errors import NotFoundError
from bulk_pipeline.ledger.job_queries import IMPORTS, all_jobs, counts_of, file_filter, job_query
from bulk_pipeline.ledger.jobs import ImportJob, Status, as_uuid
from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.rights import Viewer
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline.stages.pace import Pace, pace_of


@dataclass(frozen=True)
class VisibleImport:
    """A job and the counts of its rows so far, which are final once the job is."""

    job: ImportJob
    counts: Counts

    @property
    def pace(self) -> Pace:
        """The pace since the start of the job; no time is left for a job that has ended."""
        return pace_of_job(self.job, self.counts)


class VisibleImports:
    """The imports of one database."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def get(self, job_id: str, viewer: Viewer) -> VisibleImport:
        """Return the import. Raises `NotFoundError` if there is none, or the viewer may not see it."""
        job_id = str(as_uuid(job_id))
        return visible(self.all_of([job_id]).get(job_id), job_id, viewer)

    def all_of(self, job_ids: Sequence[str]) -> dict[str, VisibleImport]:
        """Return the given jobs that exist, regardless of owner."""
        with self._postgres.reading() as connection:
            jobs = all_jobs(connection, _BY_IDS, {"ids": list(job_ids)})
            counts = counts_of(connection, [job.id for job in jobs])
        return {job.id: VisibleImport(job, counts[job.id]) for job in jobs}

    def newest(
        self,
        viewer: Viewer,
        *,
        limit: int,
        table: str | None = None,
        statuses: Sequence[Status] = (),
        file: str | None = None,
        before: tuple[datetime, str] | None = None,
    ) -> list[VisibleImport]:
        """Return the imports that the viewer sees, newest first; only of the table and the statuses, if given.

        `file`: as for `Ledger.newest`. `before`: list jobs after the one with that `created_at` and id.
        """
        filters = {"table": table, "statuses": list(statuses) or None}
        filters |= file_filter(file)
        with self._postgres.transaction() as connection:
            jobs = IMPORTS.newest(connection, viewer, limit=limit, before=before, **filters)
            counts = counts_of(connection, [job.id for job in jobs])
        return [VisibleImport(job, counts[job.id]) for job in jobs]


def pace_of_job(job: ImportJob, counts: Counts) -> Pace:
    """Return the pace of a job since its start; a job that has ended has no time left."""
    seconds = 0.0
    if job.started_at is not None:
        seconds = ((job.finished_at or datetime.now(UTC)) - job.started_at).total_seconds()
    pace = pace_of(counts.processed, counts.total, rows=counts.processed, seconds=seconds)
    return replace(pace, seconds_left=None) if job.status.is_final else pace


def visible(import_: VisibleImport | None, job_id: str, viewer: Viewer) -> VisibleImport:
    """Return the import. Raises `NotFoundError` if it is None, or the viewer may not see it."""
    if import_ is None or not viewer.sees(import_.job.owner_id):
        raise NotFoundError(f"no job {job_id}")
    return import_


_BY_IDS = job_query("SELECT {columns} FROM bulk.import_jobs AS job WHERE id = ANY (%(ids)s::uuid[])")
