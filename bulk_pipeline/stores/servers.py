"""Ask a Postgres or S3 server whether it answers, and make the database, schema and buckets it has to hold.

What is read and written in them is the business of the other stores.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from psycopg import sql

from bulk_pipeline.errors import StoreUnavailableError
from bulk_pipeline.settings import Settings
from bulk_pipeline.stores.postgres import connect

CONNECT_SECONDS = 3


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
    """Whether a signed request is answered; a refusal of the keys is an answer, but not of use: false."""
    with _s3(settings) as client:
        try:
            client.list_buckets()
        except (BotoCoreError, ClientError):
            return False
    return True


def create_buckets(settings: Settings) -> None:
    """Create the four buckets, those that are missing."""
    with _s3(settings) as client:
        for bucket in buckets(settings).values():
            _create_bucket(client, bucket)


def buckets(settings: Settings) -> dict[str, str]:
    """The four buckets: what each is for → its name."""
    return {
        "uploads": settings.s3_bucket_uploads,
        "archive": settings.s3_bucket_archive,
        "reports": settings.s3_bucket_reports,
        "exports": settings.s3_bucket_exports,
    }


@contextmanager
def _s3(settings: Settings) -> Iterator[BaseClient]:
    secret = settings.s3_secret_key
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        region_name=settings.s3_region,
        config=Config(
            signature_version="s3v4",
            connect_timeout=CONNECT_SECONDS,
            read_timeout=10,
            retries={"total_max_attempts": 1},
        ),
    )
    try:
        yield client
    finally:
        client.close()


def _create_bucket(client: BaseClient, bucket: str) -> None:
    try:
        client.head_bucket(Bucket=bucket)
        return
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise StoreUnavailableError(f"bucket {bucket} cannot be used: {error}") from error
    try:
        client.create_bucket(Bucket=bucket)
    except (client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
        return
