"""Removes data of old finished jobs from the ledger, the archive and the reports. The jobs themselves stay."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, LiteralString

from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.s3.objects import ObjectStore

_JOBS_AT_ONCE = 1000


class Retention:
    """Retention of the ledger in `postgres` and of the buckets `archive` and `reports`."""

    def __init__(self, postgres: Postgres, objects: ObjectStore, *, archive: str, reports: str) -> None:
        self._postgres = postgres
        self._objects = objects
        self._archive = archive
        self._reports = reports

    def fold_batches(self, older_than: timedelta) -> int:
        """Merge the batches of each job that finished more than `older_than` ago; return the number of batches removed.

        The counts of the job's rows stay. Data that only unfinished jobs need are removed: plans, and the failures of
        loading, which the reports have.
        """
        removed = sum(self._repeated(_FOLD, older_than))
        for statement in (_FORGET_FAILURES, _FORGET_PLANS):
            sum(self._repeated(statement, older_than))
        return removed

    def remove_archived(self, older_than: timedelta) -> int:
        """Remove archived uploads whose jobs all finished more than `older_than` ago; those jobs can no longer be
        retried."""
        return sum(self._remove_archived(key, older_than) for (key,) in self._rows(_ARCHIVED, older_than))

    def remove_reports(self, older_than: timedelta) -> int:
        """Remove the reports of jobs that finished more than `older_than` ago; return the number of such jobs."""
        jobs = self._rows(_REPORTED, older_than)
        for job_id, keys in jobs:
            for key in keys:
                self._objects.remove(self._reports, key)
            with self._postgres.transaction() as connection:
                connection.execute(_REPORTS_REMOVED, {"id": job_id})
        return len(jobs)

    def _remove_archived(self, key: str, older_than: timedelta) -> bool:
        """Remove the upload unless a retry was requested meanwhile; the lock makes later retries wait."""
        parameters = {"key": key, "older_than": older_than}
        with self._postgres.transaction() as connection:
            connection.execute(_LOCK_JOBS, parameters)
            if connection.execute(_IS_ARCHIVED, parameters).fetchone() is None:
                return False
            self._objects.remove(self._archive, key)
            connection.execute(_ARCHIVED_REMOVED, parameters)
            return True

    def _repeated(self, statement: LiteralString, older_than: timedelta) -> Iterator[int]:
        """Run a statement for some jobs in each transaction until none is left; yield the numbers of changed rows."""
        parameters = {"older_than": older_than, "jobs": _JOBS_AT_ONCE}
        while True:
            with self._postgres.transaction() as connection:
                removed = connection.execute(statement, parameters).rowcount
            if not removed:
                return
            yield removed

    def _rows(
        self, query: LiteralString, older_than: timedelta
    ) -> list[tuple[Any, ...]]:  # any values of Postgres
        with self._postgres.transaction() as connection:
            return connection.execute(query, {"older_than": older_than}).fetchall()


# Batches with gaps, of a job that was cancelled, stay unchanged.
_FOLD = """
    WITH folded AS (
        SELECT
            batch.job_id,
            min(batch.first_row) AS first_row,
            max(batch.last_row) AS last_row,
            max(batch.attempt) AS attempt,
            max(batch.committed_at) AS committed_at,
            sum(batch.inserted) AS inserted,
            sum(batch.updated) AS updated,
            sum(batch.unchanged) AS unchanged,
            sum(batch.superseded) AS superseded,
            sum(batch.rejected) AS rejected
        FROM bulk.import_batches AS batch
        JOIN bulk.import_jobs AS job ON job.id = batch.job_id
        WHERE job.finished_at < clock_timestamp() - %(older_than)s
        GROUP BY batch.job_id
        HAVING count(*) > 1
           AND max(batch.last_row) - min(batch.first_row) + 1 = sum(batch.last_row - batch.first_row + 1)
        LIMIT %(jobs)s
    ),
    kept AS (
        UPDATE bulk.import_batches AS batch
        SET last_row = folded.last_row,
            attempt = folded.attempt,
            committed_at = folded.committed_at,
            inserted = folded.inserted,
            updated = folded.updated,
            unchanged = folded.unchanged,
            superseded = folded.superseded,
            rejected = folded.rejected,
            load_failures = NULL
        FROM folded
        WHERE batch.job_id = folded.job_id AND batch.first_row = folded.first_row
    )
    DELETE FROM bulk.import_batches AS batch
    USING folded
    WHERE batch.job_id = folded.job_id AND batch.first_row > folded.first_row
"""

_FORGET_FAILURES = """
    UPDATE bulk.import_batches
    SET load_failures = NULL
    WHERE (job_id, first_row) IN (
        SELECT batch.job_id, batch.first_row
        FROM bulk.import_batches AS batch
        JOIN bulk.import_jobs AS job ON job.id = batch.job_id
        WHERE batch.load_failures IS NOT NULL AND job.finished_at < clock_timestamp() - %(older_than)s
        LIMIT %(jobs)s
    )
"""

_FORGET_PLANS = """
    DELETE FROM bulk.import_plans
    WHERE job_id IN (
        SELECT DISTINCT plan.job_id
        FROM bulk.import_plans AS plan
        JOIN bulk.import_jobs AS job ON job.id = plan.job_id
        WHERE job.finished_at < clock_timestamp() - %(older_than)s
        LIMIT %(jobs)s
    )
"""

# A retry and a skipped job share the bytes of the first one.
_ARCHIVED = """
    SELECT archive_key
    FROM bulk.import_jobs
    WHERE archive_key IS NOT NULL
    GROUP BY archive_key
    HAVING bool_and(finished_at IS NOT NULL AND finished_at < clock_timestamp() - %(older_than)s)
"""

_IS_ARCHIVED = """
    SELECT
    FROM bulk.import_jobs
    WHERE archive_key = %(key)s
    HAVING count(*) > 0
       AND bool_and(finished_at IS NOT NULL AND finished_at < clock_timestamp() - %(older_than)s)
"""

_LOCK_JOBS = "SELECT FROM bulk.import_jobs WHERE archive_key = %(key)s ORDER BY id FOR NO KEY UPDATE"

_ARCHIVED_REMOVED = "UPDATE bulk.import_jobs SET archive_key = NULL WHERE archive_key = %(key)s"

_REPORTED = """
    SELECT id, ARRAY(SELECT value FROM jsonb_each_text(reports))
    FROM bulk.import_jobs
    WHERE reports <> '{}' AND finished_at < clock_timestamp() - %(older_than)s
"""

_REPORTS_REMOVED = "UPDATE bulk.import_jobs SET reports = '{}' WHERE id = %(id)s"
