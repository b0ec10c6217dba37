"""Turns drops into jobs: one drop is one job, whoever claims it and wherever a claim breaks off.

A claim goes: row in the ledger → copy in the archive → `claimed_at` on the row → original removed. Each step
may be repeated, so that whoever sees the drop next finishes what another began.
"""

from contextlib import suppress
from datetime import timedelta

import psycopg

from bulk_pipeline.errors import JobGoneError, JobNotFinishedError, NotFoundError, StoreRefusedError
from bulk_pipeline.stages.junk_files import is_junk
from bulk_pipeline.stores import drops, repeats
from bulk_pipeline.stores.addresses import Address, address
from bulk_pipeline.stores.found_objects import FoundObject
from bulk_pipeline.stores.job_queries import locked_job
from bulk_pipeline.stores.jobs import ImportJob, Status
from bulk_pipeline.stores.objects import ObjectStore
from bulk_pipeline.stores.postgres import Postgres

BROKEN_OFF = "the upload broke off before all of it was stored: nothing of it was read; send it again"
GONE = "the upload was replaced or removed before its bytes could be archived: nothing of it was read"


class Claims:
    """Claims drops for the ledger in `postgres`; their bytes go to the bucket `archive`."""

    def __init__(self, postgres: Postgres, objects: ObjectStore, archive: str) -> None:
        self._postgres = postgres
        self._objects = objects
        self._archive = archive

    def claim(self, found: FoundObject) -> ImportJob | None:
        """The job of a drop, which has left the inbox by then.

        None if there is nothing to claim: a folder marker, a file that is no upload, or an object that was gone or
        replaced before anybody knew of it (what replaced it is the next listing's).
        """
        if (found.key.endswith("/") and found.size_bytes == 0) or is_junk(found.key):
            return None
        if "\0" in found.key:
            raise StoreRefusedError(f"the key {found.key!r} holds a NUL character: it cannot be recorded")
        try:
            head = self._objects.head(found.bucket, found.key)
        except NotFoundError:
            return self._finish_left(found)
        if head.etag != found.etag:
            return self._finish_left(found)
        job = self._record(found, address(found.key, head.metadata, head.content_type))
        if job.claimed_at is None:
            job = self._finish(job.id)
        elif self._objects.find(found.bucket, found.key) != found:
            return job  # whoever claimed it has removed it: the object there now is another drop
        self._objects.remove_if_unchanged(found)
        return job

    def finish_abandoned(self, *, older_than: timedelta) -> list[ImportJob]:
        """Finish claims that broke off and whose object nobody may ever list again; gives their jobs."""
        with self._postgres.transaction() as connection:
            jobs = drops.abandoned(connection, older_than)
        finished = list[ImportJob]()
        for job in jobs:
            with suppress(JobGoneError):
                finished.append(self._finish(job.id))
        return finished

    def retry(self, job_id: str) -> ImportJob:
        """A new job for the archived bytes of a finished one; the open retry, if there is one already.

        What the drop asked for is read again, so that a table declared since is found.
        Raises `NotFoundError`, `JobNotFinishedError`, and `StoreRefusedError` if that cannot be done.
        """
        with self._postgres.transaction() as connection:
            job = locked_job(connection, job_id)
            if not job.status.is_final:
                raise JobNotFinishedError(f"job {job_id} is {job.status}: only a finished job can be retried")
            return drops.open_retry_of(connection, job) or drops.insert_retry(
                connection, job, self._asked_for(job)
            )

    def _record(self, found: FoundObject, asked: Address) -> ImportJob:
        """Find or make the job of the drop."""
        with self._postgres.transaction() as connection:
            drops.take_turns(connection, found, asked)
            same_drop = drops.of_drop(connection, found, asked.mode)
            if same_drop is not None:
                return same_drop
            for job in drops.unclaimed(connection, found):
                self._finish_in(connection, job.id)
            same_request = self._same_request(connection, asked)
            if same_request is not None:
                return drops.insert_skipped(connection, found, asked, same_request)
            earlier = repeats.newest_of_object(connection, found, asked)
            if earlier is None or self._is_work(connection, found, asked, earlier):
                return drops.insert(connection, found, asked, retry_of=earlier.id if earlier else None)
            return drops.insert_skipped(connection, found, asked, earlier)

    def _is_work(
        self, connection: psycopg.Connection, found: FoundObject, asked: Address, earlier: ImportJob
    ) -> bool:
        """Whether to import an object although `earlier` had the same bytes, mode and format under the same key."""
        if asked.force or asked.problem or _deserves_another(earlier):
            return True
        # The inbox before the ledger: a file that another claimer takes meanwhile is in one of them at least.
        is_overtaken = asked.mode.updates_rows and self._has_predecessors(found, asked.table)
        return is_overtaken or repeats.is_superseded(connection, earlier)

    def _has_predecessors(self, found: FoundObject, table: str) -> bool:
        """Whether files of the table that arrived before this one may still lie in the inbox."""
        page = self._objects.page(found.bucket, f"{table}/")
        return page.next_after is not None or any(
            other.key != found.key
            and other.last_modified <= found.last_modified
            and not (other.key.endswith("/") and other.size_bytes == 0)
            for other in page.found
        )

    def _same_request(self, connection: psycopg.Connection, asked: Address) -> ImportJob | None:
        """The job that was asked for with the same idempotency key: it answers, whatever became of it."""
        if not asked.idempotency_key or asked.problem or asked.force:
            return None
        first = drops.of_request(connection, asked.table, asked.idempotency_key)
        if first is not None and first.claimed_at is None:
            first = self._finish_in(connection, first.id)
        return first if first is not None and first.archive_key is not None else None

    def _finish_left(self, found: FoundObject) -> ImportJob | None:
        """The job of a drop that has left the inbox, if it was recorded."""
        with self._postgres.transaction() as connection:
            job = drops.of_drop(connection, found)
        return job if job is None or job.claimed_at is not None else self._finish(job.id)

    def _finish(self, job_id: str) -> ImportJob:
        with self._postgres.transaction() as connection:
            return self._finish_in(connection, job_id)

    def _finish_in(self, connection: psycopg.Connection, job_id: str) -> ImportJob:
        """Make sure that the archive has the bytes, or that they are gone for good."""
        job = locked_job(connection, job_id)
        if job.claimed_at is not None or job.archive_key is None:
            return job
        # Copying twice does no harm: nobody reads the copy before `claimed_at` is set.
        copied = not job.is_received and self._objects.copy(
            drops.as_found(job), self._archive, job.archive_key
        )
        if copied or self._has_archived(job.archive_key, job.size_bytes):
            return drops.mark_claimed(connection, job)
        return drops.mark_gone(connection, job, BROKEN_OFF if job.is_received else GONE)

    def _has_archived(self, key: str, size_bytes: int) -> bool:
        """Whether an earlier claim got as far as the copy. Copies appear whole or not at all."""
        try:
            return self._objects.head(self._archive, key).size_bytes == size_bytes
        except NotFoundError:
            return False

    def _asked_for(self, job: ImportJob) -> Address:
        if job.archive_key is None:
            raise NotFoundError(
                f"job {job.id} cannot be retried: the archive does not have its file (any more)"
            )
        head = self._objects.head(self._archive, job.archive_key)
        asked = address(job.key, head.metadata, head.content_type)
        if asked.problem:
            raise StoreRefusedError(f"job {job.id} cannot be retried: {asked.problem}")
        return asked


def _deserves_another(earlier: ImportJob) -> bool:
    return earlier.status in (Status.FAILED, Status.CANCELLED, Status.COMPLETED_WITH_ERRORS)
