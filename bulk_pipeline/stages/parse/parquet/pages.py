"""Reads the places and headers of a Parquet file's pages. Readers obey the headers, while the footer may be wrong.

The footer is parsed here again because PyArrow ends the process when it reads a column's metadata with damaged size
statistics.

Source: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import pyarrow as pa

from bulk_pipeline.stages.parse.parquet.thrift import Lists, Struct, ThriftError, read_struct

_HEADER_BYTES, _MOST_HEADER_BYTES = 512, 16 << 20
_END_BYTES = 8
_ROW_GROUPS, _COLUMNS, _COLUMN = 4, 1, 3
_LISTS: Lists = {_ROW_GROUPS: {_COLUMNS: {}}}
_CODECS = ("uncompressed", "snappy", "gzip", "lzo", "brotli", "lz4_hadoop", "zstd", "lz4_raw")
_LENGTH = struct.Struct("<I")


class Encoding(IntEnum):
    """The encodings of a page's values that matter here."""

    PLAIN_DICTIONARY, DELTA_BYTE_ARRAY, RLE_DICTIONARY = 2, 7, 8


class _Kind(IntEnum):
    DATA, INDEX, DICTIONARY, DATA_V2 = range(4)


_ABOUT = {_Kind.DATA: 5, _Kind.DICTIONARY: 7, _Kind.DATA_V2: 8}
"""The field of a page header with the details of a page of this kind."""


@dataclass(frozen=True)
class Page:
    """A page of data or a dictionary: `packed` bytes at offset `at` of the file, which decompress to `size` bytes.

    `level_bytes` is the size of uncompressed repetition levels, None if the page itself begins with their size.
    """

    is_dictionary: bool
    at: int
    packed: int
    size: int
    values: int
    encoding: int
    level_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ColumnChunk:
    """The part of a column in one row group: `values` of them, in pages that begin at byte `at` of the file."""

    codec: str
    values: int
    at: int


def column_chunks(descriptor: int) -> list[list[ColumnChunk]]:
    """Return the column chunks of each row group. Raises `ThriftError`."""
    end = os.fstat(descriptor).st_size - _END_BYTES
    (size,) = _LENGTH.unpack(os.pread(descriptor, _LENGTH.size, end))
    footer, _end = read_struct(os.pread(descriptor, size, end - size), 0, _LISTS)
    return [
        [_chunk(column.get(_COLUMN)) for column in _all(group.get(_COLUMNS))]
        for group in _all(footer.get(_ROW_GROUPS))
    ]


def _all(value: object) -> list[Struct]:
    if not isinstance(value, list):
        raise ThriftError("no list of row groups, or of their columns")
    return value


def _chunk(about: object) -> ColumnChunk:
    if not isinstance(about, dict):
        raise ThriftError("nothing about a column")
    codec, at = _number(about, 4), _number(about, 9)
    if codec >= len(_CODECS):
        raise ThriftError(f"no codec {codec}")
    dictionary = about.get(11)
    if isinstance(dictionary, int) and 0 < dictionary < at:
        at = dictionary
    return ColumnChunk(_CODECS[codec], _number(about, 5), at)


def pages(descriptor: int, chunk: ColumnChunk) -> Iterator[Page]:
    """Yield the pages of a column chunk that a reader reads. Raises `ThriftError`."""
    at, seen = chunk.at, 0
    while seen < chunk.values:
        head, at = _header(descriptor, at)
        size, packed = _number(head, 2), _number(head, 3)
        kind = _number(head, 1)
        if kind in _ABOUT:
            about = head.get(_ABOUT[_Kind(kind)])
            if not isinstance(about, dict):
                raise ThriftError("nothing about a page")
            values = _number(about, 1)
            encoding = _number(about, 4 if kind == _Kind.DATA_V2 else 2)
            levels = _number(about, 6) if kind == _Kind.DATA_V2 else None
            yield Page(kind == _Kind.DICTIONARY, at, packed, size, values, encoding, levels)
            seen += values if kind != _Kind.DICTIONARY else 0
        at += packed


def longest_text(descriptor: int, page: Page, codec: str) -> int:
    """Return the bytes of the longest text in a dictionary, or of the whole page if it cannot be decompressed."""
    try:
        data = _unpacked(descriptor, page, codec)
    except (pa.ArrowException, OSError, ValueError):
        return page.size
    longest = at = 0
    unpack = _LENGTH.unpack_from
    for _ in range(page.values):
        (size,) = unpack(data, at)
        at += 4 + size
        if size > longest:  # a call of `max` takes as long as the rest of the loop
            longest = size
    return longest


def repetition_levels(descriptor: int, page: Page, codec: str) -> bytes | None:
    """Return the encoded levels of a page of data, or None if it cannot be decompressed."""
    if page.level_bytes is not None:
        return os.pread(descriptor, page.level_bytes, page.at)
    try:
        data = _unpacked(descriptor, page, codec)
    except (pa.ArrowException, OSError, ValueError):
        return None
    (size,) = _LENGTH.unpack_from(data, 0)
    return bytes(data[4 : 4 + size])


def _unpacked(descriptor: int, page: Page, codec: str) -> memoryview:
    data = os.pread(descriptor, page.packed, page.at)
    if codec == "uncompressed":
        return memoryview(data)
    return memoryview(pa.decompress(data, decompressed_size=page.size, codec=codec))


def _header(descriptor: int, at: int) -> tuple[Struct, int]:
    """Return the page header at `at`, and where the page's data begin."""
    size = _HEADER_BYTES
    while True:
        data = os.pread(descriptor, size, at)
        try:
            head, end = read_struct(data)
        except ThriftError:
            if len(data) < size or size >= _MOST_HEADER_BYTES:
                raise
            size *= 8
        else:
            return head, at + end


def _number(about: Struct, field: int) -> int:
    number = about.get(field)
    if not isinstance(number, int) or number < 0:
        raise ThriftError(f"{number!r} is no number of bytes or values")
    return number
