"""Which rows of a file have a key that the table has: asked once, as every attempt at the job must decide alike.

A later attempt would find the rows that an earlier one has written.
"""

import numpy as np
import pyarrow as pa

from bulk_pipeline.stages.sorted_sets import union
from bulk_pipeline.stores.rows import PostgresRowStore


class PostgresKnownRows:
    """The answers of one attempt at one job. The table is not asked before there is a question."""

    def __init__(self, store: PostgresRowStore) -> None:
        self._store = store
        self._kept: np.ndarray | None = None
        self._is_empty: bool | None = None
        self._existing: list[np.ndarray] = []

    def existing(self, rows: pa.RecordBatch) -> np.ndarray:
        """The numbers of those of the rows (`_row` and key columns) that have a key of a row in the table."""
        if self._is_empty is None:
            self._kept = self._store.known_rows()
            self._is_empty = self._store.is_empty()
        if self._kept is not None:
            return self._kept
        if self._is_empty:
            return np.empty(0, np.int64)
        found = union(self._store.existing([rows]).values())
        self._existing.append(found)
        return found

    def keep(self) -> None:
        """Keep the answers with the job; to be called before any of its rows is written."""
        if self._is_empty is not None and self._kept is None:
            self._kept = union(self._existing)
            self._store.keep_known_rows(self._kept)
