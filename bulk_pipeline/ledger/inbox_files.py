"""Finds, inserts and marks the rows of uploads in `bulk.import_jobs`, as `claims` decides."""

from datetime import timedelta

import psycopg
from psycopg.types.json import Jsonb

from bulk_pipeline.ledger.job_queries import all_jobs, job_query, one_job
from bulk_pipeline.ledger.jobs import ImportJob, Status, new_id, skip_warning
from bulk_pipeline.ledger.upload_keys import Address, archive_key
from bulk_pipeline.s3.listing import ListedObject
from bulk_pipeline.schema import Mode


def take_turns(connection: psycopg.Connection, upload: ListedObject, address: Address) -> None:
    """Wait for other transactions that decide about this key or request, and block them until this one ends."""
    names = [f"drop {upload.bucket}/{upload.key}"]
    if address.idempotency_key:
        names.append(f"request {address.table}/{address.idempotency_key}")
    for name in names:
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,))


def of_upload(
    connection: psycopg.Connection, upload: ListedObject, mode: Mode | None = None
) -> ImportJob | None:
    """Return the job of exactly this upload, in the mode, or in any mode without one."""
    if mode is None:
        return one_job(connection, _OF_UPLOAD_IN_ANY_MODE, _identity(upload))
    return one_job(connection, _OF_UPLOAD, _identity(upload) | {"mode": mode})


def of_request(connection: psycopg.Connection, table: str, idempotency_key: str) -> ImportJob | None:
    """Return the first job with this idempotency key whose bytes were not lost."""
    return one_job(connection, OF_REQUEST, {"table": table, "idempotency_key": idempotency_key})


def unclaimed(connection: psycopg.Connection, upload: ListedObject) -> list[ImportJob]:
    """Return the jobs of earlier uploads under the same key whose claim was interrupted."""
    return all_jobs(connection, _UNCLAIMED, _identity(upload))


def abandoned(connection: psycopg.Connection, older_than: timedelta) -> list[ImportJob]:
    """Return the jobs whose claim began more than `older_than` ago and is not complete."""
    return all_jobs(connection, _ABANDONED, {"older_than": older_than})


def open_retry_of(connection: psycopg.Connection, job: ImportJob) -> ImportJob | None:
    return one_job(connection, _OPEN_RETRY, {"id": job.id})


def insert(
    connection: psycopg.Connection, upload: ListedObject, address: Address, retry_of: str | None
) -> ImportJob:
    """Insert the job of a new upload. If its address has a problem, the job fails once the claim is complete."""
    job_id = new_id()
    key = archive_key(address, job_id, upload.key)
    return _insert(connection, upload, address, id=job_id, archive_key=key, retry_of=retry_of)


def insert_skipped(
    connection: psycopg.Connection, upload: ListedObject, address: Address, first: ImportJob
) -> ImportJob:
    """Insert the job of an upload that repeats `first`, with a warning that says so."""
    return _insert(
        connection,
        upload,
        address,
        status=Status.SKIPPED,
        first_job_id=first.id,
        warnings=Jsonb([skip_warning(first, upload.key, upload.etag)]),
        archive_key=first.archive_key,
        is_archived=True,
    )


def insert_retry(connection: psycopg.Connection, job: ImportJob, address: Address) -> ImportJob:
    """Insert a job for the archived bytes of a finished one, which arrives now."""
    return _insert(
        connection,
        listed_object(job),
        address,
        arrived_at=None,
        idempotency_key=None,
        retry_of=job.id,
        archive_key=job.archive_key,
        is_archived=True,
    )


def mark_claimed(connection: psycopg.Connection, job: ImportJob) -> ImportJob:
    """Record that the archive has the bytes."""
    return _only(one_job(connection, _CLAIMED, {"id": job.id}))


def mark_gone(connection: psycopg.Connection, job: ImportJob, reason: str) -> ImportJob:
    """Record that the bytes are lost."""
    return _only(one_job(connection, _GONE, {"id": job.id, "reason": reason}))


def listed_object(job: ImportJob) -> ListedObject:
    """Return the object of a job as it was listed in the inbox."""
    return ListedObject(job.bucket, job.key, job.etag, job.size_bytes, job.arrived_at)


def _identity(upload: ListedObject) -> dict[str, object]:
    return {
        "bucket": upload.bucket,
        "key": upload.key,
        "etag": upload.etag,
        "arrived_at": upload.last_modified,
    }


def _insert(
    connection: psycopg.Connection, upload: ListedObject, address: Address, **values: object
) -> ImportJob:
    row = _identity(upload) | {
        "id": new_id(),
        "table": address.table,
        "mode": address.mode,
        "status": Status.PENDING,
        "size_bytes": upload.size_bytes,
        "upload_format": Jsonb(address.format.texts()),
        "idempotency_key": address.idempotency_key,
        "is_archived": False,
        "first_job_id": None,
        "retry_of": None,
        "warnings": Jsonb([]),
        "error": address.problem,
    }
    return _only(one_job(connection, _INSERT, row | values))


def _only(job: ImportJob | None) -> ImportJob:
    assert job is not None, "the statement gives exactly one row"
    return job


_OF_UPLOAD = job_query("""
    SELECT {columns}
    FROM bulk.import_jobs AS job
    WHERE bucket = %(bucket)s AND key = %(key)s AND etag = %(etag)s AND mode = %(mode)s
      AND arrived_at = %(arrived_at)s
""")

_OF_UPLOAD_IN_ANY_MODE = job_query("""
    SELECT {columns}
    FROM bulk.import_jobs AS job
    WHERE bucket = %(bucket)s AND key = %(key)s AND etag = %(etag)s AND arrived_at = %(arrived_at)s
    ORDER BY id
    LIMIT 1
""")

OF_REQUEST = job_query("""
    SELECT {columns}
    FROM bulk.import_jobs AS job
    WHERE table_name = %(table)s AND idempotency_key = %(idempotency_key)s AND scope IS NULL
      AND status <> 'skipped' AND archive_key IS NOT NULL
    ORDER BY created_at, id
    LIMIT 1
""")

_UNCLAIMED = job_query("""
    SELECT {columns}
    FROM bulk.import_jobs AS job
    WHERE claimed_at IS NULL AND bucket = %(bucket)s AND key = %(key)s
""")

# An upload over HTTP may take minutes.
_ABANDONED = job_query("""
    SELECT {columns}
    FROM bulk.import_jobs AS job
    WHERE claimed_at IS NULL
      AND created_at < clock_timestamp() - %(older_than)s
      AND (scope IS NULL OR created_at < clock_timestamp() - interval '15 minutes')
    ORDER BY id
    LIMIT 1000
""")

_OPEN_RETRY = job_query("""
    SELECT {columns}
    FROM bulk.import_jobs AS job
    WHERE retry_of = %(id)s AND status IN ('pending', 'processing')
    LIMIT 1
""")

_INSERT = job_query("""
    INSERT INTO bulk.import_jobs AS job (
        id, table_name, mode, status, bucket, key, etag, size_bytes, arrived_at, upload_format, idempotency_key,
        archive_key, claimed_at, first_job_id, retry_of, warnings, error, finished_at
    )
    VALUES (
        %(id)s, %(table)s, %(mode)s, %(status)s, %(bucket)s, %(key)s, %(etag)s, %(size_bytes)s,
        coalesce(%(arrived_at)s, clock_timestamp()), %(upload_format)s, %(idempotency_key)s, %(archive_key)s,
        CASE WHEN %(is_archived)s THEN clock_timestamp() END,
        %(first_job_id)s, %(retry_of)s, %(warnings)s, %(error)s,
        CASE WHEN %(status)s = 'skipped' THEN clock_timestamp() END
    )
    RETURNING {columns}
""")

# An upload whose address has a problem was inserted with its error; it fails once its bytes are in the archive.
_CLAIMED = job_query("""
    UPDATE bulk.import_jobs AS job
    SET claimed_at = clock_timestamp(),
        status = CASE WHEN status = 'pending' AND error IS NOT NULL THEN 'failed' ELSE status END,
        finished_at = CASE
            WHEN status = 'pending' AND error IS NOT NULL THEN clock_timestamp() ELSE finished_at END
    WHERE id = %(id)s
    RETURNING {columns}
""")

_GONE = job_query("""
    UPDATE bulk.import_jobs AS job
    SET claimed_at = clock_timestamp(),
        archive_key = NULL,
        status = CASE WHEN status = 'pending' THEN 'failed' ELSE status END,
        error = coalesce(error, %(reason)s),
        finished_at = coalesce(finished_at, clock_timestamp())
    WHERE id = %(id)s
    RETURNING {columns}
""")
