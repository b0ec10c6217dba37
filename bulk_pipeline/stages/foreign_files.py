"""Identifies files that cannot be a table by their first bytes, and says what to do instead.

Packings and formats that can be read are in `file_formats`, the contents of archives in `parse.archives`.
"""

import re
from collections.abc import Callable

_SPREADSHEET = "open it and save it as .xlsx"
_ARCHIVE = "use .gz, .zst, .bz2 or .zip"
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"GIF8", "a GIF image"),
    (0, b"II*\0", "a TIFF image"),
    (0, b"MM\0*", "a TIFF image"),
    (0, b"8BPS\0\1", "a Photoshop image"),
    (0, b"RIFF", "a RIFF file (audio, video or WebP)"),
    (0, b"OggS\0", "an audio or video file (Ogg)"),
    (0, b"ID3\2", "an MP3 file"),
    (0, b"ID3\3", "an MP3 file"),
    (0, b"ID3\4", "an MP3 file"),
    (0, b"\x1aE\xdf\xa3", "a video file (Matroska)"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"{\\rtf", "an RTF document"),
    (0, b"\xfd7zXZ\x00", f"an xz archive: {_ARCHIVE}"),
    (0, b"7z\xbc\xaf\x27\x1c", f"a 7z archive: {_ARCHIVE}"),
    (0, b"Rar!\x1a\x07", f"a RAR archive: {_ARCHIVE}"),
    (0, b"\x04\x22\x4d\x18", f"an lz4 archive: {_ARCHIVE}"),
    (0, b"\x1f\x9d", f"a compress (.Z) archive: {_ARCHIVE}"),
    (0, b"LZIP\1", f"an lzip archive: {_ARCHIVE}"),
    (0, b"\x89LZO\0\r\n\x1a\n", f"an lzop archive: {_ARCHIVE}"),
    (0, b"\x5d\0\0\x80\0", f"an LZMA archive: {_ARCHIVE}"),
    (0, b"\xff\x06\0\0sNaPpY", f"a Snappy archive: {_ARCHIVE}"),
    (0, b"MSCF\0\0\0\0", f"a Windows cabinet: {_ARCHIVE}"),
    (0, b"!<arch>\n", "an ar archive or a Debian package"),
    (0, b"xar!\0", "a macOS package"),
    (0, b"ARROW1", "an Arrow (Feather) file: save it as Parquet"),
    (0, b"FEA1", "a Feather file: save it as Parquet"),
    (0, b"Obj\x01", "an Avro file: save it as Parquet"),
    (0, b"SEQ\x06", "a Hadoop sequence file: save it as Parquet"),
    (0, b"PARE", "an encrypted Parquet file: save it without encryption"),
    (0, b"SQLite format 3\x00", "an SQLite database: export the table as CSV"),
    (4, b"Standard Jet DB\0", "an Access database (.mdb): export the table as CSV or .xlsx"),
    (4, b"Standard ACE DB\0", "an Access database (.accdb): export the table as CSV or .xlsx"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file: save the table as Parquet or CSV"),
    (0, b"CDF\1", "a NetCDF file: save the table as Parquet or CSV"),
    (0, b"CDF\2", "a NetCDF file: save the table as Parquet or CSV"),
    (0, b"\x93NUMPY", "a NumPy array: save it as Parquet or CSV"),
    (0, b"MATLAB 5.0 MAT-file", "a MATLAB file: save the table as CSV"),
    (0, b"RDX2\nX\n", "an R workspace (.RData): save the table with write.csv"),
    (0, b"RDX3\nX\n", "an R workspace (.RData): save the table with write.csv"),
    (0, b"X\n\0\0\0\2", "an R object (.rds): save the table with write.csv"),
    (0, b"X\n\0\0\0\3", "an R object (.rds): save the table with write.csv"),
    (0, b"<stata_dta>", "a Stata file (.dta): export it as CSV"),
    (0, b"$FL2", "an SPSS file (.sav): export it as CSV or .xlsx"),
    (0, b"$FL3", "an SPSS file (.zsav): export it as CSV or .xlsx"),
    (0, b"\0" * 12 + b"\xc2\xea\x81\x60\xb3\x14\x11\xcf", "a SAS file (.sas7bdat): export it as CSV"),
    (0, b"HEADER RECORD*******LIB", "a SAS transport file (.xpt): export it as CSV"),
    (0, b"\x09\x08\x08\0\0\x05", f"a very old Excel file: {_SPREADSHEET}"),
    (0, b"\x09\x08\x10\0\0\x06", f"a very old Excel file: {_SPREADSHEET}"),
    (0, b"\x09\x04\x06\0\0\0", f"a very old Excel file: {_SPREADSHEET}"),
    (0, b"\x09\x02\x06\0\0\0", f"a very old Excel file: {_SPREADSHEET}"),
    (0, b"Salted__", "encrypted by OpenSSL: decrypt it first"),
    (0, b"age-encryption.org/v1", "encrypted by age: decrypt it first"),
    (0, b"-----BEGIN PGP MESSAGE-----", "encrypted by PGP: decrypt it first"),
    (0, b"version https://git-lfs.github.com/spec/", "a pointer of Git LFS, not the file: fetch it with git lfs"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ\x90\x00", "a program"),
    (0, b"\xca\xfe\xba\xbe\0", "a program"),
)  # fmt: skip
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_STREAMS = (
    ("EncryptedPackage", "an Office file that is encrypted: save it without a password"),
    ("EncryptionInfo", "an Office file that is encrypted: save it without a password"),
    ("\x06DataSpaces", "an Office file that is encrypted: save it without a password"),
    ("Workbook", "an old Excel file (.xls): save it as .xlsx"),
    ("Book", "an old Excel file (.xls): save it as .xlsx"),
    ("WordDocument", "an old Word document (.doc): save its table as .xlsx or CSV"),
    ("PowerPoint Document", "an old PowerPoint file (.ppt)"),
    ("__properties_version1.0", "an Outlook message (.msg)"),
)
"""Streams of an OLE compound file; the more specific ones come first."""
_OLE_ENTRY_BYTES, _OLE_NAME_BYTES = 128, 64
_PICKLE = re.compile(rb"\x80[\x02-\x05](?:\x95|[\]})(\x88\x89NKXUcC])")
_STATA = re.compile(rb"[\x69-\x73][\x01\x02]\x01\x00")
_DBF_VERSIONS = frozenset(b"\x02\x03\x04\x05\x30\x31\x32\x43\x63\x83\x8b\x8c\xcb\xf5\xfb")

_BLANKS_AND_COMMENTS = r"\s*(?:<!--.*?-->\s*)*"
_PAGE_TAGS = r"<(?:!doctype\s+html|(?:html|head|body|table|meta|style|script|title|base)[\s/>])"
_PAGE = re.compile((_BLANKS_AND_COMMENTS + _PAGE_TAGS).encode(), re.IGNORECASE | re.DOTALL)
_XML = re.compile((_BLANKS_AND_COMMENTS + r"<(?:\?xml|!doctype|\w+:?\w*\s+xmlns)").encode(), re.I | re.DOTALL)
_MIME = re.compile(rb"\s*(?:[A-Za-z-]+:[^\n]*\n(?:[ \t][^\n]*\n)*)*?MIME-Version:", re.IGNORECASE)


def foreign(head: bytes) -> str | None:
    """Return what a binary file is, for a sentence that begins with "this is", or None if it is not known."""
    for at, magic, description in _MAGIC:
        if head.startswith(magic, at):
            return description
    if (
        head.startswith(b"ORC")
        and not head[3:4].isalnum()
        and not head[3:4].isspace()
        and head[3:4] not in b",;|"
    ):
        return "an ORC file: save it as Parquet"
    if head.startswith(_OLE):
        return _in_compound_file(head)
    return next((description for matches, description in _SHAPES if matches(head)), None)


def foreign_text(text: bytes) -> str | None:
    """Return what a text is that cannot be a table, or None. `text` is UTF-8 without byte order mark."""
    if _PAGE.match(text):
        if re.search(rb"<table[\s>]", text, re.IGNORECASE):
            return f"a web page with a table, as some programs save under .xls: {_SPREADSHEET}"
        return "a web page"
    if _XML.match(text):
        return _in_xml(text)
    if _MIME.match(text[:4096]):
        return f"a web archive or an email (MIME), as some programs save under .xls: {_SPREADSHEET}"
    if text.lstrip().startswith((b"BEGIN:VCARD", b"BEGIN:VCALENDAR")):
        return "a file of contacts or appointments (vCard, iCalendar): export it as CSV"
    return None


def _in_compound_file(head: bytes) -> str:
    """Return what an OLE file is by its streams: 128-byte entries with names in UTF-16, padded with NUL."""
    for stream, description in _OLE_STREAMS:
        name = stream.encode("utf-16-le").ljust(_OLE_NAME_BYTES, b"\0")
        at = head.find(name)
        while at >= 0:
            if at % _OLE_ENTRY_BYTES == 0:
                return description
            at = head.find(name, at + 1)
    return "an old Excel or Office file: save it as .xlsx, without a password"


def _in_xml(text: bytes) -> str:
    if b"urn:schemas-microsoft-com:office:spreadsheet" in text or b'progid="Excel.Sheet"' in text:
        return f"an XML spreadsheet of Excel 2003: {_SPREADSHEET}"
    if b"urn:oasis:names:tc:opendocument" in text:
        return f"an OpenDocument file (.fods): {_SPREADSHEET}"
    if re.search(rb"<Error>\s*<Code>", text):
        return "the error answer of an object store (XML) in place of a file: fetch the file again"
    return "an XML document"


def _is_bitmap(head: bytes) -> bool:
    return head[:2] == b"BM" and head[6:10] == b"\0\0\0\0" and len(head) > 14


def _is_media(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[:2] == b"\0\0"


def _is_arrow_stream(head: bytes) -> bool:
    return head[:4] == b"\xff\xff\xff\xff" and head[7:12] == b"\0\x10\0\0\0"


def _is_pickle(head: bytes) -> bool:
    return _PICKLE.match(head) is not None


def _is_stata(head: bytes) -> bool:
    return _STATA.match(head) is not None


def _is_dbase(head: bytes) -> bool:
    """Return True for a known version, a valid date, and a header that ends at its declared length."""
    if len(head) < 65 or head[0] not in _DBF_VERSIONS or head[12:14] != b"\0\0":
        return False
    if not (1 <= head[2] <= 12 and 1 <= head[3] <= 31):
        return False
    length = int.from_bytes(head[8:10], "little")
    return length >= 65 and any(
        head[end : end + 1] == b"\r" for end in (length - 1, length - 2, length - 264)
    )


_SHAPES: tuple[tuple[Callable[[bytes], bool], str], ...] = (
    (_is_bitmap, "a BMP image"),
    (_is_media, "a video, audio or HEIC file"),
    (_is_arrow_stream, "an Arrow stream: save it as Parquet"),
    (_is_pickle, "a Python pickle: save the table with to_parquet or to_csv"),
    (_is_stata, "a Stata file (.dta): export it as CSV"),
    (_is_dbase, "a dBASE file (.dbf): save it as .xlsx or CSV"),
)
