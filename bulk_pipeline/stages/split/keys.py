"""Fingerprints of key cells, small enough to keep a whole file's in memory. No rule about keys is here.

A key that occurs once in a file needs nothing further. So one pass finds the fingerprints that occur more
often (8 bytes per row, dropped afterwards), and only the rows that bear them are looked at again, with a
second, independent fingerprint to confirm that equal means equal: 128 bits together. This is also where keys
would spill to disk: `repeated` needs its fingerprints sorted, not in memory.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema import Table


def key_columns(table: Table) -> tuple[str, ...]:
    """The columns a row of the table can be known by."""
    return ("id", table.natural_key) if table.natural_key else ("id",)


def fingerprints(cells: pa.Array) -> np.ndarray:
    """One int64 per cell, 0 for NULL; equal texts have equal ones, within this process."""
    hashes = np.fromiter(map(hash, _texts(cells)), np.int64, len(cells))
    return _without_nulls(hashes, cells)


def confirmations(cells: pa.Array) -> np.ndarray:
    """A second fingerprint (SipHash), 0 for NULL, that has nothing to do with the first."""
    if not len(cells):
        return np.empty(0, np.int64)
    texts = _texts(pc.fill_null(cells, ""))
    return _without_nulls(pd.util.hash_array(texts, categorize=False).view(np.int64), cells)


def repeated(columns: Iterable[pa.Array]) -> np.ndarray:
    """The fingerprints that occur more than once in all the columns together: sorted, unique, without 0."""
    parts = [fingerprints(cells) for cells in columns]
    if not parts:
        return np.empty(0, np.int64)
    everything = np.concatenate(parts)
    del parts
    everything.sort()
    again = np.unique(everything[1:][everything[1:] == everything[:-1]])
    return again[again != 0]


def positions(values: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each value is found in the sorted, unique array `among`: (found: bool, position: int)."""
    if not len(among):
        return np.zeros(len(values), bool), np.zeros(len(values), np.int64)
    at = np.minimum(np.searchsorted(among, values), len(among) - 1)
    return among[at] == values, at


def _texts(cells: pa.Array) -> np.ndarray:
    return cells.to_numpy(zero_copy_only=False)


def _without_nulls(hashes: np.ndarray, cells: pa.Array) -> np.ndarray:
    if cells.null_count:
        hashes = np.where(pc.is_null(cells).to_numpy(zero_copy_only=False), 0, hashes)
    return hashes
