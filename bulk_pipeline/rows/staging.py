"""Rows in a staging table for as long as a block lasts, and what it means when the database refuses rows."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import psycopg
import pyarrow as pa
from psycopg import sql

from bulk_pipeline.errors import RowsRefusedError
from bulk_pipeline.postgres.sqlstates import Meaning, meaning
from bulk_pipeline.rows import merge_sql
from bulk_pipeline.rows.copy import copy_rows
from bulk_pipeline.rows.refusal_messages import refusal
from bulk_pipeline.schema import Table


@contextmanager
def savepoint(connection: psycopg.Connection) -> Iterator[None]:
    """Undo the block when rows are refused in it, and say so with `RowsRefusedError`."""
    try:
        with connection.transaction():
            yield
    except psycopg.Error as error:
        if meaning(error) is not Meaning.ROWS:
            raise
        raise refusal(connection, error) from error


@contextmanager
def staged(connection: psycopg.Connection, table: Table, columns: Sequence[str]) -> Iterator[None]:
    """An empty staging table."""
    connection.execute(merge_sql.stage(table, columns))
    yield
    connection.execute(sql.SQL("DROP TABLE {}").format(merge_sql.STAGED))


def stage_what_can_be(
    connection: psycopg.Connection, batches: Iterable[pa.RecordBatch], table: Table
) -> None:
    """Fill the staging table, skipping rows that do not fit its columns; they fail later, when they are written."""
    for rows in batches:
        try:
            with savepoint(connection):
                copy_rows(connection, merge_sql.STAGED, rows, table)
        except RowsRefusedError:
            half = rows.num_rows // 2
            halves = (rows.slice(0, half), rows.slice(half)) if half else ()
            stage_what_can_be(connection, halves, table)
