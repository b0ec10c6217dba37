"""Packed files, and files with misleading names."""

import bz2
import gzip
import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from isal import igzip_lib

from bulk_pipeline.errors import FileError
from bulk_pipeline.stages.parse import Limits, compression, open_upload
from bulk_pipeline_tests.unit.stages.parse.reading import opened, read

TEXT = b"email,city\n" + b"".join(b"u%d@b.co,City %d\n" % (i, i) for i in range(2000))


def zipped(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "bzip2": bz2.compress,
    "zip": lambda data: zipped(("upload.csv", data)),
}
SUFFIX = {"gzip": ".gz", "zstd": ".zst", "bzip2": ".bz2", "zip": ".zip"}


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("piece", [1, 1000, 1 << 20])
def test_a_packed_file_is_read_like_a_plain_one(kind: str, piece: int) -> None:
    packed = PACK[kind](TEXT)
    result = read(packed, "upload.csv" + SUFFIX[kind], piece=piece)
    assert (len(result.rows), result.rows[2000], result.warnings) == (2000, ("u1999@b.co", "City 1999"), [])
    assert (result.dialect.compression, result.dialect.format) == (kind, "csv")
    assert result.upload.sha256 == hashlib.sha256(packed).hexdigest()


@pytest.mark.parametrize("kind", ["gzip", "zstd", "bzip2"])
@pytest.mark.parametrize("piece", [1, 1 << 20])
def test_several_members_are_one_file(kind: str, piece: int) -> None:
    packed = PACK[kind](TEXT[:5000]) + PACK[kind](TEXT[5000:9000]) + PACK[kind](b"") + PACK[kind](TEXT[9000:])
    assert len(read(packed, "upload.csv" + SUFFIX[kind], piece=piece).rows) == 2000


def test_zero_padding_after_gzip_is_no_damage() -> None:
    assert len(read(gzip.compress(TEXT) + b"\0" * 700, "upload.csv.gz").rows) == 2000


@pytest.mark.parametrize("kind", PACK)
def test_a_pack_that_is_cut_short_stops_the_file(kind: str) -> None:
    packed = PACK[kind](TEXT)
    for size in (len(packed) - 1, len(packed) // 2, 20):
        with pytest.raises(FileError) as caught:
            read(packed[:size], "upload.csv" + SUFFIX[kind])
        assert caught.value.code == "unreadable_compression"


@pytest.mark.parametrize("kind", PACK)
def test_a_damaged_pack_stops_the_file(kind: str) -> None:
    packed = bytearray(PACK[kind](TEXT))
    middle = len(packed) // 2
    packed[middle : middle + 30] = b"\xa5" * 30
    with pytest.raises(FileError) as caught:
        read(bytes(packed), "upload.csv" + SUFFIX[kind])
    assert caught.value.code == "unreadable_compression"


@pytest.mark.parametrize("kind", PACK)
def test_a_bomb_stops_at_its_cap(kind: str) -> None:
    bomb = PACK[kind](b"email,city\n" + b"x,y\n" * 1_000_000)
    with pytest.raises(FileError) as caught:
        read(bomb, limits=Limits(ratio=50, ratio_from_bytes=1_000_000))
    assert caught.value.code == "too_large"
    assert "looks like a compression bomb" in str(caught.value)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "a zip file must hold exactly one file; this one holds 0: none"),
        (
            [("a.csv", TEXT), ("b.csv", TEXT)],
            "must hold exactly one file; this one holds 2: 'a.csv', 'b.csv'",
        ),
    ],
)
def test_a_zip_holds_one_file(members: list[tuple[str, bytes]], message: str) -> None:
    with pytest.raises(FileError) as caught:
        read(zipped(*members), "upload.zip")
    assert caught.value.code == "unsupported_format"
    assert message in str(caught.value)


def test_a_member_without_a_name_is_a_damaged_zip() -> None:
    with pytest.raises(FileError) as caught:
        read(zipped(("q", TEXT)).replace(b"q", b"\0"), "upload.zip")
    assert caught.value.code == "unreadable_compression"


def test_files_of_macos_and_folders_in_a_zip_are_ignored() -> None:
    packed = zipped(
        ("data/", b""), ("data/a.csv", TEXT), ("__MACOSX/data/._a.csv", b"x"), ("data/.DS_Store", b"x")
    )
    assert len(read(packed, "upload.zip").rows) == 2000


@pytest.mark.parametrize(
    ("data", "name", "warning"),
    [
        (
            gzip.compress(TEXT),
            "upload.csv",
            "the file's name is 'upload.csv', its content is packed with gzip",
        ),
        (TEXT, "upload.csv.gz", "the file's name is 'upload.csv.gz', its content is packed with nothing"),
        (TEXT, "upload.json", "the file's name says json, its content is csv: it was read as csv"),
        (
            TEXT,
            "upload.parquet",
            "the file's name says parquet, its content does not: it was read as what it is",
        ),
        (
            b'{"email":"a@b.co"}\n',
            "upload.csv",
            "the file's name says csv, its content is ndjson: it was read as ndjson",
        ),
    ],
)
def test_the_content_counts_and_the_name_gets_a_warning(data: bytes, name: str, warning: str) -> None:
    result = read(data, name)
    assert result.warnings == [warning]
    assert result.failures == []


@pytest.mark.parametrize(
    "name", ["upload.tsv", "upload", "upload.txt", "ünï côdé.csv", "x" * 1000, "../../etc/passwd", ".csv"]
)
def test_any_name_will_do(name: str) -> None:
    assert (len(read(TEXT, name).rows), read(TEXT, name).warnings) == (2000, [])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "this is a PNG image; expected CSV"),
        (b"%PDF-1.7\n", "this is a PDF document; expected CSV"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100),
            "this is an old Excel or Office file: save it as .xlsx",
        ),
        (b"\xfd7zXZ\x00" + bytes(50), "this is an xz archive: use .gz, .zst, .bz2 or .zip"),
        (b"SQLite format 3\x00" + bytes(50), "this is an SQLite database"),
        (bytes(range(256)) * 20, "this is binary data (it begins with the bytes 00 01 02 03 04 05 06 07)"),
        (gzip.compress(bytes(5000), mtime=0), "this is binary data"),
    ],
)
def test_a_file_that_is_no_table_is_named(data: bytes, message: str) -> None:
    with pytest.raises(FileError) as caught:
        read(data)
    assert caught.value.code == "unsupported_format"
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", PACK)
def test_nothing_inside_is_an_empty_file(kind: str) -> None:
    with pytest.raises(FileError) as caught:
        read(PACK[kind](b""))
    assert caught.value.code == "empty_file"


def test_an_error_of_the_stream_passes_through() -> None:
    class Broken(io.RawIOBase):
        def __init__(self) -> None:
            self.calls = 0

        def read(self, size: int = -1) -> bytes:
            self.calls += 1
            if self.calls > 1:
                raise ConnectionResetError("gone")
            return gzip.compress(TEXT)[:100]

    with pytest.raises(ConnectionResetError):
        list(open_upload(Broken(), "x.csv.gz"))  # pyright: ignore[reportArgumentType]


def test_spooled_files_are_removed(tmp_path: Path) -> None:

    upload = open_upload(io.BytesIO(PACK["zip"](TEXT)), "x.zip", spool_dir=tmp_path)
    assert list(tmp_path.iterdir())
    list(upload)
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileError):
        open_upload(io.BytesIO(zipped()), "x.zip", spool_dir=tmp_path)
    assert not list(tmp_path.iterdir())
    assert opened(TEXT).rows == 0


def test_very_many_empty_members_are_fed_little_more_than_their_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fed: list[int] = []

    class Member:
        def __init__(self) -> None:
            self.inner = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def decompress(self, data: bytes, max_length: int) -> bytes:
            fed.append(len(data))
            return self.inner.decompress(data, max_length)

    monkeypatch.setattr(compression, "gzip_member", Member)
    data = gzip.compress(b"email\na@b.co\n") + gzip.compress(b"") * 20_000
    assert read(data, "x.csv.gz").cells == [("a@b.co",)]
    assert sum(fed) < 100 * len(data)
