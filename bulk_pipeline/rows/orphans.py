"""Counts rows that refer to a row that does not exist."""

from psycopg import sql

from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.schema import ForeignKey, Table, TableName


def count_orphans(postgres: Postgres, table: Table, key: ForeignKey) -> int:
    """Return the number of rows whose reference is not NULL and leads to no row. Reads the whole table."""
    pairs = list(zip(key.columns, key.references, strict=True))
    query = sql.SQL(
        """
        SELECT count(*)
        FROM {table} AS child
        WHERE {known} AND NOT EXISTS (SELECT FROM {parent} AS parent WHERE {same})
        """
    ).format(
        table=_identifier(table.qualified_name),
        parent=_identifier(key.parent),
        known=sql.SQL(" AND ").join(
            sql.SQL("child.{} IS NOT NULL").format(sql.Identifier(column)) for column, _ in pairs
        ),
        same=sql.SQL(" AND ").join(
            sql.SQL("parent.{} = child.{}").format(sql.Identifier(referred), sql.Identifier(column))
            for column, referred in pairs
        ),
    )
    with postgres.reading() as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def _identifier(name: TableName) -> sql.Identifier:
    return sql.Identifier(name.schema, name.name)
