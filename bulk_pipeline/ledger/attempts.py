"""Writes the progress and the end of an attempt to its job, unless another attempt has begun.

`rows.row_store` writes batches together with their rows.
"""

from collections.abc import Mapping, Sequence

import psycopg
from psycopg.types.json import Jsonb

from bulk_pipeline.errors import FileErrorCode, JobNotFinishedError
from bulk_pipeline.ledger.job_queries import IMPORTS, changed_job, counts_of, job_query, locked_job
from bulk_pipeline.ledger.jobs import ImportJob, Status, final_status
from bulk_pipeline.ledger.leases import end_lease
from bulk_pipeline.postgres.connection import Postgres


class Attempts:
    """Writes to import jobs on behalf of an attempt.

    Every method raises `JobGoneError` if the job is no longer in the ledger, and `LeaseLostError` if `attempt` is not
    its newest, or the job is final.
    """

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def check(self, job_id: str, attempt: int) -> None:
        """Return without error if the attempt may still write to the job."""
        with self._postgres.transaction() as connection:
            _fenced(connection, job_id, attempt)

    def note_parsed(
        self,
        job_id: str,
        attempt: int,
        *,
        columns: Sequence[str],
        dialect: Mapping[str, object],
        warnings: Sequence[str],
        total_rows: int,
        sha256: str,
        batch_rows: int,
        parser_version: str,
        parents: Mapping[str, int],
    ) -> ImportJob:
        """Record the parser's results, as every attempt does; warn if another upload had the same bytes.

        `batch_rows` and `parser_version`, by which the file is cut into batches, keep the values of the first attempt.
        `parents`: the jobs that rejected rows of the file before, with the number of these rows.
        The record becomes durable with the first batch that is committed after it.
        """
        with self._postgres.transaction(durable=False) as connection:
            job = _fenced(connection, job_id, attempt)
            twins = connection.execute(_TWIN, {"id": job.id, "sha256": sha256}).fetchall()
            repeats = [f"the same bytes were uploaded as {key} (job {twin})" for twin, key in twins]
            return changed_job(
                connection,
                job_id,
                _PARSED,
                columns=list(columns),
                dialect=Jsonb(dict(dialect)),
                warnings=Jsonb(list(dict.fromkeys([*job.warnings, *warnings, *repeats]))),
                total_rows=total_rows,
                sha256=sha256,
                batch_rows=batch_rows,
                parser_version=parser_version,
                parents=Jsonb(dict(parents)),
            )

    def finish(
        self, job_id: str, attempt: int, *, failure_counts: Mapping[str, int], reports: Mapping[str, str]
    ) -> ImportJob:
        """End the job with the status that follows from its batches. A repeated call changes nothing.

        Raises `JobNotFinishedError` if rows are not accounted for.
        """
        with self._postgres.transaction() as connection:
            job = locked_job(connection, job_id)
            if job.status.is_final and job.attempt == attempt:
                return job
            IMPORTS.check_attempt(job, attempt)
            counts = counts_of(connection, [job.id])[job.id]
            if counts.total is None or counts.unprocessed:
                raise JobNotFinishedError(
                    f"job {job.id}: only {counts.processed} of {counts.total} rows are accounted for"
                )
            status = final_status(counts)
            error = "every row was rejected" if status is Status.FAILED else None
            return _end(connection, job, status, error, failure_counts, reports)

    def fail_file(
        self,
        job_id: str,
        attempt: int,
        message: str,
        *,
        code: FileErrorCode | None = None,
        failure_counts: Mapping[str, int] | None = None,
        reports: Mapping[str, str] | None = None,
    ) -> ImportJob:
        """Fail the job because of its file or its table; nothing more of it can be loaded."""
        with self._postgres.transaction() as connection:
            job = _fenced(connection, job_id, attempt)
            return _end(connection, job, Status.FAILED, message, failure_counts or {}, reports or {}, code)

    def finish_cancelled(
        self,
        job_id: str,
        attempt: int,
        *,
        failure_counts: Mapping[str, int] | None = None,
        reports: Mapping[str, str] | None = None,
    ) -> ImportJob:
        """End a job that was cancelled while a run worked on it. Committed rows stay."""
        with self._postgres.transaction() as connection:
            job = _fenced(connection, job_id, attempt)
            return _end(connection, job, Status.CANCELLED, None, failure_counts or {}, reports or {})


def _fenced(connection: psycopg.Connection, job_id: str, attempt: int) -> ImportJob:
    job = locked_job(connection, job_id)
    IMPORTS.check_attempt(job, attempt)
    return job


def _end(
    connection: psycopg.Connection,
    job: ImportJob,
    status: Status,
    error: str | None,
    failure_counts: Mapping[str, int],
    reports: Mapping[str, str],
    error_code: FileErrorCode | None = None,
) -> ImportJob:
    end_lease(connection, job.id)
    return changed_job(
        connection,
        job.id,
        _END,
        status=status,
        error=error,
        error_code=error_code,
        failure_counts=Jsonb(dict(failure_counts)),
        reports=Jsonb(dict(reports)),
    )


_TWIN = """
    SELECT twin.id, twin.key
    FROM bulk.import_jobs AS twin
    JOIN bulk.import_jobs AS job ON (job.bucket, job.key) <> (twin.bucket, twin.key)
    WHERE job.id = %(id)s AND twin.sha256 = %(sha256)s
    ORDER BY twin.created_at, twin.id
    LIMIT 1
"""

_PARSED = job_query("""
    UPDATE bulk.import_jobs AS job
    SET columns = %(columns)s,
        dialect = %(dialect)s,
        warnings = %(warnings)s,
        total_rows = %(total_rows)s,
        sha256 = %(sha256)s,
        parents = %(parents)s,
        batch_rows = coalesce(batch_rows, %(batch_rows)s),
        parser_version = coalesce(parser_version, %(parser_version)s)
    WHERE id = %(id)s
    RETURNING {columns}
""")

_END = job_query("""
    UPDATE bulk.import_jobs AS job
    SET status = %(status)s,
        error = %(error)s,
        error_code = %(error_code)s,
        failure_counts = %(failure_counts)s,
        reports = %(reports)s,
        next_attempt_at = NULL,
        finished_at = clock_timestamp()
    WHERE id = %(id)s
    RETURNING {columns}
""")
