"""Takes .gz, .zst and .bz2 off a stream of bytes; knows nothing about what is inside. Archives are in `archives`.

Unpacking is bounded: output comes in pieces, and a bomb stops at a ratio. A pack that is cut short or damaged
is a `FileError`; an error of the stream underneath passes through as it is.
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

from bulk_pipeline.errors import FileError
from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.chunks import READ_BYTES, Chunks, Uploaded

ZSTD_SLICE = 2048
"""A zstd block of 4 bytes can unpack to 128 KiB and its decoder has no bound: feed it little at a time."""

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
"""All that `zipfile` raises for a file that is damaged, found by damaging one at random."""


class _Member(Protocol):
    """One gzip or bzip2 member, as the standard library's incremental decompressors have it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes: ...


def unpack(chunks: Chunks, kind: str, uploaded: Uploaded, limits: Limits) -> Chunks:
    """The bytes inside a `gzip`, `zstd` or `bzip2` stream of one or more members."""
    if kind == "zstd":
        return Chunks(capped(_zstd(chunks), uploaded, limits))
    new = bz2.BZ2Decompressor if kind == "bzip2" else _gzip_member
    return Chunks(capped(_members(chunks, new, kind), uploaded, limits))


def damaged(kind: str) -> FileError:
    """The error of a packing that cannot be read to its end."""
    return FileError("unreadable_compression", f"the {kind} data is damaged or cut short: pack it again")


def capped(chunks: Iterator[bytes], uploaded: Uploaded, limits: Limits) -> Iterator[bytes]:
    """The chunks, as long as they are no compression bomb."""
    total = 0
    for chunk in chunks:
        uploaded.check()
        total += len(chunk)
        refuse_bomb(total, uploaded.size, limits)
        if total > limits.unpacked_bytes:
            raise FileError(
                "too_large", f"the file unpacks to over {total:,} bytes, {limits.of('unpacked_bytes')}"
            )
        yield chunk


def refuse_bomb(decoded_bytes: int, uploaded_bytes: int, limits: Limits) -> None:
    """`FileError` if so few uploaded bytes become so many that somebody means harm."""
    if decoded_bytes > limits.ratio_from_bytes and decoded_bytes > limits.ratio * uploaded_bytes:
        raise FileError(
            "too_large",
            f"{uploaded_bytes:,} uploaded bytes become over {decoded_bytes:,}: looks like a compression bomb; "
            f"of decoded bytes per uploaded byte, {limits.of('ratio')}",
        )


def _gzip_member() -> _Member:
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def _members(chunks: Chunks, new: Callable[[], _Member], kind: str) -> Iterator[bytes]:
    member, began, members = new(), False, 0
    for data in chunks:
        while data or (began and not member.needs_input):
            if members and not began and not (data := data.lstrip(b"\0")):
                break  # gzip files may end in zero padding
            began = True
            if out := _step(kind, lambda d=data, m=member: m.decompress(d, READ_BYTES)):
                yield out
            data = b""
            if member.eof:
                data, member, began, members = member.unused_data, new(), False, members + 1
    if began:
        raise damaged(kind)


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
