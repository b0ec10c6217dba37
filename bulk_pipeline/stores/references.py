"""Which rows exist in the tables that others refer to, as `stages.split` asks it."""

from dataclasses import dataclass

import pyarrow as pa

from bulk_pipeline.schema import Table
from bulk_pipeline.stores import merge
from bulk_pipeline.stores.copy import array_literal
from bulk_pipeline.stores.postgres import Postgres
from bulk_pipeline.stores.table_fit import load_refusals


@dataclass(frozen=True)
class PostgresReferences:
    """The references of one table. May raise `StoreUnavailableError` and `LoadRefusedError`."""

    postgres: Postgres
    table: Table

    def missing(self, table: str, ids: pa.Array) -> pa.Array:
        """Those of `ids` that `table` does not have."""
        with load_refusals(self.postgres, self.table), self.postgres.transaction() as connection:
            found = connection.execute(merge.missing(table), {"ids": array_literal(ids)})
            return pa.array([row[0] for row in found], pa.string())
