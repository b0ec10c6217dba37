"""Dagster's storage: connections are kept, and replaced when they have broken."""

import psycopg

from bulk_pipeline.orchestration import storage as pooled
from bulk_pipeline.orchestration.storage import PooledPostgresStorage
from bulk_pipeline.stack import dagster
from bulk_pipeline.stores import servers
from bulk_pipeline_tests.integration.stores.ledger_world import at_once


def test_instances_share_connections_which_outlive_a_restart_of_postgres(database_url: str) -> None:
    servers.create_schema(database_url, dagster.SCHEMA)
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
    servers.create_schema(database_url, dagster.SCHEMA)
    url = dagster.storage_url(database_url)
    make_tables = pooled._make_tables.__wrapped__  # as each process calls it, once
    at_once(lambda _: make_tables(url), 4)
    assert PooledPostgresStorage(url).run_storage.get_runs() == []
