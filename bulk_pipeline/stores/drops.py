"""The rows that claims find, make and mark in `bulk.import_jobs`. When to do which is decided in `claims`."""

from datetime import timedelta

import psycopg
from psycopg.types.json import Jsonb

from bulk_pipeline.schema import Mode
from bulk_pipeline.stores.addresses import Address, archive_key
from bulk_pipeline.stores.found_objects import FoundObject
from bulk_pipeline.stores.job_queries import all_jobs, job_query, one_job
from bulk_pipeline.stores.jobs import ImportJob, Status, new_id, skip_warning


def take_turns(connection: psycopg.Connection, found: FoundObject, asked: Address) -> None:
    """Wait until nobody else decides about this key, or this request; then have the turn until the end."""
    names = [f"drop {found.bucket}/{found.key}"]
    if asked.idempotency_key:
        names.append(f"request {asked.table}/{asked.idempotency_key}")
    for name in names:
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,))


def of_drop(connection: psycopg.Connection, found: FoundObject, mode: Mode | None = None) -> ImportJob | None:
    """The job of exactly this drop; with no mode, in whichever it is."""
    if mode is None:
        return one_job(connection, _OF_DROP_IN_ANY_MODE, _identity(found))
    return one_job(connection, _OF_DROP, _identity(found) | {"mode": mode})


def of_request(connection: psycopg.Connection, table: str, idempotency_key: str) -> ImportJob | None:
    """The first job that was asked for with that idempotency key, unless its bytes were lost."""
    return one_job(connection, _OF_REQUEST, {"table": table, "idempotency_key": idempotency_key})


def unclaimed(connection: psycopg.Connection, found: FoundObject) -> list[ImportJob]:
    """Jobs of earlier drops under the same key whose claim broke off."""
    return all_jobs(connection, _UNCLAIMED, _identity(found))


def abandoned(connection: psycopg.Connection, older_than: timedelta) -> list[ImportJob]:
    """Jobs whose claim began longer ago and is not complete."""
    return all_jobs(connection, _ABANDONED, {"older_than": older_than})


def open_retry_of(connection: psycopg.Connection, job: ImportJob) -> ImportJob | None:
    return one_job(connection, _OPEN_RETRY, {"id": job.id})


def insert(
    connection: psycopg.Connection, found: FoundObject, asked: Address, retry_of: str | None
) -> ImportJob:
    """The job of a new drop. If the drop has a problem, the job fails with it when the claim is complete."""
    job_id = new_id()
    kept = archive_key(asked, job_id, found.key)
    return _insert(connection, found, asked, id=job_id, archive_key=kept, retry_of=retry_of)


def insert_skipped(
    connection: psycopg.Connection, found: FoundObject, asked: Address, first: ImportJob
) -> ImportJob:
    """The job of a drop that `first` takes care of. Its warning says so."""
    return _insert(
        connection,
        found,
        asked,
        status=Status.SKIPPED,
        first_job_id=first.id,
        warnings=Jsonb([skip_warning(first, found.key, found.etag)]),
        archive_key=first.archive_key,
        is_archived=True,
    )


def insert_retry(connection: psycopg.Connection, job: ImportJob, asked: Address) -> ImportJob:
    """A new job for the archived bytes of a finished one. It arrives now."""
    return _insert(
        connection,
        as_found(job),
        asked,
        arrived_at=None,
        idempotency_key=None,
        retry_of=job.id,
        archive_key=job.archive_key,
        is_archived=True,
    )


def mark_claimed(connection: psycopg.Connection, job: ImportJob) -> ImportJob:
    """The archive has the bytes."""
    return _only(one_job(connection, _CLAIMED, {"id": job.id}))


def mark_gone(connection: psycopg.Connection, job: ImportJob, reason: str) -> ImportJob:
    """Nobody has the bytes any more."""
    return _only(one_job(connection, _GONE, {"id": job.id, "reason": reason}))


def as_found(job: ImportJob) -> FoundObject:
    """The object of a job as it was listed in the inbox."""
    return FoundObject(job.bucket, job.key, job.etag, job.size_bytes, job.arrived_at)


def _identity(found: FoundObject) -> dict[str, object]:
    return {"bucket": found.bucket, "key": found.key, "etag": found.etag, "arrived_at": found.last_modified}


def _insert(
    connection: psycopg.Connection, found: FoundObject, asked: Address, **special: object
) -> ImportJob:
    row = _identity(found) | {
        "id": new_id(),
        "table": asked.table,
        "mode": asked.mode,
        "status": Status.PENDING,
        "size_bytes": found.size_bytes,
        "upload_format": Jsonb(asked.format.texts()),
        "idempotency_key": asked.idempotency_key,
        "is_archived": False,
        "first_job_id": None,
        "retry_of": None,
        "warnings": Jsonb([]),
        "error": asked.problem,
    }
    return _only(one_job(connection, _INSERT, row | special))


def _only(job: ImportJob | None) -> ImportJob:
    assert job is not None, "the statement gives exactly one row"
    return job


_OF_DROP = job_query("""
    SELECT {columns}
    FROM bulk.import_jobs AS job
    WHERE bucket = %(bucket)s AND key = %(key)s AND etag = %(etag)s AND mode = %(mode)s
      AND arrived_at = %(arrived_at)s
""")

_OF_DROP_IN_ANY_MODE = job_query("""
    SELECT {columns}
    FROM bulk.import_jobs AS job
    WHERE bucket = %(bucket)s AND key = %(key)s AND etag = %(etag)s AND arrived_at = %(arrived_at)s
    ORDER BY id
    LIMIT 1
""")

_OF_REQUEST = job_query("""
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

# An upload over HTTP may be on its way for minutes.
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

# A drop whose address has a problem was inserted with its error; it fails once its bytes are safe.
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
