"""Dagster's storage in Postgres with pooled connections.

Dagster opens a connection for every query, and checks for its tables whenever an instance is created, which sensors do
at each tick: 17 sessions per second on an idle stack, each taking 7 ms of Postgres.
"""

from functools import cache
from multiprocessing import parent_process
from typing import TYPE_CHECKING

from dagster._core.storage.config import PostgresStorageConfig
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import pg_url_from_config
from sqlalchemy import Engine, create_engine, make_url, text

from bulk_pipeline.settings import DagsterChange, LaunchSettings

if TYPE_CHECKING:
    from dagster_postgres.auth import PgTokenProvider

_RECYCLE_SECONDS = 300
_LOCK = 0x64616773746572  # "dagster"


class PooledPostgresStorage(DagsterPostgresStorage):
    """Storage whose instances in one process share a pool; only the first one checks for the tables."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: "PgTokenProvider | None" = None,
    ) -> None:
        if should_autocreate_tables and not _is_run():
            _make_tables_once(postgres_url)
        super().__init__(postgres_url, False, inst_data, token_provider)
        # dagster-postgres 0.29.27 has no setting for it; the webserver makes pools of its own in the same way.
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine = _pool(postgres_url)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: PostgresStorageConfig
    ) -> DagsterPostgresStorage:
        """Return the storage, or Dagster's own if `LaunchSettings` disable this one."""
        url = pg_url_from_config(config_value)
        if not LaunchSettings().changes(DagsterChange.POOLED_STORAGE):
            make_tables(url)
            return DagsterPostgresStorage(url, should_autocreate_tables=False, inst_data=inst_data)
        return cls(url, inst_data=inst_data)


def make_tables(postgres_url: str) -> None:
    """Create Dagster's tables if they are missing, under an advisory lock, since concurrent creation fails."""
    with _pool(postgres_url).connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        try:
            DagsterPostgresStorage(postgres_url, should_autocreate_tables=True)
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})


_make_tables_once = cache(make_tables)
"""`make_tables` once per process; repeated after an error."""


def _is_run() -> bool:
    """Return True in the process of a run: its row is in the tables; looking for them took a sixth of its start."""
    return parent_process() is not None


@cache
def _pool(postgres_url: str) -> Engine:
    """Return the process's pool; idle connections that broke, as in a restart of Postgres, are replaced before use.

    Commits do not wait for the disk, which took a run of one small file 50 times 2 to 4 ms. A crash of Postgres can
    lose what Dagster recorded in the last second: the ledger, which does wait, then requests another run.
    """
    url = make_url(postgres_url)
    options = f"{url.query.get('options', '')} -csynchronous_commit=off".strip()
    return create_engine(
        url.update_query_dict({"options": options}),
        isolation_level="AUTOCOMMIT",
        pool_pre_ping=True,
        pool_recycle=_RECYCLE_SECONDS,
        pool_size=4,
        max_overflow=40,
    )
