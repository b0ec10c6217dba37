"""Dagster's storage in Postgres, over connections that are kept.

Dagster connects anew for every query and looks for its tables whenever an instance is made, which sensors do at each
tick: 17 sessions a second on an idle stack, 7 ms of Postgres each.
"""

from functools import cache
from typing import TYPE_CHECKING, Self

from dagster._core.storage.config import PostgresStorageConfig
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import pg_url_from_config
from sqlalchemy import Engine, create_engine, text

if TYPE_CHECKING:
    from dagster_postgres.auth import PgTokenProvider

_RECYCLE_SECONDS = 300
_LOCK = 0x64616773746572  # "dagster"


class PooledPostgresStorage(DagsterPostgresStorage):
    """All instances of one process share one pool, and only the first one looks whether there are tables."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: "PgTokenProvider | None" = None,
    ) -> None:
        if should_autocreate_tables:
            _make_tables(postgres_url)
        super().__init__(postgres_url, False, inst_data, token_provider)
        # dagster-postgres 0.29.27 has no setting for it; the webserver makes pools of its own in the same way.
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine = _pool(postgres_url)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: PostgresStorageConfig
    ) -> Self:
        return cls(pg_url_from_config(config_value), inst_data=inst_data)


@cache
def _make_tables(postgres_url: str) -> None:
    """Once per process, unless it fails. One process after the other: of two that find no tables one would fail."""
    with _pool(postgres_url).connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        try:
            DagsterPostgresStorage(postgres_url, should_autocreate_tables=True)
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})


@cache
def _pool(postgres_url: str) -> Engine:
    """Connections that broke while nobody used them, in a restart of Postgres say, are replaced before use."""
    return create_engine(
        postgres_url,
        isolation_level="AUTOCOMMIT",
        pool_pre_ping=True,
        pool_recycle=_RECYCLE_SECONDS,
        pool_size=4,
        max_overflow=40,
    )
