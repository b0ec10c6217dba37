"""Creates the part of Dagster's tables that we read, so that tests can simulate a live daemon."""

from collections.abc import Collection, Mapping

import psycopg

_TABLES = """
    CREATE SCHEMA IF NOT EXISTS dagster;
    CREATE TABLE IF NOT EXISTS dagster.daemon_heartbeats (daemon_type varchar(255) UNIQUE, timestamp timestamp);
    CREATE TABLE IF NOT EXISTS dagster.instigators (
        selector_id varchar(255), status varchar(63), instigator_type varchar(63), instigator_body text);
    CREATE TABLE IF NOT EXISTS dagster.job_ticks (selector_id varchar(255), timestamp timestamp);
    DELETE FROM dagster.daemon_heartbeats;
"""
ALIVE = {"SENSOR": 10.0, "SCHEDULER": 20.0, "QUEUED_RUN_COORDINATOR": 30.0}
"""Seconds since the last heartbeats of a healthy daemon."""


def leave_signs(
    database_url: str,
    heartbeats: Mapping[str, float] = ALIVE,
    ticks: Mapping[str, float] = {},
    switched_off: Collection[str] = (),
) -> None:
    """Store heartbeats and ticks of the given ages in seconds."""
    with psycopg.connect(database_url) as connection:
        connection.execute(_TABLES.encode())
        for daemon, seconds in heartbeats.items():
            connection.execute(
                "INSERT INTO dagster.daemon_heartbeats "
                "VALUES (%s, now() AT TIME ZONE 'UTC' - make_interval(secs => %s))",
                [daemon, seconds],
            )
        for sensor, seconds in ticks.items():
            body = f'{{"origin": {{"job_name": "{sensor}"}}}}'
            status = "STOPPED" if sensor in switched_off else "DECLARED_IN_CODE"
            connection.execute(
                "INSERT INTO dagster.instigators VALUES (%s, %s, 'SENSOR', %s)", [sensor, status, body]
            )
            connection.execute(
                "INSERT INTO dagster.job_ticks VALUES (%(sensor)s, now() AT TIME ZONE 'UTC' - make_interval(secs => "
                "%(secs)s)), (%(sensor)s, now() AT TIME ZONE 'UTC' - interval '1 day')",
                {"sensor": sensor, "secs": seconds},
            )
