"""How queries of the ledger give jobs: their columns, and rows of Postgres as `ImportJob`."""

from collections.abc import Sequence

import psycopg

from bulk_pipeline.errors import JobGoneError
from bulk_pipeline.schema import Mode, read_format
from bulk_pipeline.stores.jobs import Counts, ImportJob, Status, as_uuid
from bulk_pipeline.stores.records import Records

_JOBS = Records(ImportJob, mode=Mode, status=Status, upload_format=read_format)
job_query, one_job, all_jobs, changed_job = _JOBS.query, _JOBS.one, _JOBS.all, _JOBS.changed


def job_by_id(connection: psycopg.Connection, job_id: str) -> ImportJob:
    """`JobGoneError` without it."""
    return _found(one_job(connection, _BY_ID, {"id": as_uuid(job_id)}), job_id)


def locked_job(connection: psycopg.Connection, job_id: str) -> ImportJob:
    """The job, locked for changes until the transaction ends; batches may still commit."""
    return _found(one_job(connection, _LOCKED, {"id": as_uuid(job_id)}), job_id)


def job_locked_for_takeover(connection: psycopg.Connection, job_id: str) -> ImportJob:
    """The job, once no batch is being committed for it; none can be until the transaction ends."""
    return _found(one_job(connection, _LOCKED_FOR_TAKEOVER, {"id": as_uuid(job_id)}), job_id)


def counts_of(connection: psycopg.Connection, job_ids: Sequence[str]) -> dict[str, Counts]:
    """The counts of each job: sums over its committed batches. `JobGoneError` without one of the jobs."""
    rows = connection.execute(_COUNTS, {"ids": list(job_ids)}).fetchall()
    counts = {str(job_id): Counts(*numbers) for job_id, *numbers in rows}
    if missing := [job_id for job_id in job_ids if job_id not in counts]:
        raise JobGoneError(*missing)
    return counts


def _found(job: ImportJob | None, job_id: str) -> ImportJob:
    if job is None:
        raise JobGoneError(job_id)
    return job


_LOCKED = job_query("SELECT {columns} FROM bulk.import_jobs AS job WHERE id = %(id)s FOR NO KEY UPDATE")
_BY_ID = job_query("SELECT {columns} FROM bulk.import_jobs AS job WHERE id = %(id)s")
_LOCKED_FOR_TAKEOVER = job_query("SELECT {columns} FROM bulk.import_jobs AS job WHERE id = %(id)s FOR UPDATE")

_COUNTS = """
    SELECT
        job.id, job.total_rows, counts.inserted, counts.updated, counts.unchanged, counts.superseded,
        counts.rejected
    FROM bulk.import_job_counts AS counts
    JOIN bulk.import_jobs AS job ON job.id = counts.job_id
    WHERE counts.job_id = ANY (%(ids)s::uuid[])
"""
