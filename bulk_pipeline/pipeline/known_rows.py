"""Finds the rows of a file whose key is in the table, once per job, so that every attempt decides alike.

A later attempt would find the rows that an earlier one has written.
"""

import numpy as np
import pyarrow as pa

from bulk_pipeline.arrow.row_sets import union
from bulk_pipeline.rows.row_store import PostgresRowStore


class PostgresKnownRows:
    """The results for one attempt at one job. The table is read on first use."""

    def __init__(self, store: PostgresRowStore) -> None:
        self._store = store
        self._stored: np.ndarray | None = None
        self._is_empty: bool | None = None
        self._existing: list[np.ndarray] = []

    def existing(self, rows: pa.RecordBatch) -> np.ndarray:
        """Return the numbers of the rows (`_row` and key columns) whose key is in the table."""
        if self._is_empty is None:
            self._stored = self._store.known_rows()
            self._is_empty = self._store.is_empty()
        if self._stored is not None:
            return self._stored
        if self._is_empty:
            return np.empty(0, np.int64)
        existing = union(self._store.existing([rows]).values())
        self._existing.append(existing)
        return existing

    def keep(self) -> None:
        """Store the results with the job; must be called before any of its rows is written."""
        if self._is_empty is not None and self._stored is None:
            self._stored = union(self._existing)
            self._store.keep_known_rows(self._stored)
