"""Writers of one file each: record batches in, bytes out to a `Sink`, with their number and checksum."""

import hashlib
from collections.abc import Callable
from typing import Protocol, assert_never

import pyarrow as pa
from pyarrow import parquet

from bulk_pipeline.schema.types import codec_of
from bulk_pipeline.stages.export import lines
from bulk_pipeline.stages.export.formats import Compression, Format
from bulk_pipeline.stages.export.layout import Layout
from bulk_pipeline.stages.export.packing import packer
from bulk_pipeline.stages.export.workbook import WorkbookRows
from bulk_pipeline.stages.sink import Bytes, Sink

_GROUP_BYTES = 16 << 20
"""Size in Arrow memory of a Parquet row group. The group is kept in memory until it has this size."""

_GZIP_LEVEL = 1
"""Arrow's own choice, 9, takes seven times as long as all the rest."""


class Writer(Protocol):
    """Nothing is complete before `close`."""

    def write(self, rows: pa.RecordBatch) -> None: ...
    def close(self) -> None: ...


class CountingSink:
    """A sink in front of another one: how many bytes have passed, and their SHA-256."""

    def __init__(self, sink: Sink) -> None:
        self.bytes = 0
        self._sink = sink
        self._sha256 = hashlib.sha256()
        self._is_abandoned = False

    def abandon(self) -> None:
        """Drop what a writer that is not closed still writes when it is collected."""
        self._is_abandoned = True

    def write(self, data: Bytes, /) -> None:
        if (size := memoryview(data).nbytes) and not self._is_abandoned:
            self._sha256.update(data)
            self._sink.write(data)
            self.bytes += size

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()


def writer(layout: Layout, sink: Sink) -> Writer:
    """The writer for the layout's format; a header is written at once."""
    match layout.format:
        case Format.CSV | Format.TSV:
            return _Text(layout, sink, lines.delimited_lines, start=lines.delimited_header(layout))
        case Format.NDJSON:
            return _Text(layout, sink, lines.ndjson_lines)
        case Format.JSON:
            return _JsonArray(layout, sink)
        case Format.PARQUET:
            return _ParquetRows(layout, sink)
        case Format.XLSX:
            return WorkbookRows(layout, sink)
    assert_never(layout.format)


class _Text:
    def __init__(
        self,
        layout: Layout,
        sink: Sink,
        lines_of: Callable[[Layout, pa.RecordBatch], Bytes],
        start: bytes = b"",
    ) -> None:
        self._layout = layout
        self._sink = sink
        self._packer = packer(layout.compression)
        self._lines_of = lines_of
        self._append(start)

    def write(self, rows: pa.RecordBatch) -> None:
        self._append(self._lines_of(self._layout, rows))

    def close(self) -> None:
        self._sink.write(self._packer.flush())

    def _append(self, text: Bytes) -> None:
        self._sink.write(self._packer.compress(text))


class _JsonArray(_Text):
    """The comma before the first element is the array's opening bracket."""

    def __init__(self, layout: Layout, sink: Sink) -> None:
        super().__init__(layout, sink, lines.json_elements)
        self._is_open = False

    def write(self, rows: pa.RecordBatch) -> None:
        elements = self._lines_of(self._layout, rows)
        if not self._is_open:
            self._append(b"[")
            elements = memoryview(elements)[1:]
            self._is_open = True
        self._append(elements)

    def close(self) -> None:
        self._append(b"\n]\n" if self._is_open else b"[]\n")
        super().close()


class _ParquetRows:
    """Ids as text, as they stand in the other formats; all else in its own type."""

    def __init__(self, layout: Layout, sink: Sink) -> None:
        self._columns = layout.columns
        self._schema = pa.schema([(column.name, codec_of(column).arrow) for column in layout.columns])
        self._file = parquet.ParquetWriter(
            pa.PythonFile(_Written(sink), "w"),
            self._schema,
            compression=str(layout.compression),
            compression_level=_GZIP_LEVEL if layout.compression is Compression.GZIP else None,
        )
        self._waiting: list[pa.RecordBatch] = []
        self._enough = 0  # the first group is small: whoever reads the stream has rows at once

    def write(self, rows: pa.RecordBatch) -> None:
        pairs = zip(self._columns, rows.columns, strict=True)
        typed = [codec_of(column).to_parquet(column, found) for column, found in pairs]
        self._waiting.append(pa.RecordBatch.from_arrays(typed, schema=self._schema))
        if sum(batch.nbytes for batch in self._waiting) >= self._enough:
            self._write_group()

    def close(self) -> None:
        self._write_group()
        self._file.close()

    def _write_group(self) -> None:
        if self._waiting:
            group = pa.Table.from_batches(self._waiting)
            self._waiting = []
            self._file.write_table(group, row_group_size=group.num_rows)
            self._enough = _GROUP_BYTES


class _Written:
    """The methods that Arrow calls of a file that it writes from the first byte to the last."""

    closed = False

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._position = 0

    def write(self, data: Bytes) -> int:
        self._sink.write(data)
        self._position += (size := memoryview(data).nbytes)
        return size

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True
