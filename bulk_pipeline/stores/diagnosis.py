"""Why Postgres or the object store cannot be used, each cause in a sentence of its own, with what to do about it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import conninfo, errors

from bulk_pipeline.errors import (
    BulkPipelineError,
    SettingsError,
    StoreRefusedError,
    StoreUnavailableError,
)
from bulk_pipeline.settings import Settings
from bulk_pipeline.stores import servers
from bulk_pipeline.stores.postgres import connect, first_line, host

_PROBE_SECONDS = 5
_ALWAYS_THERE = ("postgres", "template1")
"""Databases that a new server has."""


@dataclass(frozen=True)
class Cause:
    """What is wrong, and what to do about it."""

    problem: str
    remedy: str


def database_cause(url: str) -> Cause | None:
    """Why there is no connection to the database; None if there is one."""
    try:
        with connect(url, autocommit=True) as connection:
            connection.execute("SELECT 1")
    except SettingsError as error:
        return Cause(str(error), "correct DATABASE_URL")
    except StoreUnavailableError as error:
        return _unreachable(url) or _refused(url, error.__cause__ or error)
    return None


def object_store_cause(settings: Settings) -> Cause | None:
    """Why the buckets cannot be used; None if they are there and can be listed."""
    try:
        missing = servers.missing_buckets(settings)
    except StoreUnavailableError as error:
        return Cause(str(error), "start the S3 server, or correct S3_ENDPOINT_URL")
    except SettingsError as error:
        return Cause(str(error), "correct S3_ACCESS_KEY and S3_SECRET_KEY")
    except BulkPipelineError as error:
        return Cause(
            str(error), "give the key of S3_ACCESS_KEY the rights to list, read and write the buckets"
        )
    if missing:
        names = ", ".join(missing)
        return Cause(f"missing: {names}", "create them (`bulk-pipeline up` does), or correct S3_BUCKET_…")
    return None


@contextmanager
def rights() -> Iterator[None]:
    """Turn a right that is missing in Postgres inside the block into `StoreRefusedError`, in Postgres' own words."""
    try:
        yield
    except errors.InsufficientPrivilege as error:
        raise StoreRefusedError(f"the user of DATABASE_URL lacks a right: {first_line(error)}") from error


def _unreachable(url: str) -> Cause | None:
    """Why nobody answers where the server should be; None if somebody does."""
    given = conninfo.conninfo_to_dict(url)
    where = host(url)
    name, _, port = where.rpartition(":")
    if name.startswith("/") or "," in name or given.get("hostaddr"):
        return None  # a socket, or several servers: Postgres' driver says it
    try:
        socket.create_connection((name, int(port)), _PROBE_SECONDS).close()
    except socket.gaierror:
        return Cause(f"there is no host {name}", "correct the host in DATABASE_URL")
    except OSError as error:
        reason = error.strerror or str(error)
        return Cause(
            f"nothing answers at {where}: {reason}",
            "start Postgres, or correct host and port in DATABASE_URL",
        )
    return None


def _refused(url: str, error: BaseException) -> Cause:
    """The server's words are not relied on: it may speak any language."""
    given = conninfo.conninfo_to_dict(url)
    where, user = host(url), str(given.get("user") or "")
    name = str(given.get("dbname") or user)
    exists = next(
        (found for found in (_exists(url, other, name) for other in _ALWAYS_THERE) if found is not None), None
    )
    words = first_line(error).rpartition(" failed: ")[2] if isinstance(error, Exception) else str(error)
    if exists is False:
        return Cause(
            f"Postgres at {where} has no database {name}", "create it, or correct the name in DATABASE_URL"
        )
    if exists:
        return Cause(
            f"Postgres at {where} refuses user {user} the database {name}: {words}",
            f"GRANT CONNECT ON DATABASE {name} TO {user}",
        )
    if isinstance(error, psycopg.OperationalError) and error.pgconn and error.pgconn.used_password:
        return Cause(
            f"Postgres at {where} refuses the password of user {user}: {words}",
            "correct user and password in DATABASE_URL",
        )
    return Cause(
        f"Postgres at {where} refuses the connection of user {user}: {words}",
        "correct DATABASE_URL, or let this user in (pg_hba.conf, TLS)",
    )


def _exists(url: str, other: str, name: str) -> bool | None:
    """Whether the server has the database `name`, seen from another one; None if that is closed too."""
    try:
        with connect(conninfo.make_conninfo(url, dbname=other), autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
    except (StoreUnavailableError, psycopg.Error):
        return None
    return found is not None
