"""Reads a table as of one moment: one transaction, repeatable and read-only, and Arrow batches out of it.

Rows come over ADBC, which reads COPY's binary format straight into Arrow: a million customers take it 1.2 s where
psql's `\\copy` to a file takes 2.1. psycopg would make a Python object for each row.
"""

import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import adbc_driver_manager as adbc
import pyarrow as pa
from adbc_driver_manager.dbapi import Connection
from adbc_driver_postgresql import StatementOptions, dbapi
from psycopg import sql

from bulk_pipeline.errors import StoreRefusedError, StoreUnavailableError, UnwritableValueError
from bulk_pipeline.postgres.connection import connection_string, first_line, host
from bulk_pipeline.postgres.names import quoted
from bulk_pipeline.postgres.sqlstates import OUTAGES
from bulk_pipeline.rows.export_sql import (
    RENUMBERED,
    deleted_query,
    holds_arrays,
    renumbered_problem,
    select_query,
)
from bulk_pipeline.schema import Selection, Table
from bulk_pipeline.schema.keys import DEFAULT_SCHEMA

_BATCH_BYTES = 1 << 20
_MOST_TRANSACTIONS = 2**31 - 2**24
"""The ages of two transactions further apart than this cannot be compared."""


@dataclass(frozen=True)
class Watermark:
    """Up to where a snapshot saw everything: all transactions before `transaction` had ended.

    The snapshot has every committed change of those transactions. Any later change creates a row version with a newer
    transaction id. This holds within one cluster, `system`: a dump that is restored elsewhere has other ids.
    """

    transaction: int
    system: str

    @classmethod
    def read(cls, values: Mapping[str, str]) -> Self:
        return cls(int(values["transaction"]), values["system"])

    def as_dict(self) -> dict[str, str]:
        return {"transaction": str(self.transaction), "system": self.system}


@contextmanager
def snapshot(database_url: str, application_name: str) -> Iterator["Snapshot"]:
    """A moment of the database, for as long as the block lasts.

    Raises `StoreUnavailableError` in an outage and `StoreRefusedError` for what Postgres refuses, as do its methods.
    """
    with (
        _answers(database_url),
        dbapi.connect(connection_string(database_url, application_name)) as connection,
    ):
        taken = Snapshot(connection, database_url)
        try:
            yield taken
        finally:
            taken.close()


class Snapshot:
    """`taken_at` is by the clock of Postgres."""

    def __init__(self, connection: Connection, database_url: str) -> None:
        self._connection = connection
        self._database_url = database_url
        self._reading: Generator[pa.RecordBatch, None, None] | None = None
        self._is_open = True
        self._interrupting = threading.Lock()
        for setting in _BEGIN:
            self._execute(setting)
        (facts,) = self._query(_FACTS).to_pylist()
        self.taken_at: datetime = facts["taken_at"].astimezone(UTC)
        self.watermark = Watermark(int(facts["oldest"]), str(facts["system"]))
        self._next = int(facts["next"])

    def can_compare(self, since: Watermark) -> bool:
        """Return whether the rows that changed since then can be determined."""
        return (
            self.watermark.system == since.system and 0 <= self._next - since.transaction < _MOST_TRANSACTIONS
        )

    def rows(self, selection: Selection, since: Watermark | None = None) -> Iterator[pa.RecordBatch]:
        """The rows that are asked for; of those, only the ones that may have changed since a watermark.

        Columns as they are declared: ids as Arrow's UUIDs, times as microseconds in UTC. Raises `UnwritableValueError`
        for an array whose elements are not numbered from 1, and `StoreRefusedError` if row-level security may hide rows
        and the table does not declare `export_visible_rows`.
        """
        if not selection.table.export_visible_rows:
            self._refuse_hidden_rows(selection.table)
        if since is None and not selection.order:
            # By the index of the primary key, never by sorting: the first row comes at once at any size.
            self._execute("SET LOCAL enable_sort = off")
        batches = self._batches(select_query(selection, since.transaction if since else None))
        if not holds_arrays(selection):
            return batches
        return (_without_renumbered(batch, selection.table) for batch in batches)

    def deleted(self, selection: Selection, since: Watermark) -> Iterator[pa.RecordBatch]:
        """`id` and `deleted_at` of rows that were deleted since, as far as that is recorded."""
        return self._batches(deleted_query(selection.table, since.transaction))

    def records_deletions(self, table: Table) -> bool:
        """Return whether the table records deleted rows: only tables of `public` do, by their id."""
        if table.schema != DEFAULT_SCHEMA or table.primary_key != ("id",):
            return False
        query = sql.SQL(_RECORDS_DELETIONS).format(sql.Literal(quoted(table)))
        return self._query(query.as_string()).to_pylist() == [{"found": True}]

    def interrupt(self) -> None:
        """From another thread: end the statement that the snapshot's own thread waits for, if there is one."""
        with self._interrupting, suppress(adbc.Error):
            if self._is_open:
                self._connection.adbc_cancel()

    def close(self) -> None:
        """End everything; from then on `interrupt` leaves the connection alone."""
        with self._interrupting:
            self._is_open = False
        self.stop()

    def stop(self) -> None:
        """End what is still being read; a reader that has lost interest must not keep the connection busy."""
        if self._reading is not None:
            self._reading.close()

    def _refuse_hidden_rows(self, table: Table) -> None:
        query = sql.SQL(_HIDES_ROWS).format(sql.Literal(quoted(table)))
        (found,) = self._query(query.as_string()).to_pylist()
        if found["hides_rows"]:
            raise StoreRefusedError(
                f"row-level security of {table.qualified_name} may hide rows from the login {found['login']}: "
                "export as a role with BYPASSRLS, or declare `export_visible_rows: true` for the table"
            )

    def _batches(self, query: sql.Composed) -> Iterator[pa.RecordBatch]:
        self.stop()
        self._reading = self._read(query)
        return self._reading

    def _read(self, query: sql.Composed) -> Generator[pa.RecordBatch, None, None]:
        with _answers(self._database_url), self._connection.cursor() as cursor:
            cursor.adbc_statement.set_options(
                **{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(_BATCH_BYTES)}
            )
            cursor.execute(query.as_string())
            try:
                yield from cursor.fetch_record_batch()
            except GeneratorExit:
                cursor.adbc_cancel()  # or all the rows that are left would have to come first
                raise
            except OSError as error:  # so the driver's reader calls it when the connection breaks
                raise StoreUnavailableError(
                    f"Postgres at {host(self._database_url)}: {first_line(error)}"
                ) from error
            except pa.ArrowException as error:
                raise StoreRefusedError(
                    f"Postgres at {host(self._database_url)}: {first_line(error)}"
                ) from error

    def _query(self, query: str) -> pa.Table:
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetch_arrow_table()

    def _execute(self, statement: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)


def _without_renumbered(batch: pa.RecordBatch, table: Table) -> pa.RecordBatch:
    """Return the batch without its last column, `RENUMBERED`. Raises `UnwritableValueError` if that has a value."""
    renumbered = batch.column(RENUMBERED).drop_null()
    if len(renumbered):
        raise UnwritableValueError(renumbered_problem(table, renumbered[0].as_py()))
    return batch.drop_columns([RENUMBERED])


@contextmanager
def _answers(database_url: str) -> Iterator[None]:
    try:
        yield
    except adbc.Error as error:
        said = first_line(error)
        state = error.sqlstate or ""
        if not state or state.startswith((*OUTAGES, "XX")):
            raise StoreUnavailableError(f"Postgres at {host(database_url)}: {said}") from error
        raise StoreRefusedError(f"Postgres at {host(database_url)}: {said}") from error


_BEGIN = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    "SET LOCAL lock_timeout = '60s'",
    # What is read as text has one form, whatever the server's or the role's settings are.
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL IntervalStyle = 'iso_8601'",
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL extra_float_digits = 1",
)

_FACTS = """
    SELECT
        statement_timestamp() AS taken_at,
        pg_snapshot_xmin(pg_current_snapshot())::text AS oldest,
        pg_snapshot_xmax(pg_current_snapshot())::text AS next,
        (SELECT system_identifier::text FROM pg_control_system()) AS system
"""

_HIDES_ROWS = "SELECT row_security_active(to_regclass({})) AS hides_rows, current_user::text AS login"
"""NULL if there is no such table, which the query of the rows then says."""

_RECORDS_DELETIONS = """
    SELECT EXISTS (
        SELECT FROM pg_trigger
        WHERE tgrelid = to_regclass({}) AND tgname = 'record_deletions'
    ) AS found
"""
