"""Buckets: check that the server answers, find and create missing ones, and diagnose problems.

`objects` reads and writes their objects.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bulk_pipeline.errors import BulkPipelineError, Cause, SettingsError, StoreUnavailableError
from bulk_pipeline.s3 import client as s3
from bulk_pipeline.settings import S3Folder, Settings


def s3_answers(settings: Settings) -> bool:
    """Return whether a signed request is answered: uploads can be listed, or their bucket is missing."""
    with _client(settings) as client:
        try:
            _bucket_exists(client, S3Folder.of(settings.s3_bucket_uploads))
        except BulkPipelineError:
            return False
    return True


def create_buckets(settings: Settings) -> None:
    """Create the missing ones of the four buckets and, if configured, those of work files and of runs' logs."""
    places = _places(settings)
    if isinstance(settings.bulk_work_dir, S3Folder):
        places.append(settings.bulk_work_dir)
    with _client(settings) as client:
        for place in places:
            _create_bucket(client, place)


def missing_buckets(settings: Settings) -> list[str]:
    """Return the names of the missing ones of the four buckets and, if configured, that of runs' logs."""
    with _client(settings) as client:
        missing = [place.bucket for place in _places(settings) if not _bucket_exists(client, place)]
    return list(dict.fromkeys(missing))


def object_store_cause(settings: Settings) -> Cause | None:
    """Return why the buckets cannot be used, with the remedy; None if they exist and can be listed."""
    try:
        missing = missing_buckets(settings)
    except StoreUnavailableError as error:
        return Cause(str(error), "start the S3 server, or correct S3_ENDPOINT_URL")
    except SettingsError as error:
        return Cause(str(error), "correct S3_ACCESS_KEY and S3_SECRET_KEY")
    except BulkPipelineError as error:
        return Cause(str(error), "grant the key S3_ACCESS_KEY the rights to list, read and write the buckets")
    if missing:
        names = ", ".join(missing)
        return Cause(f"missing: {names}", "create them (`bulk-pipeline up` does), or correct S3_BUCKET_…")
    return None


def buckets_by_use(settings: Settings) -> dict[str, str]:
    """Return the four places: purpose → bucket, or bucket/prefix."""
    return {
        "uploads": settings.s3_bucket_uploads,
        "archive": settings.s3_bucket_archive,
        "reports": settings.s3_bucket_reports,
        "exports": settings.s3_bucket_exports,
    }


def _places(settings: Settings) -> list[S3Folder]:
    names = [*buckets_by_use(settings).values(), settings.s3_bucket_logs]
    return [S3Folder.of(name) for name in names if name]


@contextmanager
def _client(settings: Settings) -> Iterator[s3.Client]:
    """Yield a client that does not retry, so that a missing server is reported at once."""
    client = s3.connect(settings, attempts=1)
    try:
        yield client
    finally:
        client.close()


def _bucket_exists(client: s3.Client, place: S3Folder) -> bool:
    """Return whether the bucket exists, by a listing: a key for one prefix of a shared bucket is refused HEAD."""
    with s3.answers(f"bucket {place.bucket}"):
        try:
            client.list_objects_v2(Bucket=place.bucket, Prefix=place.key(""), MaxKeys=1)
        except client.exceptions.NoSuchBucket:
            return False
    return True


def _create_bucket(client: s3.Client, place: S3Folder) -> None:
    if _bucket_exists(client, place):
        return
    exists_errors = (client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists)
    region = client.meta.region_name
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with s3.answers(f"bucket {place.bucket}"), suppress(*exists_errors):
        client.create_bucket(Bucket=place.bucket, **where)
