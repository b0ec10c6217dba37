"""The files that a person names for an import: objects of any bucket, earlier uploads, and jobs.

Each becomes a job by the same claim as a file in the inbox; an object of another bucket is copied into the inbox first,
and stays where it is.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from bulk_pipeline import tables
from bulk_pipeline.errors import NotFoundError, SelectionError
from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.ledger.upload_keys import Address, read_address
from bulk_pipeline.pipeline import check
from bulk_pipeline.pipeline.check import CheckedFile
from bulk_pipeline.pipeline.container import Stores

_REPEATED = (Status.FAILED, Status.CANCELLED, Status.COMPLETED_WITH_ERRORS)
"""Finished jobs that are imported again on request; of others every row is in the table."""
_SCHEME = "s3://"


@dataclass(frozen=True)
class FileOptions:
    """The options of requested files. Without a `table`, it is the first folder of the key; without a `mode`, it is
    that of the object's metadata or of the table. `force`: import files again of which every row is in the table."""

    table: str = ""
    mode: str = ""
    force: bool = False


def jobs_of(stores: Stores, files: list[str], options: FileOptions) -> list[ImportJob]:
    """Return the job of each file: `s3://bucket/key`, the key of an upload, or the id of a job.

    A finished job gets a new one, unless every row of it is in the table. Raises `NotFoundError` for a file that does
    not exist, `SelectionError` for options that do not fit it, and `UnknownTableError`.
    """
    if options.table:
        tables.get(options.table)
    return [_job_of(stores, file.strip(), options) for file in files]


def check_file(stores: Stores, file: str, options: FileOptions) -> CheckedFile:
    """Check a file as `bulk-pipeline check` does: nothing is imported. Raises what `jobs_of` does, and `FileError`."""
    with _opened(stores, file.strip(), options) as (stream, name, address):
        if address.problem:
            raise SelectionError(address.problem)
        with tempfile.TemporaryDirectory(prefix="bulk-pipeline-check-") as folder:
            return check.check_file(
                stream,
                name,
                tables.get(address.table),
                address.mode,
                Path(folder),
                declared=address.format,
                limits=stores.settings.limits,
            )


def _job_of(stores: Stores, file: str, options: FileOptions) -> ImportJob:
    if _is_id(file):
        return _repeated(stores, stores.ledger.get(file), options)
    bucket, key = _place(stores, file)
    inbox = stores.settings.s3_bucket_uploads
    if bucket == inbox:
        found = stores.objects.find(bucket, key)
        if found is None:
            return _repeated(stores, _earlier(stores, file, key), options)
        if options.table or options.mode:
            raise SelectionError(
                f"{file} lies in the inbox, where its folders name table and mode: leave `table` and `mode` out"
            )
        claimed_key = key
    else:
        claimed_key = _copied(stores, bucket, key, options)
        found = stores.objects.find(inbox, claimed_key)
    job = stores.claims.claim(found) if found else None
    job = job or stores.ledger.newest_of_object(inbox, claimed_key)  # the sensor has just claimed the file
    if job is None:
        raise NotFoundError(f"{file} was replaced or removed meanwhile: launch the run again")
    return job


def _repeated(stores: Stores, job: ImportJob, options: FileOptions) -> ImportJob:
    """Return the job, or a new one for its file if it is finished and rows of it may be missing."""
    if options.table not in ("", job.table) or options.mode not in ("", job.mode):
        raise SelectionError(
            f"{job.file_name} was imported into {job.table} by {job.mode}: leave `table` and `mode` out, or name the "
            "file as s3://bucket/key"
        )
    if job.status in _REPEATED or (options.force and job.status.is_final):
        return stores.claims.retry(job.id)
    return job


def _copied(stores: Stores, bucket: str, key: str, options: FileOptions) -> str:
    """Copy an object into the inbox; return its key there, which is the same for the same bytes."""
    head = stores.objects.head(bucket, key)
    table, _, name = key.rpartition("/")
    table = options.table or table.partition("/")[0]
    if table not in tables.names():
        raise SelectionError(
            f"s3://{bucket}/{key}: set `table` to one of {', '.join(tables.names())}, as no folder names one"
        )
    metadata = dict(head.metadata) | ({"mode": options.mode} if options.mode else {})
    metadata |= {"force": "true"} if options.force else {}
    inbox, to = stores.settings.s3_bucket_uploads, f"{table}/{head.etag[:12]}/{name}"
    with stores.objects.open(bucket, key) as stream:
        stores.objects.upload(inbox, to, stream, metadata=metadata, content_type=head.content_type)
    return to


@contextmanager
def _opened(stores: Stores, file: str, options: FileOptions) -> Iterator[tuple[BinaryIO, str, Address]]:
    """Yield the bytes of a file, its name, and the address with which it would be imported."""
    bucket, key, name = "", "", ""
    if _is_id(file):
        job = stores.ledger.get(file)
    else:
        bucket, key = _place(stores, file)
        is_upload = bucket == stores.settings.s3_bucket_uploads
        is_gone = is_upload and stores.objects.find(bucket, key) is None
        job = _earlier(stores, file, key) if is_gone else None
        name = key.rpartition("/")[2]
    if job is not None:
        if job.archive_key is None:
            raise NotFoundError(f"{file}: the archive does not have its file, or no longer")
        bucket, key, name = stores.settings.s3_bucket_archive, job.archive_key, job.file_name
    head = stores.objects.head(bucket, key)
    metadata = dict(head.metadata) | ({"mode": options.mode} if options.mode else {})
    read_as = job.key if job else key
    if options.table:
        read_as = f"{options.table}/{name}"
    with stores.objects.open(bucket, key) as stream:
        yield stream, name, read_address(read_as, metadata, head.content_type)


def _earlier(stores: Stores, file: str, key: str) -> ImportJob:
    """Return the newest job of an upload that the inbox no longer has."""
    job = stores.ledger.newest_of_object(stores.settings.s3_bucket_uploads, key)
    if job is None:
        raise NotFoundError(
            f"there is no file {file!r} in the inbox, and no job for one: name it as s3://bucket/key, as the key of an "
            "upload (customers/march.csv), or by the id of its job (`bulk-pipeline jobs --file march.csv`)"
        )
    return job


def _place(stores: Stores, file: str) -> tuple[str, str]:
    """Return the bucket and the key of a file. The inbox may be a folder of a bucket, like each of our places."""
    inbox = stores.settings.s3_bucket_uploads
    if not file.startswith(_SCHEME):
        return inbox, file.lstrip("/")
    place = file.removeprefix(_SCHEME)
    if place.startswith(f"{inbox}/"):
        return inbox, place.removeprefix(f"{inbox}/")
    bucket, _, key = place.partition("/")
    if not bucket or not key or key.endswith("/"):
        raise SelectionError(f"{file!r} is not a file: write s3://bucket/folder/march.csv")
    return bucket, key


def _is_id(file: str) -> bool:
    try:
        UUID(file)
    except ValueError:
        return False
    return True
