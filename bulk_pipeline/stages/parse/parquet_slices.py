"""Reads Parquet in slices bounded by what their rows become, whatever the footer says of their size."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from bulk_pipeline.limits import Limits

_QUOTED_NULL_BYTES = 8  # `"":null,` of a report


def open_shared(path: Path) -> parquet.ParquetFile:
    """Opens a file so that a text which many rows share is held once, until its rows are cut into slices."""
    file = parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
    shared = _columns_with_dictionaries(file)
    if not shared:
        return file
    file.close()
    return parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False, read_dictionary=shared)


def names_bytes(names: Sequence[str]) -> int:
    """The bytes that each row takes in a report, even if all its cells are NULL."""
    return sum(len(name.encode()) + _QUOTED_NULL_BYTES for name in names)


def slices(batch: pa.RecordBatch, limits: Limits) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The rows of a batch in order, without dictionaries, with the place of each slice's first row in the batch.

    A slice has at most `limits.batch_bytes` of texts and names, or one row.
    """
    sizes = np.full(batch.num_rows, names_bytes(batch.schema.names), np.int64)
    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            lengths = pc.take(pc.call_function("binary_length", [column.dictionary]), column.indices)
            sizes += pc.fill_null(lengths, 0).cast(pa.int64()).to_numpy(zero_copy_only=False)
    ends = np.cumsum(sizes)
    start = 0
    while start < batch.num_rows:
        before = int(ends[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + limits.batch_bytes, side="right")))
        part = batch.slice(start, end - start)
        yield (
            start,
            pa.RecordBatch.from_arrays([_plain(column) for column in part.columns], part.schema.names),
        )
        start = end


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column


def _columns_with_dictionaries(file: parquet.ParquetFile) -> list[int]:
    meta = file.metadata
    texts = [
        index
        for index in range(meta.num_columns)
        if (column := meta.schema.column(index)).physical_type == "BYTE_ARRAY"
        and column.max_repetition_level == 0
        and "." not in column.path
        and column.logical_type.type in ("STRING", "NONE")
    ]
    return [
        index
        for index in texts
        if any(_has_dictionary(meta, group, index) for group in range(meta.num_row_groups))
    ]


def _has_dictionary(meta: parquet.FileMetaData, group: int, column: int) -> bool:
    return any("DICTIONARY" in encoding for encoding in meta.row_group(group).column(column).encodings)
