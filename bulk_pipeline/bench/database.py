"""Statements to the stack's Postgres around a measurement: twins of tables, empty tables, checkpoints, WAL.

None of it is measured. Names are those of declared tables and columns, so they are identifiers.
"""

from collections.abc import Sequence
from typing import Any

from bulk_pipeline.samples.checksum import checksum_sql
from bulk_pipeline.schema import Table
from bulk_pipeline.stores.postgres import connect

SCHEMA = "bench"

_POSTGRES_SETTINGS = (
    *("shared_buffers", "work_mem", "maintenance_work_mem", "max_wal_size", "checkpoint_timeout"),
    *("fsync", "synchronous_commit", "full_page_writes", "wal_level", "wal_compression", "autovacuum"),
)


def execute(url: str, *statements: str) -> None:
    """Each in a transaction of its own."""
    with connect(url, application_name="bulk-pipeline bench", autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def rows(url: str, query: str, *given: object) -> list[tuple[Any, ...]]:
    """Whatever the query gives."""
    with connect(url, application_name="bulk-pipeline bench", autocommit=True) as connection:
        return connection.execute(query.encode(), given).fetchall()


def wal_position(url: str) -> int:
    """Bytes of WAL written since the cluster was made."""
    return int(rows(url, "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")[0][0])


def settle(url: str, *names: str) -> None:
    """Vacuum the tables, so that no autovacuum does it during the measurement; then a checkpoint."""
    execute(url, *(f"VACUUM (ANALYZE) {name}" for name in names), "CHECKPOINT")


def empty(url: str, name: str) -> None:
    """And whatever refers to its rows."""
    execute(url, f"TRUNCATE {name} CASCADE")


def twin(table: Table) -> str:
    """The name of the twin."""
    return f"{SCHEMA}.{table.name}"


def make_twin(url: str, table: Table, *, random_ids: bool = False) -> str:
    """Make an empty table that is identical to the migrated one, or but for its ids' default; gives its name."""
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
    """With all that is in it."""
    execute(url, f"DROP SCHEMA IF EXISTS {name} CASCADE")


def fill_from(url: str, name: str, source: str) -> None:
    """All rows of `source` as they lie there."""
    execute(url, f"INSERT INTO {name} SELECT * FROM {source}")  # noqa: S608 - names of tables are identifiers


def count(url: str, name: str) -> int:
    return int(rows(url, f"SELECT count(*) FROM {name}")[0][0])  # noqa: S608 - names of tables are identifiers


def content(url: str, table: Table, columns: Sequence[str]) -> tuple[int, int]:
    """Number of rows and checksum (`samples.checksum`)."""
    ((found, checksum),) = rows(url, checksum_sql(table, columns))
    return int(found), int(checksum)


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
