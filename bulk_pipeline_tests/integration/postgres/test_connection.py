"""Outages of Postgres are told from conflicts and from bugs."""

import threading
from collections.abc import Callable

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from bulk_pipeline.errors import SettingsError, StoreUnavailableError
from bulk_pipeline.postgres.connection import CONFLICTS, Postgres, connect, host, outages


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "SET LOCAL statement_timeout = 10; SELECT pg_sleep(1)",
        "SET TRANSACTION READ ONLY; CREATE TABLE t ()",
    ],
)
def test_an_outage_in_use_is_an_outage(database_url: str, statement: str) -> None:
    with (
        connect(database_url) as connection,
        pytest.raises(StoreUnavailableError, match=host(database_url)),
        outages(host(database_url)),
    ):
        connection.execute(statement.encode())


def test_a_connection_that_was_closed_is_an_outage(database_url: str) -> None:
    connection = connect(database_url)
    connection.close()
    with pytest.raises(StoreUnavailableError, match="closed"), outages("here"):
        connection.execute("SELECT 1")


def test_a_mistake_is_no_outage(database_url: str) -> None:
    with connect(database_url) as connection, pytest.raises(psycopg.errors.UndefinedTable), outages("here"):
        connection.execute("SELECT * FROM nothing")


def test_a_deadlock_is_no_outage_but_a_transaction_may_be_tried_again(database_url: str) -> None:
    with connect(database_url) as connection:
        connection.execute("CREATE TABLE t AS SELECT n FROM generate_series(1, 2) AS n")
    errors = _deadlock(lambda: connect(database_url))
    assert len(errors) == 1
    with pytest.raises(CONFLICTS), outages("here"):
        raise errors[0]
    postgres = Postgres(database_url)
    with pytest.raises(StoreUnavailableError), postgres.transaction():
        raise errors[0]
    postgres.close()


def test_too_many_connections_are_an_outage(database_url: str) -> None:
    with connect(database_url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 0'.encode())
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'x'")
        try:
            with pytest.raises(StoreUnavailableError, match="too many connections"):
                connect(make_conninfo(database_url, user="guest", password="x"))
        finally:
            connection.execute("DROP ROLE guest")


def test_connections_are_used_again_and_replaced_when_they_die(database_url: str) -> None:
    now = 0.0
    postgres = Postgres(database_url, clock=lambda: now)

    def pid() -> int:
        with postgres.transaction() as connection:
            return connection.info.backend_pid

    first = pid()
    assert pid() == first
    with connect(database_url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", (first,))
    now = 60.0
    assert pid() != first
    postgres.close()


@pytest.mark.parametrize(
    ("given", "reason"),
    [({"port": "1"}, "Connection refused"), ({"password": "wrong"}, "password authentication failed")],
)
def test_a_connection_that_cannot_be_made_is_an_outage_at_once_and_says_why(
    database_url: str, given: dict[str, str], reason: str
) -> None:
    """psycopg_pool would wait for its timeout and give no reason: see docs/decisions/0011."""
    postgres = Postgres(make_conninfo(database_url, **given))
    with pytest.raises(StoreUnavailableError, match=reason), postgres.reading():
        pass


def test_a_connection_string_that_is_none_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        host("nonsense")


def _deadlock(new: Callable[[], psycopg.Connection]) -> list[psycopg.Error]:
    barrier, errors = threading.Barrier(2), list[psycopg.Error]()

    def update(first: int, second: int) -> None:
        with new() as connection:
            try:
                connection.execute("UPDATE t SET n = n WHERE n = %s", (first,))
                barrier.wait()
                connection.execute("UPDATE t SET n = n WHERE n = %s", (second,))
            except psycopg.Error as error:
                errors.append(error)

    threads = [threading.Thread(target=update, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors
