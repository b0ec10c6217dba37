"""Dagster's storage pools its connections, and replaces broken ones."""

import time
from contextlib import closing

import psycopg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus
from dagster._daemon.types import DaemonHeartbeat
from dagster_postgres import DagsterPostgresStorage

from bulk_pipeline.orchestration.launch.storage import PooledPostgresStorage, make_tables
from bulk_pipeline.postgres import admin, dagster_tables
from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.settings import DagsterChange
from bulk_pipeline.stack import dagster
from bulk_pipeline_tests.rigs.ledger import at_once


def test_instances_share_connections_which_outlive_a_restart_of_postgres(database_url: str) -> None:
    admin.create_schema(database_url, dagster.SCHEMA)
    first, second = (PooledPostgresStorage(dagster.storage_url(database_url)) for _ in range(2))
    for storage in (first, second, first, second):
        assert storage.run_storage.get_runs() == []
        assert storage.schedule_storage.all_instigator_state() == []
        assert list(storage.event_log_storage.all_asset_keys()) == []
    with psycopg.connect(database_url, autocommit=True) as somebody_else:
        (ended,) = somebody_else.execute(
            """
            SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
            """
        ).fetchall()
    assert ended == (1,)
    assert second.run_storage.get_runs() == []


def test_processes_that_start_at_once_make_the_tables_one_after_the_other(database_url: str) -> None:
    admin.create_schema(database_url, dagster.SCHEMA)
    url = dagster.storage_url(database_url)
    at_once(lambda _: make_tables(url), 4)  # as each process calls it, once
    assert PooledPostgresStorage(url).run_storage.get_runs() == []


def test_the_process_of_a_run_does_not_look_for_the_tables(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.create_schema(database_url, dagster.SCHEMA)
    monkeypatch.setattr("bulk_pipeline.orchestration.launch.storage.parent_process", object)
    PooledPostgresStorage(dagster.storage_url(database_url))
    assert not dagster.tables_exist(database_url)


def test_commits_do_not_wait_for_the_disk_in_dagsters_schema_only(database_url: str) -> None:
    admin.create_schema(database_url, dagster.SCHEMA)
    storage = PooledPostgresStorage(dagster.storage_url(database_url))
    with storage.run_storage.connect() as connection:
        for name, value in {"synchronous_commit": "off", "search_path": dagster.SCHEMA}.items():
            assert connection.exec_driver_sql(f"SHOW {name}").scalar() == value
    with closing(Postgres(database_url)) as postgres, postgres.transaction() as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_dagsters_own_storage_is_used_where_the_change_is_turned_off(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.create_schema(database_url, dagster.SCHEMA)
    monkeypatch.setenv("BULK_PLAIN_DAGSTER", DagsterChange.POOLED_STORAGE)
    storage = PooledPostgresStorage.from_config_value(
        None, {"postgres_url": dagster.storage_url(database_url)}
    )
    assert type(storage) is DagsterPostgresStorage
    assert storage.run_storage.get_runs() == []


def test_the_signs_of_life_are_read_from_tables_that_dagster_makes(database_url: str) -> None:
    admin.create_schema(database_url, dagster.SCHEMA)
    storage = PooledPostgresStorage(dagster.storage_url(database_url))
    storage.run_storage.add_daemon_heartbeat(DaemonHeartbeat(time.time() - 50, "SENSOR", "an-id", []))
    with closing(Postgres(database_url)) as postgres:
        result = dagster_tables.signs(postgres)
        with postgres.reading() as connection:
            columns = connection.execute(_COLUMNS, [dagster.SCHEMA]).fetchall()
    see = "Dagster changed its tables: see bulk_pipeline/postgres/dagster_tables.py"
    assert result.heartbeats == {"SENSOR": pytest.approx(50, abs=40)}, see
    assert result.problem == "Dagster's daemon: no heartbeat from SCHEDULER, QUEUED_RUN_COORDINATOR"
    assert columns == [
        ("instigators", "instigator_body"),
        ("instigators", "instigator_type"),
        ("instigators", "selector_id"),
        ("job_ticks", "selector_id"),
        ("job_ticks", "timestamp"),
    ], see


_COLUMNS = """
    SELECT table_name, column_name
    FROM information_schema.columns
    WHERE
        table_schema = %s
        AND table_name IN ('instigators', 'job_ticks')
        AND column_name IN ('instigator_body', 'instigator_type', 'selector_id', 'timestamp')
        AND NOT (table_name = 'instigators' AND column_name = 'timestamp')
    ORDER BY 1, 2
"""


def test_a_sensor_that_is_switched_off_is_read_from_a_table_that_dagster_makes(database_url: str) -> None:
    admin.create_schema(database_url, dagster.SCHEMA)
    storage = PooledPostgresStorage(dagster.storage_url(database_url))
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("a location"), "a repository")
    for name, status in {"on": InstigatorStatus.RUNNING, "off": InstigatorStatus.STOPPED}.items():
        origin = RemoteInstigatorOrigin(repository, name)
        storage.schedule_storage.add_instigator_state(InstigatorState(origin, InstigatorType.SENSOR, status))
    with closing(Postgres(database_url)) as postgres:
        assert dagster_tables.signs(postgres).switched_off == ("off",)
