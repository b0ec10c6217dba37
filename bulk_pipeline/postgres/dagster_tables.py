"""Reads the signs of life of Dagster's daemon and sensors from Dagster's own tables, without its webserver.

The tables are in a schema of our database. Until Dagster has created them, there are no signs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg
from psycopg import errors, sql

from bulk_pipeline.errors import StoreRefusedError
from bulk_pipeline.postgres.connection import Postgres, first_line

SCHEMA = "dagster"
_NEEDED = ("SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR")
"""The parts of the daemon that are needed to start imports."""
SILENCE_SECONDS = 120
"""Seconds after its last heartbeat from which on a daemon counts as silent. It sends one every 30 s; Dagster itself
reports it as healthy for 30 minutes after the last one."""


@dataclass(frozen=True)
class Signs:
    """Signs of life: seconds since the last heartbeat of each part of the daemon, and since the beginning of each
    sensor's last tick. `switched_off`: the sensors that somebody has stopped in Dagster's UI."""

    heartbeats: Mapping[str, float] = field(default_factory=dict)
    ticks: Mapping[str, float] = field(default_factory=dict)
    switched_off: tuple[str, ...] = ()

    @property
    def problem(self) -> str | None:
        """The reason why no run would start now, or None."""
        silent = [name for name in _NEEDED if self.heartbeats.get(name, SILENCE_SECONDS) >= SILENCE_SECONDS]
        return f"Dagster's daemon: no heartbeat from {', '.join(silent)}" if silent else None


def signs(postgres: Postgres) -> Signs:
    """Return Dagster's signs of life. Raises `StoreRefusedError` if the role may not read them."""
    with postgres.transaction() as connection:
        if connection.execute(_EXIST, {"schema": SCHEMA, "tables": _TABLES}).fetchone() != (True,):
            return Signs()
        try:
            switched_off = tuple(name for (name,) in connection.execute(_SWITCHED_OFF))
            return Signs(_ages(connection, _HEARTBEATS), _ages(connection, _TICKS), switched_off)
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

# Dagster's times are UTC without time zone.
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

_SWITCHED_OFF = sql.SQL("""
    SELECT DISTINCT instigator_body::jsonb #>> '{{origin,job_name}}'
    FROM {schema}.instigators
    WHERE instigator_type = 'SENSOR' AND status = 'STOPPED'
    ORDER BY 1
""").format(schema=_SCHEMA)
