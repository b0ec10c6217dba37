"""Dagster's own tables, for what its webserver would have to be asked otherwise: does the daemon live, do sensors tick.

Read only. They are in a schema of our database; as long as Dagster has not made them, nothing is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg
from psycopg import errors, sql

from bulk_pipeline.errors import StoreRefusedError
from bulk_pipeline.stores.postgres import Postgres, first_line

SCHEMA = "dagster"
_NEEDED = ("SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR")
"""The daemon's parts without which files that are dropped lie there."""
_SILENCE_SECONDS = 120
"""Heartbeats come every 30 s."""


@dataclass(frozen=True)
class Signs:
    """Signs of life. Seconds since the last heartbeat of each part of the daemon, and since the last tick of each
    sensor began."""

    heartbeats: Mapping[str, float] = field(default_factory=dict)
    ticks: Mapping[str, float] = field(default_factory=dict)

    @property
    def problem(self) -> str | None:
        """Why nothing would be started now."""
        silent = [name for name in _NEEDED if self.heartbeats.get(name, _SILENCE_SECONDS) >= _SILENCE_SECONDS]
        return f"Dagster's daemon: no heartbeat from {', '.join(silent)}" if silent else None


def signs(postgres: Postgres) -> Signs:
    """What Dagster has written last. `StoreRefusedError` for who may not read it."""
    with postgres.transaction() as connection:
        if connection.execute(_EXIST, {"schema": SCHEMA, "tables": _TABLES}).fetchone() != (True,):
            return Signs()
        try:
            return Signs(_ages(connection, _HEARTBEATS), _ages(connection, _TICKS))
        except errors.InsufficientPrivilege as error:
            raise StoreRefusedError(f"Dagster's tables: {first_line(error)} (see sql/roles.sql)") from error


def _ages(connection: psycopg.Connection, query: sql.Composed) -> dict[str, float]:
    return {name: max(float(seconds), 0.0) for name, seconds in connection.execute(query)}


_SCHEMA = sql.Identifier(SCHEMA)

_TABLES = ["daemon_heartbeats", "instigators", "job_ticks"]

_EXIST = """
    SELECT count(*) = cardinality(%(tables)s::text[])
    FROM pg_class
    WHERE relnamespace = to_regnamespace(%(schema)s) AND relname = ANY (%(tables)s)
"""

# Dagster's times are UTC, without saying so.
_HEARTBEATS = sql.SQL("""
    SELECT daemon_type, extract(epoch FROM clock_timestamp() AT TIME ZONE 'UTC' - timestamp)
    FROM {schema}.daemon_heartbeats
""").format(schema=_SCHEMA)

# A sensor that has moved to another code location has an entry for each.
_TICKS = sql.SQL("""
    SELECT
        instigator_body::jsonb #>> '{{origin,job_name}}',
        min(extract(epoch FROM clock_timestamp() AT TIME ZONE 'UTC' - tick.timestamp))
    FROM {schema}.instigators AS sensor
    CROSS JOIN LATERAL (
        SELECT max(timestamp) AS timestamp FROM {schema}.job_ticks WHERE selector_id = sensor.selector_id
    ) AS tick
    WHERE instigator_type = 'SENSOR' AND tick.timestamp IS NOT NULL
    GROUP BY 1
""").format(schema=_SCHEMA)
