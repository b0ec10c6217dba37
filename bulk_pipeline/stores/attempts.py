"""What an attempt writes on its job: plan, findings, the end. Refused as soon as another attempt has begun.

Batches are written with their rows, in `stores.rows`.
"""

from collections.abc import Mapping, Sequence

import psycopg
from psycopg.types.json import Jsonb

from bulk_pipeline.errors import JobNotFinishedError, LeaseLostError
from bulk_pipeline.stores.job_queries import changed_job, counts_of, job_query, locked_job
from bulk_pipeline.stores.jobs import ImportJob, Status, final_status
from bulk_pipeline.stores.postgres import Postgres


class Attempts:
    """Every method raises `JobGoneError` if the ledger does not have the job any more, and `LeaseLostError` if
    `attempt` is not its newest, or the job is final.
    """

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def check(self, job_id: str, attempt: int) -> None:
        """Return if the attempt may still write for the job."""
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
    ) -> ImportJob:
        """Record what the parser found, which every attempt does; warns if another upload had the same bytes.

        How every attempt cuts the file, `batch_rows` and `parser_version`, stays as the first one has it. All that is
        as durable as the first batch that is committed after it.
        """
        with self._postgres.transaction(durable=False) as connection:
            job = _fenced(connection, job_id, attempt)
            twins = connection.execute(_TWIN, {"id": job.id, "sha256": sha256}).fetchall()
            found = [f"the same bytes were uploaded as {key} (job {twin})" for twin, key in twins]
            return changed_job(
                connection,
                job_id,
                _PARSED,
                columns=list(columns),
                dialect=Jsonb(dict(dialect)),
                warnings=Jsonb(list(dict.fromkeys([*job.warnings, *warnings, *found]))),
                total_rows=total_rows,
                sha256=sha256,
                batch_rows=batch_rows,
                parser_version=parser_version,
            )

    def finish(
        self, job_id: str, attempt: int, *, failure_counts: Mapping[str, int], reports: Mapping[str, str]
    ) -> ImportJob:
        """End the job; its batches say how. Once more changes nothing, in case an answer got lost.

        Raises `JobNotFinishedError` if rows are not accounted for.
        """
        with self._postgres.transaction() as connection:
            job = locked_job(connection, job_id)
            if job.status.is_final and job.attempt == attempt:
                return job
            _check_fence(job, attempt)
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
        code: str | None = None,
        failure_counts: Mapping[str, int] | None = None,
        reports: Mapping[str, str] | None = None,
    ) -> ImportJob:
        """End the job because of its file or its table: nothing more of it can be loaded.

        `code`: that of `FileError`, or load_refused.
        """
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
        """End a job that somebody cancelled while it was worked on. What is committed stays."""
        with self._postgres.transaction() as connection:
            job = _fenced(connection, job_id, attempt)
            return _end(connection, job, Status.CANCELLED, None, failure_counts or {}, reports or {})


def _fenced(connection: psycopg.Connection, job_id: str, attempt: int) -> ImportJob:
    job = locked_job(connection, job_id)
    _check_fence(job, attempt)
    return job


def _check_fence(job: ImportJob, attempt: int) -> None:
    if job.attempt != attempt or job.status is not Status.PROCESSING:
        raise LeaseLostError(
            f"job {job.id} is {job.status} in attempt {job.attempt}: not that of attempt {attempt}"
        )


def _end(
    connection: psycopg.Connection,
    job: ImportJob,
    status: Status,
    error: str | None,
    failure_counts: Mapping[str, int],
    reports: Mapping[str, str],
    error_code: str | None = None,
) -> ImportJob:
    connection.execute("DELETE FROM bulk.job_leases WHERE job_id = %s", (job.id,))
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
