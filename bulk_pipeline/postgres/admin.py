"""Ask a Postgres server whether it answers, and create the databases and schemas that are needed in it."""

from psycopg import sql

from bulk_pipeline.errors import StoreUnavailableError
from bulk_pipeline.postgres.connection import connect


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


def look_in_public(url: str) -> None:
    """Let names without a schema mean `public` in the database, for sessions that begin from now on.

    Otherwise tables that people create without a schema would go into a schema with the name of the login, such as
    `bulk`.
    """
    with connect(url, autocommit=True) as connection:
        database = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET search_path TO public").format(database))


def table_exists(url: str, name: str) -> bool:
    """Return whether the table, as `schema.name`, is there."""
    with connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [name]).fetchone()
    return row is not None and bool(row[0])
