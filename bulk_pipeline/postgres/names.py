"""Names of tables as SQL, always with their schema: what is unqualified depends on the login's search path."""

from psycopg import sql

from bulk_pipeline.schema import Table, TableName


def identifier(table: Table | TableName) -> sql.Identifier:
    """Return the name as part of a statement."""
    name = table.qualified_name if isinstance(table, Table) else table
    return sql.Identifier(name.schema, name.name)


def quoted(table: Table | TableName) -> str:
    """Return the name as a value that Postgres casts to regclass."""
    return identifier(table).as_string()
