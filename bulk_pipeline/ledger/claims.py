"""Turns uploads in the inbox into jobs: one job per upload, whichever process claims it and wherever a claim fails.

The steps of a claim are: row in the ledger → copy in the archive → `claimed_at` on the row → original removed. Each
step can be repeated, so that any process can finish a claim that another one began.
"""

from contextlib import suppress
from datetime import timedelta

import psycopg

from bulk_pipeline.errors import JobGoneError, JobNotFinishedError, NotFoundError, StoreRefusedError
from bulk_pipeline.ledger import inbox_files, repeats
from bulk_pipeline.ledger.job_queries import locked_job
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.ledger.upload_keys import Address, read_address
from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.s3.listing import ListedObject
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.stages.junk_files import is_junk

BROKEN_OFF = "the upload broke off before all of it was stored: nothing of it was read; send it again"
GONE = "the upload was replaced or removed before its bytes could be archived: nothing of it was read"


class Claims:
    """Claims uploads for the ledger in `postgres`; their bytes go to the bucket `archive`."""

    def __init__(self, postgres: Postgres, objects: ObjectStore, archive: str) -> None:
        self._postgres = postgres
        self._objects = objects
        self._archive = archive

    def claim(self, upload: ListedObject) -> ImportJob | None:
        """Return the job of an upload, which is then no longer in the inbox.

        None if there is nothing to claim: a folder marker, a junk file, or an object that was removed or replaced
        before it was recorded (the next listing has its replacement).
        """
        if (upload.key.endswith("/") and upload.size_bytes == 0) or is_junk(upload.key):
            return None
        if "\0" in upload.key:
            raise StoreRefusedError(f"the key {upload.key!r} holds a NUL character: it cannot be recorded")
        try:
            head = self._objects.head(upload.bucket, upload.key)
        except NotFoundError:
            return self._finish_removed(upload)
        if head.etag != upload.etag:
            return self._finish_removed(upload)
        job = self._record(upload, read_address(upload.key, head.metadata, head.content_type))
        if job.claimed_at is None:
            job = self._finish(job.id)
        elif self._objects.find(upload.bucket, upload.key) != upload:
            return job  # the claim has removed it: the object there now is another upload
        self._objects.remove_if_unchanged(upload)
        return job

    def finish_abandoned(self, *, older_than: timedelta) -> list[ImportJob]:
        """Finish claims that were interrupted and whose object may never be listed again; return their jobs."""
        with self._postgres.transaction() as connection:
            jobs = inbox_files.abandoned(connection, older_than)
        finished = list[ImportJob]()
        for job in jobs:
            with suppress(JobGoneError):
                finished.append(self._finish(job.id))
        return finished

    def retry(self, job_id: str) -> ImportJob:
        """Return a new job for the archived bytes of a finished one, or its open retry if there is one.

        The upload's key and metadata are read again, so that tables declared since are known. Raises `NotFoundError`,
        `JobNotFinishedError`, and `StoreRefusedError` if the upload's key or metadata have a problem.
        """
        with self._postgres.transaction() as connection:
            job = locked_job(connection, job_id)
            if not job.status.is_final:
                raise JobNotFinishedError(f"job {job_id} is {job.status}: only a finished job can be retried")
            return inbox_files.open_retry_of(connection, job) or inbox_files.insert_retry(
                connection, job, self._archived_address(job)
            )

    def _record(self, upload: ListedObject, address: Address) -> ImportJob:
        """Find or create the job of the upload."""
        with self._postgres.transaction() as connection:
            inbox_files.take_turns(connection, upload, address)
            same_upload = inbox_files.of_upload(connection, upload, address.mode)
            if same_upload is not None:
                return same_upload
            for job in inbox_files.unclaimed(connection, upload):
                self._finish_in(connection, job.id)
            same_request = self._same_request(connection, address)
            if same_request is not None:
                return inbox_files.insert_skipped(connection, upload, address, same_request)
            earlier = repeats.newest_of_object(connection, upload, address)
            if earlier is None or self._is_work(connection, upload, address, earlier):
                return inbox_files.insert(
                    connection, upload, address, retry_of=earlier.id if earlier else None
                )
            return inbox_files.insert_skipped(connection, upload, address, earlier)

    def _is_work(
        self, connection: psycopg.Connection, upload: ListedObject, address: Address, earlier: ImportJob
    ) -> bool:
        """Return True if an upload must be imported although `earlier` had the same bytes, mode, format and key."""
        if address.force or address.problem or repeats.is_tried_again(earlier):
            return True
        # Read the inbox before the ledger: a file that is claimed meanwhile is in at least one of them.
        is_overtaken = address.mode.rules.updates_rows and self._has_predecessors(upload, address.table)
        return is_overtaken or repeats.is_superseded(connection, earlier)

    def _has_predecessors(self, upload: ListedObject, table: str) -> bool:
        """Return True if files of the table that arrived before this one may still be in the inbox."""
        page = self._objects.page(upload.bucket, f"{table}/")
        return page.next_after is not None or any(
            other.key != upload.key
            and other.last_modified <= upload.last_modified
            and not (other.key.endswith("/") and other.size_bytes == 0)
            for other in page.objects
        )

    def _same_request(self, connection: psycopg.Connection, address: Address) -> ImportJob | None:
        """Return the first job with the same idempotency key, whatever its status, unless its bytes were lost."""
        if not address.idempotency_key or address.problem or address.force:
            return None
        first = inbox_files.of_request(connection, address.table, address.idempotency_key)
        if first is not None and first.claimed_at is None:
            first = self._finish_in(connection, first.id)
        return first if first is not None and first.archive_key is not None else None

    def _finish_removed(self, upload: ListedObject) -> ImportJob | None:
        """Return the job of an upload that is no longer in the inbox, if it was recorded."""
        with self._postgres.transaction() as connection:
            job = inbox_files.of_upload(connection, upload)
        return job if job is None or job.claimed_at is not None else self._finish(job.id)

    def _finish(self, job_id: str) -> ImportJob:
        with self._postgres.transaction() as connection:
            return self._finish_in(connection, job_id)

    def _finish_in(self, connection: psycopg.Connection, job_id: str) -> ImportJob:
        """Copy the bytes to the archive if it lacks them, and mark the job as claimed, or as gone if they are lost."""
        job = locked_job(connection, job_id)
        if job.claimed_at is not None or job.archive_key is None:
            return job
        # A second copy does no harm: nobody reads it before `claimed_at` is set.
        copied = not job.is_received and self._objects.copy(
            inbox_files.listed_object(job), self._archive, job.archive_key
        )
        if copied or self._has_archived(job.archive_key, job.size_bytes):
            return inbox_files.mark_claimed(connection, job)
        return inbox_files.mark_gone(connection, job, BROKEN_OFF if job.is_received else GONE)

    def _has_archived(self, key: str, size_bytes: int) -> bool:
        """Return True if an earlier claim has made the copy; copies appear whole or not at all."""
        try:
            return self._objects.head(self._archive, key).size_bytes == size_bytes
        except NotFoundError:
            return False

    def _archived_address(self, job: ImportJob) -> Address:
        if job.archive_key is None:
            raise NotFoundError(
                f"job {job.id} cannot be retried: the archive does not have its file, or no longer"
            )
        head = self._objects.head(self._archive, job.archive_key)
        address = read_address(job.key, head.metadata, head.content_type)
        if address.problem:
            raise StoreRefusedError(f"job {job.id} cannot be retried: {address.problem}")
        return address
