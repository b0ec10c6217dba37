"""Dagster's storage: connections are kept, and replaced when they have broken."""

import psycopg

from bulk_pipeline.orchestration.storage import PooledPostgresStorage
from bulk_pipeline.stack import dagster
from bulk_pipeline.stores import servers


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
