"""Extracts the only file of a .zip or .tar archive, and refuses archives that are documents or hold several files.

An archive is read from a file on disk, so that all names are known before any member is read.
"""

import re
import struct
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, cast

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.file_formats import expected
from bulk_pipeline.stages.junk_files import is_junk
from bulk_pipeline.stages.parse.compression import BAD_ZIP, ZIP_METHODS, capped, damaged
from bulk_pipeline.stages.parse.stream import READ_BYTES, Chunks, Uploaded

_SHOWN_NAMES = 10
_MOST_TAR_MEMBERS = 10_000
_TAR_READ_BYTES = 16 << 20
"""Bytes that `tarfile` may read at once: it reads extended headers whole, and a damaged one may declare any size."""
_BAD_TAR = (tarfile.TarError, EOFError, OSError, ValueError, ArithmeticError, LookupError, AttributeError)
_METHODS = {
    1: "Shrink", 6: "Implode", 9: "Deflate64", 10: "PKWARE Implode", 12: "bzip2", 14: "LZMA",
    16: "IBM CMPSC", 18: "IBM TERSE", 19: "IBM LZ77",
    20: "Zstandard", 93: "Zstandard", 94: "MP3", 95: "XZ", 96: "JPEG", 97: "WavPack", 98: "PPMd", 99: "AES",
}  # fmt: skip
_MOST_DIRECTORY_BYTES = 8 << 20
_END_BYTES, _MOST_COMMENT_BYTES = 22, 65_535
_LARGE_END_BYTES = 56 + 20
"""Size of the zip64 end-of-directory record and its locator, which precede the end-of-directory record."""
_WORKBOOK = "xl/workbook.xml"
_OPEN_DOCUMENTS = {
    "spreadsheet": "an OpenDocument spreadsheet (.ods): save it as .xlsx or CSV",
    "text": "an OpenDocument text (.odt): save its table as .xlsx or CSV",
}
_MIME_TYPES = (
    ("application/vnd.oasis.opendocument.", "an OpenDocument file: save its table as .xlsx or CSV"),
    ("application/epub", "an e-book (.epub)"),
)
_MEMBERS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (r"xl/workbook\.bin", "an Excel binary workbook (.xlsb): save it as .xlsx"),
        (r"word/document\.xml", "a Word document (.docx): save its table as .xlsx or CSV"),
        (r"ppt/presentation\.xml", "a PowerPoint file (.pptx)"),
        (r"visio/document\.xml", "a Visio file (.vsdx)"),
        (
            r"(?:.*/)?Index(?:\.zip|/.*\.iwa)",
            "a document of Apple Numbers, Pages or Keynote: export it as .xlsx or CSV",
        ),
        (r"AndroidManifest\.xml", "an Android app (.apk)"),
        (r"META-INF/MANIFEST\.MF", "a Java archive (.jar)"),
        (r"(?:.*/)?doc\.kml", "a map (.kmz)"),
        (r"DataModelSchema|DataMashup", "a Power BI file (.pbix): export the table as CSV"),
        (r".*\.twb", "a packed Tableau workbook (.twbx): export the table as CSV"),
    )
)
_PAX_FOLDER = re.compile(r"PaxHeaders?(?:\.\d+)?")


def is_workbook(path: Path) -> bool:
    """Return True if the zip is an .xlsx file. Raises `FileError` if it is another kind of document."""
    names = [info.filename for info in _zip_files(path)]
    if _WORKBOOK in names:
        return True
    kind = _document(path, names)
    if kind is not None:
        raise FileError(FileErrorCode.UNSUPPORTED_FORMAT, f"this is {kind}; {expected()}")
    return False


def unzip(path: Path, uploaded: Uploaded, limits: Limits) -> Chunks:
    """Return the bytes of the only file in a zip. Raises `FileError` if it holds more, or one that cannot be read."""
    members = [info for info in _zip_files(path) if not is_junk(info.filename)]
    if len(members) != 1:
        raise FileError(
            FileErrorCode.UNSUPPORTED_FORMAT,
            f"a zip file must hold exactly one file; this one holds "
            f"{_listed([info.filename for info in members])}: upload the files by themselves",
        )
    (member,) = members
    if member.flag_bits & 1:
        raise FileError(
            FileErrorCode.UNSUPPORTED_FORMAT,
            f"the file {member.filename!r} in the zip is encrypted: save it without a password",
        )
    if member.compress_type not in ZIP_METHODS:
        method = _METHODS.get(member.compress_type, f"method {member.compress_type}")
        raise FileError(
            FileErrorCode.UNSUPPORTED_FORMAT,
            f"the file {member.filename!r} in the zip is compressed with {method}, which is not supported: "
            "pack it with Deflate, or as .gz",
        )
    return Chunks(capped(_zip_member(path, member), uploaded, limits))


def untar(path: Path, uploaded: Uploaded, limits: Limits) -> Chunks:
    """Return the bytes of the only file in a tar archive. Raises `FileError` if it holds none or several."""
    members = list(_tar_files(path))
    if len(members) != 1:
        raise FileError(
            FileErrorCode.UNSUPPORTED_FORMAT,
            f"a tar archive must hold exactly one file; this one holds "
            f"{_listed([member.name for member in members])}: upload the files by themselves, or gzip one file",
        )
    return Chunks(capped(_tar_member(path, members[0]), uploaded, limits))


def _zip_files(path: Path) -> list[zipfile.ZipInfo]:
    """Return the entries of a zip that are not folders."""
    size = _directory_bytes(path)
    if size > _MOST_DIRECTORY_BYTES:
        raise FileError(
            FileErrorCode.TOO_LARGE,
            f"this is a zip of very many files: its directory has {size:,} bytes, which is more than "
            f"{_MOST_DIRECTORY_BYTES:,}; upload the files by themselves",
        )
    try:
        with zipfile.ZipFile(path) as archive:
            return [info for info in archive.infolist() if not info.is_dir()]
    except BAD_ZIP as error:
        raise damaged("zip") from error


def _directory_bytes(path: Path) -> int:
    """Return the size in bytes of a zip's directory, located as in `zipfile`, which would read it whole."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _END_BYTES - _MOST_COMMENT_BYTES - _LARGE_END_BYTES))
        tail = file.read()
    at = len(tail) - _END_BYTES
    if not (tail[at:].startswith(b"PK\5\6") and tail.endswith(b"\0\0")):
        at = tail.rfind(b"PK\5\6", max(0, at - _MOST_COMMENT_BYTES))
    if at < 0 or len(tail) - at < _END_BYTES:
        return 0
    (size,) = struct.unpack_from("<I", tail, at + 12)
    large = at - _LARGE_END_BYTES
    if large >= 0 and tail[large:].startswith(b"PK\6\6"):
        size = max(size, *struct.unpack_from("<Q", tail, large + 40))
    return size


def _document(path: Path, names: Sequence[str]) -> str | None:
    """Return the kind of document that has these members, or None for a zip of files."""
    if "mimetype" in names:
        type_ = _beginning(path, "mimetype").strip()
        for prefix, kind in _MIME_TYPES:
            if type_.startswith(prefix):
                return _OPEN_DOCUMENTS.get(type_.removeprefix(prefix).partition("-")[0], kind)
    for pattern, kind in _MEMBERS:
        if any(pattern.fullmatch(name) for name in names):
            return kind
    return None


def _beginning(path: Path, name: str) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(name).compress_type not in ZIP_METHODS:
                return ""
            with archive.open(name) as member:
                return member.read(100).decode("ascii", "replace")
    except BAD_ZIP:
        return ""


def _zip_member(path: Path, member: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(member) as content:
            while chunk := content.read(READ_BYTES):
                yield chunk
    except BAD_ZIP as error:
        raise damaged("zip") from error


class _BoundedReads:
    """A file for `tarfile` that raises `FileError` instead of reading more than `_TAR_READ_BYTES` at once."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.tell, self.seek = file.tell, file.seek

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _TAR_READ_BYTES:
            raise FileError(
                FileErrorCode.UNREADABLE_COMPRESSION,
                f"the tar data is damaged: a header asks for {size:,} bytes",
            )
        return self._file.read(size)


def _tar_files(path: Path) -> Iterator[tarfile.TarInfo]:
    """Yield the regular files of a tar, without those that macOS and `pax` add."""
    try:
        with path.open("rb") as file, _opened_tar(file) as archive:
            for count, member in enumerate(archive):
                if count == _MOST_TAR_MEMBERS:
                    raise FileError(
                        FileErrorCode.UNSUPPORTED_FORMAT,
                        f"a tar archive must hold exactly one file; this one holds over {count:,} members",
                    )
                if member.isreg() and not is_junk(member.name) and not _is_pax_header(member.name):
                    yield member
    except _BAD_TAR as error:
        raise damaged("tar") from error


def _tar_member(path: Path, member: tarfile.TarInfo) -> Iterator[bytes]:
    try:
        with path.open("rb") as file, _opened_tar(file) as archive:
            content = archive.extractfile(member)
            while content is not None and (chunk := content.read(READ_BYTES)):
                yield chunk
    except _BAD_TAR as error:
        raise damaged("tar") from error


def _opened_tar(file: IO[bytes]) -> tarfile.TarFile:
    return tarfile.open(fileobj=cast(IO[bytes], _BoundedReads(file)), mode="r:")


def _is_pax_header(name: str) -> bool:
    """Return True for a pax header that an old program unpacked and then packed as a file."""
    return any(_PAX_FOLDER.fullmatch(part) for part in name.split("/"))


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    shown = ", ".join(repr(name) for name in names[:_SHOWN_NAMES]) or "none"
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return f"{len(names)}: {shown}{more}"
