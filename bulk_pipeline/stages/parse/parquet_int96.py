"""Reads times that Spark, Hive and Impala write as INT96: a day and the nanoseconds of it, in no unit of Arrow's whole.

As nanoseconds they wrap around before 1677 and after 2262, as milliseconds they lose digits; from both together the
instant follows exactly.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from bulk_pipeline.schema.masks import mask
from bulk_pipeline.stages.parse.parquet_values import exact_instants

_NANOSECONDS = 1_000_000
_MOST_MILLISECONDS = 9_000_000_000_000_000

Texts = dict[str, list[str | None]]
"""The texts of a batch, by column."""


def columns_of(file: parquet.ParquetFile) -> list[str]:
    """Names of the columns that are INT96; not of those inside structures."""
    columns = (file.schema.column(i) for i in range(len(file.schema)))
    return [column.path for column in columns if column.physical_type == "INT96" and "." not in column.path]


class Int96Reader:
    """Reads the columns beside the reader of the whole file, whose batches may end elsewhere."""

    def __init__(self, path: Path, columns: list[str], batch_rows: int) -> None:
        self._waiting: Texts = {name: [] for name in columns}
        self._files = [_opened(path, unit) for unit in ("ms", "ns")] if columns else []
        batches = (f.iter_batches(batch_rows, columns=columns, use_threads=False) for f in self._files)
        self._batches = zip(*batches, strict=True)

    def take(self, rows: int) -> Texts:
        """The texts of the next rows."""
        while any(len(texts) < rows for texts in self._waiting.values()):
            milliseconds, nanoseconds = next(self._batches)
            for name, texts in self._waiting.items():
                texts += _texts(milliseconds[name], nanoseconds[name])
        taken = {name: texts[:rows] for name, texts in self._waiting.items()}
        self._waiting = {name: texts[rows:] for name, texts in self._waiting.items()}
        return taken

    def close(self) -> None:
        for file in self._files:
            file.close()


def _opened(path: Path, unit: str) -> parquet.ParquetFile:
    return parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False, coerce_int96_timestamp_unit=unit)


def _texts(milliseconds: pa.Array, nanoseconds: pa.Array) -> list[str | None]:
    whole, wrapped = (
        pc.fill_null(times.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
        for times in (milliseconds, nanoseconds)
    )
    far = np.abs(whole) > _MOST_MILLISECONDS
    with np.errstate(over="ignore"):
        rest = np.where(far, 0, wrapped - whole * _NANOSECONDS)  # both have wrapped around by the same
    nulls = mask(pc.is_null(milliseconds))
    found = exact_instants(pa.array(np.where(far, 0, whole) * 1000 + rest // 1000, mask=nulls), rest % 1000)
    for row in np.flatnonzero(far).tolist():
        found[row] = f"{np.datetime64(int(whole[row]), 'ms')}Z"
    return found
