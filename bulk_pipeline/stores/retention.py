"""What the ledger, the archive and the reports need not keep of jobs that are long finished. Jobs themselves stay."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, LiteralString

from bulk_pipeline.stores.objects import ObjectStore
from bulk_pipeline.stores.postgres import Postgres

_JOBS_AT_ONCE = 1000


class Retention:
    """Of the ledger in `postgres`, and the buckets `archive` and `reports`."""

    def __init__(self, postgres: Postgres, objects: ObjectStore, *, archive: str, reports: str) -> None:
        self._postgres = postgres
        self._objects = objects
        self._archive = archive
        self._reports = reports

    def fold_batches(self, older_than: timedelta) -> int:
        """Make one batch of all those of each job that is finished for so long; gives how many batches that saves.

        What became of the job's rows, the sums, stays the same. What only an unfinished job needs goes with it: plans,
        and the failures that loading found, which the reports have.
        """
        saved = sum(self._repeated(_FOLD, older_than))
        for statement in (_FORGET_FAILURES, _FORGET_PLANS):
            sum(self._repeated(statement, older_than))
        return saved

    def remove_archived(self, older_than: timedelta) -> int:
        """Remove uploads whose every job is finished for so long; these can not be retried any more."""
        return sum(self._remove_archived(key, older_than) for (key,) in self._found(_ARCHIVED, older_than))

    def remove_reports(self, older_than: timedelta) -> int:
        """Remove the reports of jobs that are finished for so long; gives how many jobs had some."""
        found = self._found(_REPORTED, older_than)
        for job_id, keys in found:
            for key in keys:
                self._objects.remove(self._reports, key)
            with self._postgres.transaction() as connection:
                connection.execute(_REPORTS_REMOVED, {"id": job_id})
        return len(found)

    def _remove_archived(self, key: str, older_than: timedelta) -> bool:
        """Unless somebody has asked for a retry meanwhile, who has to wait for this to end."""
        given = {"key": key, "older_than": older_than}
        with self._postgres.transaction() as connection:
            connection.execute(_LOCK_JOBS, given)
            if connection.execute(_IS_ARCHIVED, given).fetchone() is None:
                return False
            self._objects.remove(self._archive, key)
            connection.execute(_ARCHIVED_REMOVED, given)
            return True

    def _repeated(self, statement: LiteralString, older_than: timedelta) -> Iterator[int]:
        """Some jobs in each transaction, until none is left."""
        given = {"older_than": older_than, "jobs": _JOBS_AT_ONCE}
        while True:
            with self._postgres.transaction() as connection:
                removed = connection.execute(statement, given).rowcount
            if not removed:
                return
            yield removed

    def _found(
        self, query: LiteralString, older_than: timedelta
    ) -> list[tuple[Any, ...]]:  # as Postgres gives them
        with self._postgres.transaction() as connection:
            return connection.execute(query, {"older_than": older_than}).fetchall()


# Batches with a gap between them, of a job that was cancelled, stay as they are.
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
