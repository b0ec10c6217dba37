"""Hostile packing: little that unpacks to very much, and packs that lie about what is in them."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile

import zstandard

from bulk_pipeline_tests.bombs.bomb import Bomb

_START = b"email,city\na@b.co,Rome\n"
_PIECE = 1 << 20


def _text(size: int) -> bytes:
    return _START + b",\n" * (size // 2)


def _gzip(text: bytes) -> bytes:
    return gzip.compress(text, 9, mtime=0)


def _endless_gzip() -> bytes:
    """2 GB in members of 1 MiB."""
    return _gzip(_START) + _gzip(b",\n" * (_PIECE // 2)) * 2_000


def _zstd() -> bytes:
    """10 GB in frames of blocks that repeat one byte."""
    packer = zstandard.ZstdCompressor(level=19)
    return packer.compress(_START) + packer.compress(b",\n" * (64 << 20)) * 80


def _zip(text: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("a.csv", text)
    return out.getvalue()


def _workbook() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("xl/workbook.xml", b"\n" * (400 << 20))
    return out.getvalue()


def _lying_zip() -> bytes:
    """Return a zip whose directory claims 10 bytes."""
    data, size = bytearray(_zip(_text(400 << 20))), struct.pack("<I", 10)
    for signature, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = data.rindex(signature) + offset
        data[at : at + 4] = size
    return bytes(data)


def _names() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(300_000):
            archive.writestr(zipfile.ZipInfo(f"{number}.csv"), b"")
    return out.getvalue()


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("a.csv")
        info.size = 400 << 20
        archive.addfile(info, io.BytesIO(_text(400 << 20)))
    return _gzip(out.getvalue())


def _members() -> bytes:
    """Empty members, 20 bytes each."""
    return _gzip(_START) + _gzip(b"") * 2_000_000


def _frames() -> bytes:
    """Empty frames, 9 bytes each."""
    packer = zstandard.ZstdCompressor()
    return packer.compress(_START) + packer.compress(b"") * 3_000_000


def _nested() -> bytes:
    packed = _text(1 << 30)
    for _ in range(3):
        packed = _gzip(packed)
    return packed


def _deeper() -> bytes:
    packed = _START
    for _ in range(50):
        packed = _gzip(packed)
    return packed


BOMBS = [
    Bomb("400 MB of commas", ".csv.gz", lambda: _gzip(_text(400 << 20))),
    Bomb("2 GB in two thousand members", ".csv.gz", _endless_gzip),
    Bomb("two million empty members", ".csv.gz", _members),
    Bomb("1 GB packed three times over", ".csv.gz", _nested),
    Bomb("packed fifty times over", ".csv.gz", _deeper),
    Bomb("10 GB in frames", ".csv.zst", _zstd),
    Bomb("three million empty frames", ".csv.zst", _frames),
    Bomb("400 MB of commas", ".csv.bz2", lambda: bz2.compress(_text(400 << 20))),
    Bomb("400 MB of commas", ".csv.xz", lambda: lzma.compress(_text(400 << 20), preset=0)),
    Bomb("400 MB of commas", ".zip", lambda: _zip(_text(400 << 20))),
    Bomb("400 MB of line breaks, bzip2", ".zip", lambda: _zip(b"\n" * (400 << 20), zipfile.ZIP_BZIP2)),
    Bomb("400 MB of line breaks, LZMA", ".zip", lambda: _zip(b"\n" * (400 << 20), zipfile.ZIP_LZMA)),
    Bomb("400 MB of line breaks, bzip2", ".xlsx", _workbook),
    Bomb("a directory that says 10 bytes for 400 MB", ".zip", _lying_zip),
    Bomb("300,000 files", ".zip", _names),
    Bomb("400 MB of commas", ".tar.gz", _tar),
]
