"""Statements to the stack's Postgres around a measurement: copies of tables, TRUNCATE, checkpoints, WAL.

None of them is measured. Names are those of declared tables and columns, so they are identifiers.
"""

from collections.abc import Sequence
from typing import Any

from bulk_pipeline.postgres.connection import connect
from bulk_pipeline.samples.checksum import checksum_sql
from bulk_pipeline.schema import Table

SCHEMA = "bench"

_POSTGRES_SETTINGS = (
    *("shared_buffers", "work_mem", "maintenance_work_mem", "max_wal_size", "checkpoint_timeout"),
    *("fsync", "synchronous_commit", "full_page_writes", "wal_level", "wal_compression", "autovacuum"),
)


def execute(url: str, *statements: str) -> None:
    """Execute each statement in its own transaction."""
    with connect(url, application_name="bulk-pipeline bench", autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def rows(url: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Return the rows of the query."""
    with connect(url, application_name="bulk-pipeline bench", autocommit=True) as connection:
        return connection.execute(query.encode(), parameters).fetchall()


def wal_position(url: str) -> int:
    """Return the bytes of WAL written since the cluster was created."""
    return int(rows(url, "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")[0][0])


def settle(url: str, *names: str) -> None:
    """Vacuum the tables, so that autovacuum does not run during the measurement; then checkpoint."""
    execute(url, *(f"VACUUM (ANALYZE) {name}" for name in names), "CHECKPOINT")


def empty(url: str, name: str) -> None:
    """Truncate the table, and tables that refer to it."""
    execute(url, f"TRUNCATE {name} CASCADE")


def twin(table: Table) -> str:
    """Return the name of the table's copy."""
    return f"{SCHEMA}.{table.name}"


def make_twin(url: str, table: Table, *, random_ids: bool = False) -> str:
    """Create an empty table like the migrated one, optionally with random ids as default. Return its name."""
    name = twin(table)
    execute(
        url,
        f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}",
        f"DROP TABLE IF EXISTS {name}",
        f"CREATE TABLE {name} (LIKE public.{table.name} INCLUDING ALL)",
        *(f"ALTER TABLE {name} ADD {definition}" for definition in _foreign_keys(url, table)),
    )
    if random_ids:
        execute(url, f"ALTER TABLE {name} ALTER id SET DEFAULT gen_random_uuid()")
    return name


def drop_twin(url: str, table: Table) -> None:
    execute(url, f"DROP TABLE IF EXISTS {twin(table)}")


def drop_schema(url: str, name: str) -> None:
    """Drop the schema with all its objects."""
    execute(url, f"DROP SCHEMA IF EXISTS {name} CASCADE")


def fill_from(url: str, name: str, source: str) -> None:
    """Copy all rows of `source`."""
    execute(url, f"INSERT INTO {name} SELECT * FROM {source}")  # noqa: S608 - names of tables are identifiers


def count(url: str, name: str) -> int:
    return int(rows(url, f"SELECT count(*) FROM {name}")[0][0])  # noqa: S608 - names of tables are identifiers


def content(url: str, table: Table, columns: Sequence[str]) -> tuple[int, int]:
    """Return the number of rows and the checksum (`samples.checksum`)."""
    ((number, checksum),) = rows(url, checksum_sql(table, columns))
    return int(number), int(checksum)


def server_settings(url: str) -> dict[str, str]:
    query = "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY (%s) ORDER BY name"
    return dict(rows(url, query, list(_POSTGRES_SETTINGS)))


def server_version(url: str) -> str:
    return str(rows(url, "SELECT current_setting('server_version')")[0][0])


def _foreign_keys(url: str, table: Table) -> list[str]:
    query = (
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' AND conrelid = %s::regclass"
    )
    return [definition for (definition,) in rows(url, query, f"public.{table.name}")]
