"""Compresses a stream of bytes; the same bytes always become the same, as no name and no time is noted down."""

from typing import Protocol

import zstandard
from isal import isal_zlib

from bulk_pipeline.stages.export.formats import Compression
from bulk_pipeline.stages.sink import Bytes

_GZIP = 16 + 15
"""A window of 32 KB, in gzip's wrapping."""


class Packer(Protocol):
    def compress(self, data: Bytes, /) -> Bytes: ...
    def flush(self) -> Bytes: ...


def packer(compression: Compression) -> Packer:
    """A new one for each file."""
    match compression:
        case Compression.GZIP:
            return isal_zlib.compressobj(wbits=_GZIP)
        case Compression.ZSTD:
            return zstandard.ZstdCompressor().compressobj()
    return _Plain()


class _Plain:
    def compress(self, data: Bytes, /) -> Bytes:
        return data

    def flush(self) -> Bytes:
        return b""
