"""Fingerprints of key cells, 8 bytes each. No rule about keys is here.

A key that occurs once in a file needs nothing further. So one pass finds the fingerprints that occur more
often, on disk above a bound, and only the rows that bear them are looked at again, with a second, independent
fingerprint to confirm that equal means equal: 128 bits together.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.row_sets import union

_IN_MEMORY = 4 << 20
_READ_AT_ONCE = 1 << 20
_SIGN = np.uint64(1 << 63)


def fingerprints(cells: pa.Array) -> np.ndarray:
    """One int64 per cell, 0 for NULL only; equal texts have equal ones, within this process."""
    hashes = np.fromiter(map(hash, _texts(cells)), np.int64, len(cells))
    hashes[hashes == 0] = 1  # the empty text
    return _without_nulls(hashes, cells)


def confirmations(cells: pa.Array) -> np.ndarray:
    """A second fingerprint (SipHash), 0 for NULL, that has nothing to do with the first."""
    if not len(cells):
        return np.empty(0, np.int64)
    texts = _texts(pc.fill_null(cells, ""))
    return _without_nulls(pd.util.hash_array(texts, categorize=False).view(np.int64), cells)


def repeated(
    columns: Iterable[pa.Array], *, folder: Path | None = None, in_memory: int = _IN_MEMORY
) -> np.ndarray:
    """The fingerprints that occur more than once in all the columns together: sorted, unique, without 0.

    `in_memory`: how many fingerprints are held in memory. More than that are written to a temporary file in `folder`
    and searched one value range at a time.
    """
    with SpooledTemporaryFile(max_size=8 * in_memory, dir=folder and str(folder)) as kept:
        count = 0
        for cells in columns:
            kept.write(fingerprints(cells).tobytes())
            count += len(cells)
        ranges = -(-count // in_memory) or 1
        return np.concatenate([_repeated_within(kept, number, ranges) for number in range(ranges)])


def _repeated_within(kept: IO[bytes], number: int, ranges: int) -> np.ndarray:
    everything = np.concatenate([np.empty(0, np.int64), *_within(kept, number, ranges)])
    everything.sort()
    again = union([everything[1:][everything[1:] == everything[:-1]]])
    return again[again != 0]


def _within(kept: IO[bytes], number: int, ranges: int) -> Iterator[np.ndarray]:
    """The values of one of so many equal ranges of int64."""
    kept.seek(0)
    while data := kept.read(8 * _READ_AT_ONCE):
        values = np.frombuffer(data, np.int64)
        yield values if ranges == 1 else values[_ranges_of(values, ranges) == number]


def _ranges_of(values: np.ndarray, ranges: int) -> np.ndarray:
    width = -(-(1 << 64) // ranges)
    return (values.view(np.uint64) ^ _SIGN) // np.uint64(width)


def _texts(cells: pa.Array) -> np.ndarray:
    return cells.to_numpy(zero_copy_only=False)


def _without_nulls(hashes: np.ndarray, cells: pa.Array) -> np.ndarray:
    if cells.null_count:
        hashes = np.where(pc.is_null(cells).to_numpy(zero_copy_only=False), 0, hashes)
    return hashes
