"""Uploads that do not come by the bucket: a row in the ledger, then the bytes in the archive, then the job may start.

The row decides, by a unique index, which of several requests with one idempotency key is the first. If the bytes never
come, because whoever brought them died, `Claims.finish_abandoned` ends the job, and the key may be used again.
"""

from dataclasses import dataclass
from typing import BinaryIO

from psycopg.types.json import Jsonb

from bulk_pipeline.errors import IdempotencyConflictError, JobGoneError, StoreUnavailableError
from bulk_pipeline.schema import NOTHING_DECLARED, Mode, UploadFormat
from bulk_pipeline.stores import drops
from bulk_pipeline.stores.addresses import Address, archive_key, metadata_of
from bulk_pipeline.stores.claims import BROKEN_OFF
from bulk_pipeline.stores.job_queries import changed_job, job_query, locked_job, one_job
from bulk_pipeline.stores.jobs import ImportJob, new_id
from bulk_pipeline.stores.objects import ObjectStore
from bulk_pipeline.stores.postgres import Postgres


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file that somebody sends. `content` is read from where it stands; `sha256` is that of its bytes.

    `scope`: whose idempotency keys are told apart from whose.
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
    """The job of an upload. `is_new`: this upload made it; otherwise it is the answer to the same request before."""

    job: ImportJob
    is_new: bool


class Receiver:
    """Takes uploads into the ledger in `postgres` and the bucket `archive`."""

    def __init__(self, postgres: Postgres, objects: ObjectStore, archive: str) -> None:
        self._postgres = postgres
        self._objects = objects
        self._archive = archive

    def receive(self, upload: Upload) -> Receipt:
        """The upload's job, which the sensor starts; the bytes are safe by then, if the job is new.

        Raises `DeclarationError` for a format that is too long to declare, `IdempotencyConflictError` if the key came
        before with something else, and `StoreUnavailableError` when a store is down: the job is failed then or was not
        made, and the same key may be used again.
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
            self._give_up(job.id)
            raise
        try:
            return Receipt(self._settle(job.id), is_new=True)
        except JobGoneError as error:
            raise StoreUnavailableError(
                f"job {job.id} was removed from the ledger while its file was on the way: send it again"
            ) from error

    def _record(self, upload: Upload) -> Receipt:
        job_id = new_id()
        asked = Address(table=upload.table, mode=upload.mode)
        given = {
            "id": job_id,
            "table": upload.table,
            "mode": upload.mode,
            "bucket": self._archive,
            "key": archive_key(asked, job_id, upload.name),
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
            made = one_job(connection, _INSERT, given)
            found = made or one_job(connection, _OF_REQUEST, given)
        if found is None:  # the first request with this key has just come to nothing
            raise StoreUnavailableError("the same request broke off a moment ago: send it again")
        if found.fingerprint != upload.fingerprint:
            raise IdempotencyConflictError(
                f"the idempotency key {upload.idempotency_key!r} was used for another file, table, mode or format: "
                f"job {found.id}"
            )
        return Receipt(found, is_new=made is not None)

    def _settle(self, job_id: str) -> ImportJob:
        """The bytes are there. A job that was given up in the meantime stays what it is."""
        with self._postgres.transaction() as connection:
            job = locked_job(connection, job_id)
            if job.archive_key is None:
                raise StoreUnavailableError(
                    f"job {job_id} was given up while its file was on the way: send it again"
                )
            return job if job.claimed_at else changed_job(connection, job_id, _ARRIVED)

    def _give_up(self, job_id: str) -> None:
        """If even that fails, `Claims.finish_abandoned` does it later."""
        try:
            with self._postgres.transaction() as connection:
                job = locked_job(connection, job_id)
                if job.claimed_at is None:
                    drops.mark_gone(connection, job, BROKEN_OFF)
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

# It arrives when all of it is there: what is planned from now on comes after it.
_ARRIVED = job_query("""
    UPDATE bulk.import_jobs AS job
    SET claimed_at = clock_timestamp(), arrived_at = clock_timestamp()
    WHERE id = %(id)s
    RETURNING {columns}
""")
