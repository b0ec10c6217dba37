"""Reads a file and several streams of its failures together, one range of rows at a time."""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from bulk_pipeline.stages.failures import FAILURES


def by_row_range(
    raw: Iterable[pa.RecordBatch], failures: Sequence[Iterable[pa.RecordBatch]]
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Yield each batch of `raw` that has failures, with its failures, stream by stream and not sorted.

    All streams must be sorted by row. Raises `ValueError` for failures of rows after the last.
    """
    streams = [_Stream(iter(batches)) for batches in failures]
    for rows in raw:
        if not rows.num_rows:
            continue
        last = rows["_row"][-1].as_py()
        in_range = [batch for stream in streams for batch in stream.up_to(last) if batch.num_rows]
        if in_range:
            yield rows, pa.concat_batches(in_range)
    for stream in streams:
        for batch in stream.rest():
            if batch.num_rows:
                raise ValueError(f"a failure names row {batch['row'][0]}, which the file does not have")


class _Stream:
    """One stream of failures, read as far as needed."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._ahead = pa.RecordBatch.from_pylist([], schema=FAILURES)

    def up_to(self, row: int) -> Iterator[pa.RecordBatch]:
        while True:
            cut = int(self._ahead["row"].to_numpy().searchsorted(row, side="right"))
            yield self._ahead.slice(0, cut)
            self._ahead = self._ahead.slice(cut)
            if self._ahead.num_rows or (batch := next(self._batches, None)) is None:
                return
            self._ahead = batch

    def rest(self) -> Iterator[pa.RecordBatch]:
        yield self._ahead
        yield from self._batches
