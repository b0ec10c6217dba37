"""Which rows exist in the tables that others refer to, as `stages.split` asks it."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.postgres.table_fit import load_refusals
from bulk_pipeline.rows.batch_writer import missing
from bulk_pipeline.schema import ForeignKey, Table


@dataclass(frozen=True)
class PostgresReferences:
    """The references of one table. May raise `StoreUnavailableError` and `LoadRefusedError`."""

    postgres: Postgres
    table: Table

    def missing(self, key: ForeignKey, values: pa.RecordBatch) -> np.ndarray:
        """A mask of the values that refer to no row."""
        with load_refusals(self.postgres, self.table), self.postgres.transaction() as connection:
            return missing(connection, self.table, key, values)
