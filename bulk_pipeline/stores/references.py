"""Which rows exist in the tables that others refer to, as `stages.split` asks it."""

from types import TracebackType
from typing import Self

import pyarrow as pa

from bulk_pipeline.stores import merge
from bulk_pipeline.stores.copy import array_literal
from bulk_pipeline.stores.postgres import Postgres


class PostgresReferences:
    """A context manager; connects at the first question."""

    def __init__(self, database_url: str) -> None:
        self._postgres = Postgres(database_url, application_name="bulk-pipeline split")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._postgres.close()

    def missing(self, table: str, ids: pa.Array) -> pa.Array:
        """Those of `ids` that `table` does not have."""
        with self._postgres.transaction() as connection:
            found = connection.execute(merge.missing(table), {"ids": array_literal(ids)})
            return pa.array([row[0] for row in found], pa.string())
