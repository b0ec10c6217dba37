"""Counts the rows of tables."""

from psycopg import sql

from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.postgres.names import identifier
from bulk_pipeline.schema import Table


def count_rows(postgres: Postgres, table: Table) -> int:
    """Return the number of rows that are visible to the login. Reads the whole table, or one of its indexes."""
    query = sql.SQL("SELECT count(*) FROM {}").format(identifier(table))
    with postgres.reading() as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]
