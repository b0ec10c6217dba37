"""Connections to Postgres, and the translation of its outages; knows no table."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import conninfo, errors, pq, sql

from bulk_pipeline.errors import DiskFullError, SettingsError, StoreUnavailableError
from bulk_pipeline.postgres.sqlstates import Meaning, meaning

CONFLICTS = (errors.DeadlockDetected, errors.SerializationFailure)
"""Errors of a transaction that conflicts with another one, and succeeds when it is repeated."""

_SURELY_ALIVE_SECONDS = 1.0
_CANCEL_SECONDS = 5.0


def connect(
    database_url: str, *, application_name: str = "bulk-pipeline", autocommit: bool = False
) -> psycopg.Connection:
    """Open a connection. Raises `StoreUnavailableError` if the server does not accept one.

    It has no state on the server beyond a transaction, neither prepared statements nor session settings, so that
    pgbouncer may pool it by transaction.
    """
    with outages(host(database_url)):
        return psycopg.connect(
            connection_string(database_url, application_name), autocommit=autocommit, prepare_threshold=None
        )


def connection_string(database_url: str, application_name: str) -> str:
    """Return the URL with our application name, and timeouts by which a dead server is noticed within seconds."""
    return conninfo.make_conninfo(
        database_url,
        application_name=application_name,
        connect_timeout=5,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=30_000,
    )


@contextmanager
def outages(host: str) -> Iterator[None]:
    """Turn an outage of Postgres inside the block into `StoreUnavailableError`; leave `CONFLICTS` alone."""
    try:
        yield
    except psycopg.InterfaceError as error:
        if "closed" not in str(error):
            raise
        raise StoreUnavailableError(f"Postgres at {host}: {first_line(error)}") from error
    except psycopg.Error as error:
        if meaning(error) is not Meaning.OUTAGE:
            raise
        if isinstance(error, errors.DiskFull):
            raise DiskFullError(f"disk_full: Postgres at {host}: {first_line(error)}") from error
        raise StoreUnavailableError(f"Postgres at {host}: {first_line(error)}") from error


@contextmanager
def stopping(connection: psycopg.Connection) -> Iterator[None]:
    """Cancel the connection's running statement if the block is interrupted.

    Otherwise a statement that waits for a lock would keep waiting on the server, and keep its own locks.
    """
    try:
        yield
    except BaseException:
        cancel(connection)
        raise


def cancel(connection: psycopg.Connection) -> None:
    """Cancel the running statement of a connection, which another thread may be using."""
    if connection.info.transaction_status is pq.TransactionStatus.ACTIVE:
        with suppress(psycopg.Error):
            connection.cancel_safe(timeout=_CANCEL_SECONDS)


def end_sessions(connection: psycopg.Connection, name: str) -> None:
    """End the other sessions with this name in the database and their statements; wait up to 5 s for each."""
    connection.execute(
        """
        SELECT pg_terminate_backend(pid, 5000)
        FROM pg_stat_activity
        WHERE application_name = %s AND datname = current_database() AND pid <> pg_backend_pid()
        """,
        [name],
    )


_UNREADABLE = (
    "DATABASE_URL cannot be read as postgresql://user:password@host:port/database; "
    "characters like @ : / ? # % in the password have to be percent-encoded"
)


def host(database_url: str) -> str:
    """Return `host:port` of a connection string, for messages.

    Raises `SettingsError` if the string cannot be read. The usual cause is a character of the password that is not
    escaped, so the error shows no part of the string, nor has it the original exception as its cause.
    """
    try:
        parts = conninfo.conninfo_to_dict(database_url)
    except psycopg.ProgrammingError:
        raise SettingsError(_UNREADABLE) from None
    name, port = str(parts.get("host") or "localhost"), str(parts.get("port") or 5432)
    if "@" in f"{name}{parts.get('dbname')}" or not port.replace(",", "").isdigit():
        raise SettingsError(_UNREADABLE)
    return f"{name}:{port}"


@dataclass(frozen=True)
class Connections:
    """The numbers of a process's idle connections and of those in use."""

    idle: int
    in_use: int


class Postgres:
    """One database. Connections are kept between transactions; threads may share it.

    docs/decisions/0011 says why this is not psycopg_pool. `clock` returns seconds, for the idle time of connections.
    """

    def __init__(
        self,
        database_url: str,
        *,
        application_name: str = "bulk-pipeline",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.database_url = database_url
        self.host = host(database_url)
        self._application_name = application_name
        self._clock = clock
        self._idle: deque[tuple[psycopg.Connection, float]] = deque()
        self._in_use: set[psycopg.Connection] = set()

    @property
    def connections(self) -> Connections:
        return Connections(len(self._idle), len(self._in_use))

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[psycopg.Connection]:
        """Yield a connection in a transaction, which commits at the end of the block.

        Raises `StoreUnavailableError` in an outage and in a conflict with another transaction: then nothing was
        committed or, if the answer to COMMIT was lost, everything. A transaction that is not `durable` does not wait
        for the disk: a crash of the server may undo it, unless a durable one was committed after it.
        """
        with outages(self.host), self.connection() as connection:
            try:
                with connection.transaction():
                    if not durable:
                        connection.execute("SET LOCAL synchronous_commit = off")
                    yield connection
            except CONFLICTS as error:
                raise StoreUnavailableError(f"Postgres at {self.host}: {first_line(error)}") from error

    @contextmanager
    def reading(self) -> Iterator[psycopg.Connection]:
        """Yield a connection in autocommit mode, for queries; it saves the two messages of a transaction."""
        with outages(self.host), self.connection() as connection:
            yield connection

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        """Yield a connection for exclusive use in the block, outside a transaction at its beginning and end."""
        connection = self._take()
        self._in_use.add(connection)
        try:
            yield connection
        finally:
            self._in_use.discard(connection)
            self._give_back(connection)

    def close(self) -> None:
        """Close the idle connections."""
        with suppress(IndexError):
            while True:
                self._idle.pop()[0].close()

    def _take(self) -> psycopg.Connection:
        while self._idle:
            try:
                connection, since = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if self._clock() - since < _SURELY_ALIVE_SECONDS or _answers(connection):
                return connection
            connection.close()
        return connect(self.database_url, application_name=self._application_name, autocommit=True)

    def _give_back(self, connection: psycopg.Connection) -> None:
        if connection.closed or connection.info.transaction_status is not pq.TransactionStatus.IDLE:
            connection.close()
        else:
            self._idle.append((connection, self._clock()))


def _answers(connection: psycopg.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def value(connection: psycopg.Connection, query: LiteralString | sql.Composed) -> Any:
    """Return the only value of the only row of a query."""
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def first_line(error: Exception) -> str:
    """Return the message of a driver's error, without hints and positions."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
