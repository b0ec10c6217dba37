"""Reads times that Spark, Hive and Impala write as INT96, a day and its nanoseconds, which no unit of Arrow can hold.

As nanoseconds the times wrap around before 1677 and after 2262, and as milliseconds they lose digits; both together
give the exact instant.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from bulk_pipeline.arrow.masks import mask
from bulk_pipeline.stages.parse.parquet.values import exact_instants

_BUFFER_BYTES, _ALL_BUFFERS_BYTES, _LEAST_BUFFER_BYTES = 1 << 20, 64 << 20, 4096
_NANOSECONDS = 1_000_000
_MOST_MILLISECONDS = 9_000_000_000_000_000

Texts = dict[str, list[str | None]]
"""The texts of a batch by column."""


def columns_of(file: parquet.ParquetFile) -> list[str]:
    """Return the names of the INT96 columns, without those inside structures."""
    columns = (file.schema.column(i) for i in range(len(file.schema)))
    return [column.path for column in columns if column.physical_type == "INT96" and "." not in column.path]


def open_file(path: Path, unit: str | None = None) -> parquet.ParquetFile:
    """Open the file with buffers of bounded size for all columns together; INT96 becomes timestamps in `unit`."""
    columns = parquet.read_metadata(path).num_columns
    size = max(_LEAST_BUFFER_BYTES, min(_BUFFER_BYTES, _ALL_BUFFERS_BYTES // max(1, columns)))
    return parquet.ParquetFile(path, buffer_size=size, pre_buffer=False, coerce_int96_timestamp_unit=unit)


class Int96Reader:
    """Reads the INT96 columns in parallel to the reader of the file, whose batches may have other sizes."""

    def __init__(self, path: Path, columns: list[str], batch_rows: int) -> None:
        self._pending: Texts = {name: [] for name in columns}
        self._files = [open_file(path, unit) for unit in ("ms", "ns")] if columns else []
        batches = (f.iter_batches(batch_rows, columns=columns, use_threads=False) for f in self._files)
        self._batches = zip(*batches, strict=True)

    def take(self, rows: int) -> Texts:
        """Return the texts of the next rows, by column."""
        while any(len(texts) < rows for texts in self._pending.values()):
            milliseconds, nanoseconds = next(self._batches)
            for name, texts in self._pending.items():
                texts += _texts(milliseconds[name], nanoseconds[name])
        next_texts = {name: texts[:rows] for name, texts in self._pending.items()}
        self._pending = {name: texts[rows:] for name, texts in self._pending.items()}
        return next_texts

    def close(self) -> None:
        for file in self._files:
            file.close()


def _texts(milliseconds: pa.Array, nanoseconds: pa.Array) -> list[str | None]:
    whole, wrapped = (
        pc.fill_null(times.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
        for times in (milliseconds, nanoseconds)
    )
    far = np.abs(whole) > _MOST_MILLISECONDS
    with np.errstate(over="ignore"):
        rest = np.where(far, 0, wrapped - whole * _NANOSECONDS)  # both have wrapped around by the same
    nulls = mask(pc.is_null(milliseconds))
    texts = exact_instants(pa.array(np.where(far, 0, whole) * 1000 + rest // 1000, mask=nulls), rest % 1000)
    for row in np.flatnonzero(far).tolist():
        texts[row] = f"{np.datetime64(int(whole[row]), 'ms')}Z"
    return texts
