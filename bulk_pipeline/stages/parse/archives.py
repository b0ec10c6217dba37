"""Takes the only file out of a .zip or .tar, and names what else such an archive is: a workbook, a document, several
files.

An archive is read from a file on disk, so that all of its names are known before a byte of a member is.
"""

import re
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, cast

from bulk_pipeline.errors import FileError
from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.file_formats import EXPECTED
from bulk_pipeline.stages.junk_files import is_junk
from bulk_pipeline.stages.parse.chunks import READ_BYTES, Chunks, Uploaded
from bulk_pipeline.stages.parse.compression import BAD_ZIP, capped, damaged

_SHOWN_NAMES = 10
_MOST_TAR_MEMBERS = 10_000
_TAR_READ_BYTES = 16 << 20
"""The longest read `tarfile` may ask for: it holds extended headers in memory, and a damaged one may say any size."""
_BAD_TAR = (tarfile.TarError, EOFError, OSError, ValueError, ArithmeticError, LookupError, AttributeError)
_METHODS = {
    1: "Shrink", 6: "Implode", 9: "Deflate64", 10: "PKWARE Implode", 16: "IBM CMPSC", 18: "IBM TERSE", 19: "IBM LZ77",
    20: "Zstandard", 93: "Zstandard", 94: "MP3", 95: "XZ", 96: "JPEG", 97: "WavPack", 98: "PPMd", 99: "AES",
}  # fmt: skip
_READABLE_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
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
    (re.compile(pattern, re.IGNORECASE), what)
    for pattern, what in (
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
    """Whether the zip is an .xlsx file; `FileError` if it is another document."""
    names = [info.filename for info in _zip_files(path)]
    if _WORKBOOK in names:
        return True
    what = _document(path, names)
    if what is not None:
        raise FileError("unsupported_format", f"this is {what}; {EXPECTED}")
    return False


def unzip(path: Path, uploaded: Uploaded, limits: Limits) -> Chunks:
    """The bytes of the only file in a zip."""
    members = [info for info in _zip_files(path) if not is_junk(info.filename)]
    if len(members) != 1:
        raise FileError(
            "unsupported_format",
            f"a zip file must hold exactly one file; this one holds "
            f"{_listed([info.filename for info in members])}: upload the files by themselves",
        )
    (member,) = members
    if member.flag_bits & 1:
        raise FileError(
            "unsupported_format",
            f"the file {member.filename!r} in the zip is encrypted: save it without a password",
        )
    if member.compress_type not in _READABLE_METHODS:
        method = _METHODS.get(member.compress_type, f"method {member.compress_type}")
        raise FileError(
            "unsupported_format",
            f"the file {member.filename!r} in the zip is compressed with {method}, which is not supported: "
            "pack it with Deflate, or as .gz",
        )
    return Chunks(capped(_zip_member(path, member), uploaded, limits))


def untar(path: Path, uploaded: Uploaded, limits: Limits) -> Chunks:
    """The bytes of the only file in a tar archive."""
    members = list(_tar_files(path))
    if len(members) != 1:
        raise FileError(
            "unsupported_format",
            f"a tar archive must hold exactly one file; this one holds "
            f"{_listed([member.name for member in members])}: upload the files by themselves, or gzip one file",
        )
    return Chunks(capped(_tar_member(path, members[0]), uploaded, limits))


def _zip_files(path: Path) -> list[zipfile.ZipInfo]:
    """Everything in a zip that is no folder."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [info for info in archive.infolist() if not info.is_dir()]
    except BAD_ZIP as error:
        raise damaged("zip") from error


def _document(path: Path, names: Sequence[str]) -> str | None:
    """What document consists of such members; None for a zip of files."""
    if "mimetype" in names:
        type_ = _beginning(path, "mimetype").strip()
        for prefix, what in _MIME_TYPES:
            if type_.startswith(prefix):
                return _OPEN_DOCUMENTS.get(type_.removeprefix(prefix).partition("-")[0], what)
    for pattern, what in _MEMBERS:
        if any(pattern.fullmatch(name) for name in names):
            return what
    return None


def _beginning(path: Path, name: str) -> str:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(name) as member:
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
    """A file for `tarfile` that refuses to read more at once than memory should hold."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.tell, self.seek = file.tell, file.seek

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _TAR_READ_BYTES:
            raise FileError(
                "unreadable_compression", f"the tar data is damaged: a header asks for {size:,} bytes"
            )
        return self._file.read(size)


def _tar_files(path: Path) -> Iterator[tarfile.TarInfo]:
    """The regular files of a tar, without what macOS and `pax` add."""
    try:
        with path.open("rb") as file, _opened_tar(file) as archive:
            for count, member in enumerate(archive):
                if count == _MOST_TAR_MEMBERS:
                    raise FileError(
                        "unsupported_format",
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
    """Headers that an old program has unpacked and packed again as files."""
    return any(_PAX_FOLDER.fullmatch(part) for part in name.split("/"))


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    shown = ", ".join(repr(name) for name in names[:_SHOWN_NAMES]) or "none"
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return f"{len(names)}: {shown}{more}"
