"""Connections to Postgres, and how its outages are told from every other error. No table is known here."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import conninfo, errors, pq, sql

from bulk_pipeline.errors import SettingsError, StoreUnavailableError
from bulk_pipeline.stores.sqlstates import Meaning, meaning

CONFLICTS = (errors.DeadlockDetected, errors.SerializationFailure)
"""Two transactions got into each other's way: the same transaction succeeds when it is tried again."""

_SURELY_ALIVE_SECONDS = 1.0
_CANCEL_SECONDS = 5.0


def connect(
    database_url: str, *, application_name: str = "bulk-pipeline", autocommit: bool = False
) -> psycopg.Connection:
    """A new connection; `StoreUnavailableError` if the server does not give one.

    Nothing of it outlives a transaction on the server, so that pgbouncer may pool it by transaction: no
    prepared statements, no session settings.
    """
    with outages(host(database_url)):
        return psycopg.connect(
            connection_string(database_url, application_name), autocommit=autocommit, prepare_threshold=None
        )


def connection_string(database_url: str, application_name: str) -> str:
    """The URL with our name and patience: a server that is gone is noticed within seconds."""
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
        raise StoreUnavailableError(f"Postgres at {host}: {first_line(error)}") from error


@contextmanager
def stopping(connection: psycopg.Connection) -> Iterator[None]:
    """If the block is interrupted while a statement is on its way, end that statement too.

    It may wait for somebody's lock, and the server would let it wait, holding locks of its own, long after we left.
    """
    try:
        yield
    except BaseException:
        cancel(connection)
        raise


def cancel(connection: psycopg.Connection) -> None:
    """End the statement that a connection, maybe another thread's, is waiting for."""
    if connection.info.transaction_status is pq.TransactionStatus.ACTIVE:
        with suppress(psycopg.Error):
            connection.cancel_safe(timeout=_CANCEL_SECONDS)


def end_sessions(connection: psycopg.Connection, name: str) -> None:
    """End the other sessions of that name in this database, with whatever they are at; waits up to 5 s for each."""
    connection.execute(
        """
        SELECT pg_terminate_backend(pid, 5000)
        FROM pg_stat_activity
        WHERE application_name = %s AND datname = current_database() AND pid <> pg_backend_pid()
        """,
        [name],
    )


def end_statements(connection: psycopg.Connection, name: str) -> None:
    """End what the other sessions of that name in this database are at, not the sessions."""
    connection.execute(
        """
        SELECT pg_cancel_backend(pid)
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
    """`host:port` of a connection string, for messages.

    Raises `SettingsError` if it cannot be read. A character of the password that should have been escaped is what makes
    a string unreadable, or read wrongly: so no part of it is told, not even by the exception before.
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
    """How many a process has, and whether anybody uses them."""

    idle: int
    in_use: int


class Postgres:
    """One database. Connections are kept between transactions; threads share it."""

    def __init__(self, database_url: str, *, application_name: str = "bulk-pipeline") -> None:
        self.database_url = database_url
        self.host = host(database_url)
        self._application_name = application_name
        self._idle: deque[tuple[psycopg.Connection, float]] = deque()
        self._in_use: set[psycopg.Connection] = set()

    @property
    def connections(self) -> Connections:
        return Connections(len(self._idle), len(self._in_use))

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[psycopg.Connection]:
        """A connection inside a transaction, which commits at the end of the block.

        An outage and a conflict with another transaction are both `StoreUnavailableError`: nothing has
        happened or, if the answer to COMMIT got lost, everything has. What is not `durable` does not wait for the
        disk: a crash of the server may take it back, but not if anything durable was committed after it.
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
        """A connection on which each statement stands for itself, which saves two messages: to look something up."""
        with outages(self.host), self.connection() as connection:
            yield connection

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        """A connection that nobody else uses inside the block; outside a transaction at its begin and end."""
        connection = self._take()
        self._in_use.add(connection)
        try:
            yield connection
        finally:
            self._in_use.discard(connection)
            self._give_back(connection)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with suppress(IndexError):
            while True:
                self._idle.pop()[0].close()

    def _take(self) -> psycopg.Connection:
        while self._idle:
            try:
                connection, since = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if time.monotonic() - since < _SURELY_ALIVE_SECONDS or _answers(connection):
                return connection
            connection.close()
        return connect(self.database_url, application_name=self._application_name, autocommit=True)

    def _give_back(self, connection: psycopg.Connection) -> None:
        if connection.closed or connection.info.transaction_status is not pq.TransactionStatus.IDLE:
            connection.close()
        else:
            self._idle.append((connection, time.monotonic()))


def _answers(connection: psycopg.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def value(connection: psycopg.Connection, query: LiteralString | sql.Composed) -> Any:
    """The one value of the one row that a query gives; its type is the query's matter."""
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def first_line(error: Exception) -> str:
    """What a driver's error says, without hints and positions."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
