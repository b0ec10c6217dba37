"""Limits the rows of a Parquet file that are read together, by the most bytes that their pages can become."""

import os
import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pyarrow import parquet

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.parquet.levels import RowLengths
from bulk_pipeline.stages.parse.parquet.pages import (
    ColumnChunk,
    Encoding,
    Page,
    column_chunks,
    longest_text,
    pages,
    repetition_levels,
)
from bulk_pipeline.stages.parse.parquet.thrift import ThriftError

_READ_BATCHES, _PAGE_BATCHES, _HELD_BATCHES = 8, 16, 24
"""Limits in multiples of `batch_bytes`: of rows that are read together, of a page, and of all open pages together.

Rows usually have far fewer bytes than they could have, so these limits rarely make batches smaller.
"""
_FOOTER_BATCHES = 2
_MARK = b"PAR1"
_HELD_PER_BYTE = 4
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
_SHARED = (Encoding.PLAIN_DICTIONARY, Encoding.RLE_DICTIONARY)


@dataclass
class Leaf:
    """A column of values, with the sizes of its pages. All sizes are in bytes.

    `width` is the size of a value, None if sizes vary. `longest` is the longest text in a dictionary, `deltas` the
    largest page of texts that share prefixes, each of which can be as long as the page. `held` is the size of the
    pages that are open at once. `values_of_a_row` is the largest number of values in a row.
    """

    path: str
    width: int | None
    longest: int = 0
    deltas: int = 0
    held: int = 0
    values_of_a_row: int = 1
    starts: "array[int]" = field(default_factory=lambda: array("q", [0]))
    """Index of the first value of each page, and at the end the number of all values."""
    sizes: "array[int]" = field(default_factory=lambda: array("q"))
    """Bytes of the texts in each page, without those of the dictionary."""

    def bytes_of_rows(self, rows: int) -> int:
        """Return the most bytes that `rows` consecutive rows can become."""
        values = min(rows * self.values_of_a_row, self.starts[-1])
        if self.width is not None:
            return values * self.width
        return values * (self.longest + self.deltas) + self._bytes_in_pages(values)

    def _bytes_in_pages(self, values: int) -> int:
        """Return the most bytes of all pages that contain `values` consecutive values."""
        starts = np.frombuffer(self.starts, np.int64)
        sums = np.concatenate(([0], np.cumsum(np.frombuffer(self.sizes, np.int64))))
        after = np.searchsorted(starts[:-1], starts[1:] - 1 + values)
        return int((sums[after] - sums[:-1]).max(initial=0))


def refuse_large_footer(path: Path, limits: Limits) -> None:
    """Raise `FileError` for a footer that would take gigabytes of memory."""
    most = _FOOTER_BATCHES * limits.batch_bytes
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 8))
        size, mark = int.from_bytes(file.read(4), "little"), file.read(4)
    if size > most and mark == _MARK:
        raise FileError(
            FileErrorCode.TOO_LARGE,
            f"the footer of the Parquet file has {size:,} bytes, the limit is {_FOOTER_BATCHES} times "
            f"BULK_MAX_BATCH_BYTES, {most:,}: write the file with larger row groups",
        )


def leaves(path: Path, meta: parquet.FileMetaData, limits: Limits) -> list[Leaf]:
    """Return the columns of a file. Raises `FileError` if pages or rows exceed a limit, or are damaged."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        chunks = column_chunks(descriptor)
        if any(len(group) != meta.num_columns for group in chunks):
            raise ThriftError("a row group lacks a column")
        columns = [
            _leaf(descriptor, meta.schema.column(column), [group[column] for group in chunks], limits)
            for column in range(meta.num_columns)
        ]
    except (ThriftError, struct.error, IndexError, OverflowError, OSError) as error:
        raise FileError(
            FileErrorCode.UNREADABLE_FILE,
            f"the Parquet file is damaged: its footer or a page cannot be read ({error})",
        ) from error
    finally:
        os.close(descriptor)
    held, most = sum(leaf.held for leaf in columns), _HELD_BATCHES * limits.batch_bytes
    if held > max(most, _HELD_PER_BYTE * path.stat().st_size):
        raise FileError(
            FileErrorCode.TOO_LARGE,
            f"the pages of all {len(columns):,} columns have {held:,} bytes together, the limit is {_HELD_BATCHES} "
            f"times BULK_MAX_BATCH_BYTES, {most:,}: write the file with smaller pages",
        )
    return columns


def rows_at_once(columns: Sequence[Leaf], most_rows: int, limits: Limits) -> int:
    """Return how many consecutive rows, at most `most_rows`, never become more than a few batches.

    Raises `FileError` if a single row may become more.
    """
    rows = most_rows
    while (size := sum(leaf.bytes_of_rows(rows) for leaf in columns)) > _READ_BATCHES * limits.batch_bytes:
        if rows == 1:
            break
        rows //= 2
    if rows == 1 and size > (most := _HELD_BATCHES * limits.batch_bytes):
        raise FileError(
            FileErrorCode.TOO_LARGE,
            f"a row can have {size:,} bytes by what the pages of the file say, the limit is {_HELD_BATCHES} times "
            f"BULK_MAX_BATCH_BYTES, {most:,}: write the file with smaller pages and dictionaries",
        )
    return rows


def _leaf(
    descriptor: int, about: parquet.ColumnSchema, chunks: Sequence[ColumnChunk], limits: Limits
) -> Leaf:
    is_fixed = about.physical_type == "FIXED_LEN_BYTE_ARRAY"
    leaf = Leaf(about.path, about.length if is_fixed else _WIDTHS.get(about.physical_type))
    if leaf.width is not None and leaf.width > limits.cell_bytes:
        raise FileError(
            FileErrorCode.TOO_LARGE,
            f"each value of {about.path} has {leaf.width:,} bytes, {limits.of('cell_bytes')}",
        )
    lengths = RowLengths(about.max_repetition_level) if about.max_repetition_level else None
    for chunk in chunks:
        open_bytes = 0
        for page in pages(descriptor, chunk):
            _refuse_large(page, leaf, limits)
            if page.is_dictionary:
                open_bytes += page.size
                if leaf.width is None:
                    leaf.longest = max(leaf.longest, longest_text(descriptor, page, chunk.codec))
                continue
            _add(leaf, page, open_bytes)
            if lengths is not None:
                levels = repetition_levels(descriptor, page, chunk.codec)
                lengths.unknown(page.values) if levels is None else lengths.add(levels, page.values)
                leaf.values_of_a_row = lengths.most
                _refuse_long_row(leaf, limits)
    return leaf


def _add(leaf: Leaf, page: Page, open_bytes: int) -> None:
    leaf.held = max(leaf.held, open_bytes + page.size + page.packed)
    leaf.starts.append(leaf.starts[-1] + page.values)
    leaf.sizes.append(0 if page.encoding in (*_SHARED, Encoding.DELTA_BYTE_ARRAY) else page.size)
    if page.encoding == Encoding.DELTA_BYTE_ARRAY:
        leaf.deltas = max(leaf.deltas, page.size)


def _refuse_large(page: Page, leaf: Leaf, limits: Limits) -> None:
    most = _PAGE_BATCHES * limits.batch_bytes
    if max(page.size, page.packed) > most:
        raise FileError(
            FileErrorCode.TOO_LARGE,
            f"a page of {leaf.path} has {page.size:,} bytes, the limit is {_PAGE_BATCHES} times BULK_MAX_BATCH_BYTES, "
            f"{most:,}: write the file with smaller pages",
        )


def _refuse_long_row(leaf: Leaf, limits: Limits) -> None:
    if leaf.values_of_a_row > limits.row_values:
        raise FileError(
            FileErrorCode.TOO_LARGE,
            f"a row has {leaf.values_of_a_row:,} values or more in {leaf.path}, the limit is {limits.row_values:,}",
        )
