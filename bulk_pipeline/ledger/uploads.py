"""Receives uploads over HTTP: inserts a row in the ledger, stores the bytes in the archive, then lets the job start.

The row's unique index decides which of several requests with one idempotency key is the first. If the bytes never
arrive, because the receiving process died, `Claims.finish_abandoned` ends the job, and the key can be used again.
"""

from dataclasses import dataclass
from typing import BinaryIO

from psycopg.types.json import Jsonb

from bulk_pipeline.errors import IdempotencyConflictError, JobGoneError, StoreUnavailableError
from bulk_pipeline.ledger import inbox_files
from bulk_pipeline.ledger.claims import BROKEN_OFF
from bulk_pipeline.ledger.job_queries import changed_job, job_query, locked_job, one_job
from bulk_pipeline.ledger.jobs import ImportJob, new_id
from bulk_pipeline.ledger.upload_keys import Address, archive_key, metadata_of
from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.schema import NOTHING_DECLARED, Mode, UploadFormat


@dataclass(frozen=True, kw_only=True)
class Upload:
    """An upload over HTTP. `content` is read from its current position; `sha256` is the hash of its bytes.

    `scope` is the namespace of its idempotency key.
    """

    table: str
    mode: Mode
    name: str
    content: BinaryIO
    size_bytes: int
    sha256: str
    scope: str
    owner_id: str | None = None
    idempotency_key: str | None = None
    format: UploadFormat = NOTHING_DECLARED
    request_id: str | None = None

    @property
    def fingerprint(self) -> str:
        declared = "".join(f" {name}={text}" for name, text in self.format.texts().items())
        return f"{self.table} {self.mode} {self.sha256}{declared}"


@dataclass(frozen=True)
class Receipt:
    """The job of an upload. `is_new`: this upload created it; otherwise an earlier request with the same key did."""

    job: ImportJob
    is_new: bool


class Receiver:
    """Stores uploads in the ledger in `postgres` and the bucket `archive`."""

    def __init__(self, postgres: Postgres, objects: ObjectStore, archive: str) -> None:
        self._postgres = postgres
        self._objects = objects
        self._archive = archive

    def receive(self, upload: Upload) -> Receipt:
        """Return the upload's job, which the sensor starts; the bytes of a new job are in the archive.

        Raises `DeclarationError` for a format that is too long to declare, `IdempotencyConflictError` if the key was
        used for another upload, and `StoreUnavailableError` in an outage: then the job has failed or does not exist,
        and the key can be used again.
        """
        metadata = metadata_of(upload.mode, upload.format)
        receipt = self._record(upload)
        job = receipt.job
        if not receipt.is_new:
            return receipt
        assert job.archive_key is not None
        try:
            self._objects.upload(self._archive, job.archive_key, upload.content, metadata=metadata)
        except BaseException:
            self.abandon(job.id)
            raise
        try:
            return Receipt(self._settle(job.id), is_new=True)
        except JobGoneError as error:
            raise StoreUnavailableError(
                f"job {job.id} was removed from the ledger while its file was being uploaded: send it again"
            ) from error

    def _record(self, upload: Upload) -> Receipt:
        job_id = new_id()
        address = Address(table=upload.table, mode=upload.mode)
        values = {
            "id": job_id,
            "table": upload.table,
            "mode": upload.mode,
            "bucket": self._archive,
            "key": archive_key(address, job_id, upload.name),
            "sha256": upload.sha256,
            "size_bytes": upload.size_bytes,
            "upload_format": Jsonb(upload.format.texts()),
            "idempotency_key": upload.idempotency_key,
            "scope": upload.scope,
            "owner_id": upload.owner_id,
            "upload_name": upload.name.replace("\0", ""),
            "fingerprint": upload.fingerprint,
            "request_id": upload.request_id,
        }
        with self._postgres.transaction() as connection:
            new = one_job(connection, _INSERT, values)
            job = new or one_job(connection, _OF_REQUEST, values)
        if job is None:  # the first request with this key has just failed
            raise StoreUnavailableError(
                "a concurrent request with the same key was interrupted: send it again"
            )
        if job.fingerprint != upload.fingerprint:
            raise IdempotencyConflictError(
                f"the idempotency key {upload.idempotency_key!r} was used for another file, table, mode or format: "
                f"job {job.id}"
            )
        return Receipt(job, is_new=new is not None)

    def _settle(self, job_id: str) -> ImportJob:
        """Record that the archive has the bytes, unless the job has ended in the meantime."""
        with self._postgres.transaction() as connection:
            job = locked_job(connection, job_id)
            if job.archive_key is None:
                raise StoreUnavailableError(
                    f"job {job_id} was ended because its upload took too long: send the file again"
                )
            return job if job.claimed_at else changed_job(connection, job_id, _ARRIVED)

    def abandon(self, job_id: str) -> None:
        """End the job of an interrupted upload. If this fails too, `Claims.finish_abandoned` ends it later."""
        try:
            with self._postgres.transaction() as connection:
                job = locked_job(connection, job_id)
                if job.claimed_at is None:
                    inbox_files.mark_gone(connection, job, BROKEN_OFF)
        except (JobGoneError, StoreUnavailableError):
            return


_INSERT = job_query("""
    INSERT INTO bulk.import_jobs AS job (
        id, table_name, mode, bucket, key, etag, size_bytes, arrived_at, upload_format, idempotency_key,
        archive_key, scope, owner_id, upload_name, fingerprint, request_id
    )
    VALUES (
        %(id)s, %(table)s, %(mode)s, %(bucket)s, %(key)s, %(sha256)s, %(size_bytes)s, clock_timestamp(),
        %(upload_format)s, %(idempotency_key)s, %(key)s, %(scope)s, %(owner_id)s, %(upload_name)s, %(fingerprint)s,
        %(request_id)s
    )
    ON CONFLICT (scope, idempotency_key)
        WHERE scope IS NOT NULL AND idempotency_key IS NOT NULL AND archive_key IS NOT NULL
        DO NOTHING
    RETURNING {columns}
""")

_OF_REQUEST = job_query("""
    SELECT {columns}
    FROM bulk.import_jobs AS job
    WHERE scope = %(scope)s AND idempotency_key = %(idempotency_key)s AND archive_key IS NOT NULL
""")

# An upload arrives when it is complete: jobs planned from now on come after it.
_ARRIVED = job_query("""
    UPDATE bulk.import_jobs AS job
    SET claimed_at = clock_timestamp(), arrived_at = clock_timestamp()
    WHERE id = %(id)s
    RETURNING {columns}
""")
