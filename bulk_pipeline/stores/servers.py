"""Ask a Postgres or S3 server whether it answers, and make the database, schema and buckets it has to hold.

What is read and written in them is the business of the other stores.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from psycopg import sql

from bulk_pipeline.errors import BulkPipelineError, StoreUnavailableError
from bulk_pipeline.settings import S3Folder, Settings
from bulk_pipeline.stores import s3
from bulk_pipeline.stores.postgres import connect


def postgres_answers(url: str) -> bool:
    try:
        with connect(url, autocommit=True) as connection:
            connection.execute("SELECT 1")
    except StoreUnavailableError:
        return False
    return True


def create_database(url: str, name: str, template: str = "template1") -> None:
    """Create the database `name` on the server that `url` leads to, unless it exists."""
    with connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if not found:
            create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))


def drop_database(url: str, name: str) -> None:
    """Drop the database `name` of the server that `url` leads to, whoever is connected to it."""
    with connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def create_schema(url: str, name: str) -> None:
    with connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(name)))


def table_exists(url: str, name: str) -> bool:
    """Whether the table, as `schema.name`, is there."""
    with connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [name]).fetchone()
    return row is not None and bool(row[0])


def s3_answers(settings: Settings) -> bool:
    """Whether a signed request is answered: the place for uploads can be listed, or is known to be missing."""
    with _client(settings) as client:
        try:
            _bucket_exists(client, S3Folder.of(settings.s3_bucket_uploads))
        except BulkPipelineError:
            return False
    return True


def create_buckets(settings: Settings) -> None:
    """Create the four buckets and that of work files, if there is one: those that are missing."""
    wanted = list(map(S3Folder.of, buckets(settings).values()))
    if isinstance(settings.bulk_work_dir, S3Folder):
        wanted.append(settings.bulk_work_dir)
    with _client(settings) as client:
        for place in wanted:
            _create_bucket(client, place)


def missing_buckets(settings: Settings) -> list[str]:
    """The names of those of the four buckets that are not there."""
    places = map(S3Folder.of, buckets(settings).values())
    with _client(settings) as client:
        missing = [place.bucket for place in places if not _bucket_exists(client, place)]
    return list(dict.fromkeys(missing))


def buckets(settings: Settings) -> dict[str, str]:
    """The four places: what each is for → its bucket, or bucket/prefix."""
    return {
        "uploads": settings.s3_bucket_uploads,
        "archive": settings.s3_bucket_archive,
        "reports": settings.s3_bucket_reports,
        "exports": settings.s3_bucket_exports,
    }


@contextmanager
def _client(settings: Settings) -> Iterator[s3.Client]:
    """One that says at once when the server is not there."""
    client = s3.connect(settings, attempts=1)
    try:
        yield client
    finally:
        client.close()


def _bucket_exists(client: s3.Client, place: S3Folder) -> bool:
    """Asked by a listing: who may see a prefix of a shared bucket only is refused HEAD of all of it."""
    with s3.answers(f"bucket {place.bucket}"):
        try:
            client.list_objects_v2(Bucket=place.bucket, Prefix=place.key(""), MaxKeys=1)
        except client.exceptions.NoSuchBucket:
            return False
    return True


def _create_bucket(client: s3.Client, place: S3Folder) -> None:
    if _bucket_exists(client, place):
        return
    taken = (client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists)
    region = client.meta.region_name
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with s3.answers(f"bucket {place.bucket}"), suppress(*taken):
        client.create_bucket(Bucket=place.bucket, **where)
