"""Cuts record batches of Parquet into slices of bounded size as text, and finds rows that exceed a limit."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.parsed import Oversize

_QUOTED_NULL_BYTES = 8  # `"":null,` in a report
_CELL_BYTES = 16  # a reference in a list and an offset in an array
_ELEMENT_BYTES = 64  # a Python object


@dataclass(frozen=True)
class Slice:
    """Consecutive rows, from index `start` of their batch, or a single row with the problem that it exceeds a limit."""

    start: int
    rows: pa.RecordBatch
    problem: Oversize | None = None


def joined(batches: Iterable[pa.RecordBatch], rows: int, limits: Limits) -> Iterator[pa.RecordBatch]:
    """Yield batches of about `rows` rows, or of half the allowed bytes, joined from smaller ones."""
    pending: list[pa.RecordBatch] = []
    pending_rows = pending_bytes = 0
    for batch in batches:
        pending.append(batch)
        pending_rows += batch.num_rows
        pending_bytes += batch.nbytes
        if pending_rows >= rows or pending_bytes >= limits.batch_bytes // 2:
            yield _one(pending)
            pending.clear()
            pending_rows = pending_bytes = 0
    if pending:
        yield _one(pending)


def names_bytes(names: Sequence[str]) -> int:
    """Return the bytes that each row takes in a report, even if all its cells are NULL."""
    return sum(len(name.encode(errors="surrogatepass")) + _QUOTED_NULL_BYTES for name in names)


def slices(batch: pa.RecordBatch, limits: Limits) -> Iterator[Slice]:
    """Yield the rows of a batch in slices of at most `limits.batch_bytes` of texts and names, or of one row."""
    names = names_bytes(batch.schema.names) + _CELL_BYTES * batch.num_columns
    least = min(limits.batch_bytes, limits.cell_bytes, limits.row_bytes)
    is_plain = not any(pa.types.is_nested(t) or pa.types.is_dictionary(t) for t in batch.schema.types)
    if is_plain and batch.nbytes + names * batch.num_rows <= least:
        yield Slice(0, batch)
        return
    cells = [sizes(column) for column in batch.columns]
    problems = _problems(cells, batch.schema.names, limits)
    ends = np.cumsum(sum(cells, np.full(batch.num_rows, names)))
    stops = np.array([*sorted(problems), batch.num_rows])
    start = 0
    while start < batch.num_rows:
        before = int(ends[start - 1]) if start else 0
        end = int(np.searchsorted(ends, before + limits.batch_bytes, side="right"))
        if start not in problems:
            end = min(end, int(stops[np.searchsorted(stops, start)]))
        end = start + 1 if start in problems else max(start + 1, end)
        yield Slice(start, batch.slice(start, end - start), problems.get(start))
        start = end


def sizes(column: pa.Array) -> np.ndarray:
    """Return an estimate of the bytes of each row's text."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if isinstance(column, pa.DictionaryArray):
        return _or_zero(pc.take(pa.array(sizes(column.dictionary)), column.indices))
    if isinstance(column, pa.StringViewArray | pa.BinaryViewArray):
        column = column.cast(pa.large_binary())
    if isinstance(column, pa.StringArray | pa.LargeStringArray | pa.BinaryArray | pa.LargeBinaryArray):
        return _or_zero(pc.call_function("binary_length", [column]))
    if isinstance(column, pa.StructArray):
        return sum((sizes(part) for part in column.flatten()), np.zeros(len(column), np.int64))
    if isinstance(column, pa.MapArray):
        return _of_elements(column.offsets, sizes(column.keys) + sizes(column.items))
    if isinstance(column, pa.ListArray | pa.LargeListArray):
        return _of_elements(column.offsets, sizes(column.values))
    return np.full(len(column), column.nbytes // max(1, len(column)), np.int64)


def _of_elements(offsets: pa.Array, elements: np.ndarray) -> np.ndarray:
    ends = np.concatenate(([0], np.cumsum(elements + _ELEMENT_BYTES)))
    return np.diff(ends[offsets.to_numpy()])


def _or_zero(lengths: pa.Array) -> np.ndarray:
    return pc.fill_null(lengths, 0).cast(pa.int64()).to_numpy(zero_copy_only=False)


def _problems(cells: Sequence[np.ndarray], names: Sequence[str], limits: Limits) -> dict[int, Oversize]:
    """Return the problems of rows that exceed a limit, by row."""
    rows = sum(cells[1:], cells[0]) if cells else np.zeros(0, np.int64)
    problems = {
        row: Oversize(f"is longer than a row may be, {limits.of('row_bytes')}")
        for row in np.flatnonzero(rows > limits.row_bytes).tolist()
    }
    for name, lengths in zip(names, cells, strict=True):
        for row in np.flatnonzero(lengths > limits.cell_bytes).tolist():
            problems[row] = Oversize(f"has {lengths[row]:,} bytes in {name}, {limits.of('cell_bytes')}")
    return problems


def _one(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)
