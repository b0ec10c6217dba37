"""Writes record batches to one file, or to several parts of a fixed number of rows. Memory use is constant; the caller
decides where the files are stored."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass

import pyarrow as pa

from bulk_pipeline.concurrency import read_ahead
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline.stages.export.layout import Layout
from bulk_pipeline.stages.export.writers import CountingSink, writer
from bulk_pipeline.stages.sink import Sink

Progress = Callable[[int, int], None]
"""Gets the rows and the bytes written so far, after every batch; what it raises ends the export."""


@dataclass(frozen=True)
class Part:
    """A file that is whole."""

    name: str
    rows: int
    bytes: int
    sha256: str


def write_parts(
    batches: Iterable[pa.RecordBatch],
    layout: Layout,
    rows_per_part: int,
    open_part: Callable[[str], AbstractContextManager[Sink]],
    progress: Progress,
) -> list[Part]:
    """Write `part-00000` and so on, one after the other; without rows there is no part.

    `open_part` gives a place for the file of that name; it is whole when its block ends without an exception.
    """
    parts: list[Part] = []

    def progress_of_all(rows: int, size: int) -> None:
        progress(sum(part.rows for part in parts) + rows, sum(part.bytes for part in parts) + size)

    with closing(read_ahead(batches)) as ahead:
        for number, share in enumerate(_shares(ahead, rows_per_part)):
            name = f"part-{number:05}{layout.extension}"
            with open_part(name) as sink:
                part = _write(share, layout, sink, progress_of_all, name)
            parts.append(part)
    return parts


def write_file(
    batches: Iterable[pa.RecordBatch],
    layout: Layout,
    sink: Sink,
    progress: Progress = lambda rows, size: None,
    name: str = "",
) -> Part:
    """Write one file, which says its columns (CSV, Parquet) even if there are no rows.

    Batches have the layout's columns, typed: ids as Arrow's UUIDs. Raises `UnwritableValueError`.
    """
    with closing(read_ahead(batches)) as ahead:
        return _write(ahead, layout, sink, progress, name)


def _write(
    batches: Iterable[pa.RecordBatch], layout: Layout, sink: Sink, progress: Progress, name: str
) -> Part:
    counted, rows = CountingSink(sink), 0
    try:
        file = writer(layout, counted)
        for batch in batches:
            if batch.num_rows:
                for column, cells in zip(layout.columns, batch.columns, strict=True):
                    codec_of(column).refuse_unwritable(column, cells)
                file.write(batch)
                rows += batch.num_rows
                progress(rows, counted.bytes)
        file.close()
    except BaseException:
        counted.abandon()
        raise
    return Part(name, rows, counted.bytes, counted.sha256)


def _shares(batches: Iterable[pa.RecordBatch], rows_per_part: int) -> Iterator[Iterator[pa.RecordBatch]]:
    """The batches of each part, to be read to their end before the next part's."""
    rest = (batch for batch in batches if batch.num_rows)
    waiting = next(rest, None)

    def share() -> Iterator[pa.RecordBatch]:
        nonlocal waiting
        room = rows_per_part
        while waiting is not None and room:
            now, later = waiting.slice(0, room), waiting.slice(room)
            yield now
            room -= now.num_rows
            waiting = later if later.num_rows else next(rest, None)

    while waiting is not None:
        yield share()
