"""Decompresses .gz, .zst and .bz2 streams of bytes, whatever they hold. Archives are in `archives`.

Memory is bounded: output comes in pieces, and a compression bomb stops at a ratio. Damaged or truncated data raise
`FileError`; errors of the underlying stream propagate unchanged.
"""

import bz2
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import zstandard
from isal import igzip_lib

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.stream import READ_BYTES, Chunks, Uploaded

ZSTD_SLICE = 2048
"""Bytes fed to the zstd decoder at once: it has no output bound, and 4 bytes can unpack to 128 KiB."""

_SHORT_MEMBER_BYTES = 1 << 10

_IsalError: type[Exception] = igzip_lib.error  # pyright: ignore[reportAssignmentType]  # a class; its stub errs
_DAMAGED = (zlib.error, _IsalError, zstandard.ZstdError, zipfile.BadZipFile, EOFError, OSError, ValueError)
BAD_ZIP = (
    *_DAMAGED,
    NotImplementedError,
    RuntimeError,
    ArithmeticError,
    LookupError,
    struct.error,
    lzma.LZMAError,
)
"""All exceptions that `zipfile` raises for a damaged file, found by damaging files at random."""
ZIP_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""`zipfile` unpacks other methods without a bound of the output: 337 bytes of bzip2 become 400 MB at once."""


class _Member(Protocol):
    """The decompressor of one gzip or bzip2 member, with the interface of the standard library's decompressors."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes | memoryview, /, max_length: int = -1) -> bytes: ...


def unpack(chunks: Chunks, kind: str, uploaded: Uploaded, limits: Limits) -> Chunks:
    """Return the decompressed bytes of a `gzip`, `zstd` or `bzip2` stream of one or more members."""
    if kind == "zstd":
        return Chunks(capped(_zstd(chunks), uploaded, limits))
    new = bz2.BZ2Decompressor if kind == "bzip2" else gzip_member
    return Chunks(capped(_members(chunks, new, kind), uploaded, limits))


def damaged(kind: str) -> FileError:
    """Return the error for compressed data that cannot be read to the end."""
    return FileError(
        FileErrorCode.UNREADABLE_COMPRESSION, f"the {kind} data is damaged or cut short: pack it again"
    )


def capped(chunks: Iterator[bytes], uploaded: Uploaded, limits: Limits) -> Iterator[bytes]:
    """Yield the chunks. Raises `FileError` if they become a compression bomb or exceed the size limit."""
    total = 0
    for chunk in chunks:
        uploaded.check()
        total += len(chunk)
        refuse_bomb(total, uploaded.size, limits)
        if total > limits.unpacked_bytes:
            raise FileError(
                FileErrorCode.TOO_LARGE,
                f"the file unpacks to over {total:,} bytes, {limits.of('unpacked_bytes')}",
            )
        yield chunk


def refuse_bomb(decoded_bytes: int, uploaded_bytes: int, limits: Limits) -> None:
    """Raise `FileError` if the ratio of decoded to uploaded bytes is that of a compression bomb."""
    if decoded_bytes > limits.ratio_from_bytes and decoded_bytes > limits.ratio * uploaded_bytes:
        raise FileError(
            FileErrorCode.TOO_LARGE,
            f"{uploaded_bytes:,} uploaded bytes become over {decoded_bytes:,}: looks like a compression bomb; "
            f"of decoded bytes per uploaded byte, {limits.of('ratio')}",
        )


def gzip_member() -> _Member:
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def _members(chunks: Chunks, new: Callable[[], _Member], kind: str) -> Iterator[bytes]:
    """Yield the bytes of the members. Later members are fed small pieces first, since unused input is copied."""
    member, began, members, size = new(), False, 0, READ_BYTES
    for data in chunks:
        rest = memoryview(data)
        while len(rest) or (began and not member.needs_input):
            if members and not began:
                rest = rest[_zeros(rest) :]  # gzip files may end in zero padding
                if not len(rest):
                    break
            began = True
            piece = rest[:size] if member.needs_input else rest[:0]
            if out := _step(kind, lambda d=piece, m=member: m.decompress(d, READ_BYTES)):
                yield out
            rest, size = rest[len(piece) :], min(4 * size, READ_BYTES)
            if member.eof:
                left = len(member.unused_data)
                rest = memoryview(data)[len(data) - len(rest) - left :]
                member, began, members, size = new(), False, members + 1, _SHORT_MEMBER_BYTES
    if began:
        raise damaged(kind)


def _zeros(data: memoryview) -> int:
    """Return how many zero bytes the data begin with."""
    count = 0
    while count < len(data) and not data[count]:
        piece = bytes(data[count : count + READ_BYTES])
        count += len(piece) - len(piece.lstrip(b"\0"))
    return count


def _zstd(chunks: Chunks) -> Iterator[bytes]:
    new = zstandard.ZstdDecompressor().decompressobj
    frame, began = new(), False
    for chunk in chunks:
        for start in range(0, len(chunk), ZSTD_SLICE):
            data = chunk[start : start + ZSTD_SLICE]
            while data:
                began = True
                if out := _step("zstd", lambda d=data, f=frame: f.decompress(d)):
                    yield out
                data = b""
                if frame.eof:
                    data, frame, began = frame.unused_data, new(), False
    if began:
        raise damaged("zstd")


def _step(kind: str, decompress: Callable[[], bytes]) -> bytes:
    try:
        return decompress()
    except _DAMAGED as error:
        raise damaged(kind) from error
