"""Finds the cause why Postgres cannot be used, with its remedy."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import conninfo, errors

from bulk_pipeline.errors import Cause, SettingsError, StoreRefusedError, StoreUnavailableError
from bulk_pipeline.postgres.connection import connect, first_line, host

_PROBE_SECONDS = 5
_ALWAYS_THERE = ("postgres", "template1")
"""Databases that a new server has."""


def database_cause(url: str) -> Cause | None:
    """Return the cause why the database accepts no connection, or None if it does."""
    try:
        with connect(url, autocommit=True) as connection:
            connection.execute("SELECT 1")
    except SettingsError as error:
        return Cause(str(error), "correct DATABASE_URL")
    except StoreUnavailableError as error:
        return _unreachable(url) or _refused(url, error.__cause__ or error)
    return None


@contextmanager
def rights() -> Iterator[None]:
    """Turn a missing privilege in the block into `StoreRefusedError`, with Postgres' own message."""
    try:
        yield
    except errors.InsufficientPrivilege as error:
        raise StoreRefusedError(f"the user of DATABASE_URL lacks a right: {first_line(error)}") from error


def _unreachable(url: str) -> Cause | None:
    """Return the cause why no server answers at the address, or None if one does."""
    parts = conninfo.conninfo_to_dict(url)
    where = host(url)
    name, _, port = where.rpartition(":")
    if name.startswith("/") or "," in name or parts.get("hostaddr"):
        return None  # a socket, or several servers: the driver's message has the cause
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
    """Return the cause of a refused connection, without the server's message, which may be in any language."""
    parts = conninfo.conninfo_to_dict(url)
    where, user = host(url), str(parts.get("user") or "")
    name = str(parts.get("dbname") or user)
    results = (_exists(url, other, name) for other in _ALWAYS_THERE)
    exists = next((result for result in results if result is not None), None)
    words = first_line(error).rpartition(" failed: ")[2] if isinstance(error, Exception) else str(error)
    if exists is False:
        return Cause(
            f"Postgres at {where} has no database {name}", "create it, or correct the name in DATABASE_URL"
        )
    if exists:
        return Cause(
            f"Postgres at {where} does not let user {user} connect to database {name}: {words}",
            f"GRANT CONNECT ON DATABASE {name} TO {user}",
        )
    if isinstance(error, psycopg.OperationalError) and error.pgconn and error.pgconn.used_password:
        return Cause(
            f"Postgres at {where} refuses the password of user {user}: {words}",
            "correct user and password in DATABASE_URL",
        )
    return Cause(
        f"Postgres at {where} refuses the connection of user {user}: {words}",
        "correct DATABASE_URL, or allow this user in pg_hba.conf, with TLS if required",
    )


def _exists(url: str, other: str, name: str) -> bool | None:
    """Return True if the server has the database `name`, by a query in database `other`; None without access to it."""
    try:
        with connect(conninfo.make_conninfo(url, dbname=other), autocommit=True) as connection:
            row = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
    except (StoreUnavailableError, psycopg.Error):
        return None
    return row is not None
