"""Cuts a file into the ranges that are committed one by one."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from bulk_pipeline.stages.load.row_store import Range

_RANGE_BYTES = 8 << 20
"""Two ranges are written while a third is made ready: 50,000 rows of 10 KB each would be 1.5 GB at once."""


def rows_of_a_range(most: int, rows: int, size_bytes: int) -> int:
    """The number of source rows that are committed together: `most`, or fewer if the file's rows are wide."""
    if not (rows and size_bytes):
        return most
    return max(1, min(most, _RANGE_BYTES * rows // size_bytes))


def ranges(total_rows: int, batch_rows: int) -> list[Range]:
    """All ranges of a file: `batch_rows` source rows each, rejected ones included."""
    firsts = range(1, total_rows + 1, batch_rows)
    return [Range(first, min(first + batch_rows - 1, total_rows)) for first in firsts]


def cut(
    good: Iterable[pa.RecordBatch], wanted: Sequence[Range]
) -> Iterator[tuple[Range, list[pa.RecordBatch]]]:
    """The good rows of each wanted range, in order; also of those without any. Nothing is copied."""
    batches = iter(good)
    rest = next(batches, None)
    for range_ in wanted:
        parts: list[pa.RecordBatch] = []
        while rest is not None:
            start, end = np.searchsorted(rest["_row"].to_numpy(), [range_.first, range_.last + 1]).tolist()
            if end > start:
                parts.append(rest.slice(start, end - start))
            if end < rest.num_rows:
                rest = rest.slice(end)
                break
            rest = next(batches, None)
        yield range_, parts
