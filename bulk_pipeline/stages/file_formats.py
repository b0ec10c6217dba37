"""Tells what a file is: by its content first, by its name only where the content leaves it open.

Not in `parse`, and without Arrow: whoever takes a file in asks too, before anybody parses it.
"""

import re
from pathlib import PurePosixPath
from typing import Protocol

from bulk_pipeline.errors import FileError

HEAD_BYTES = 1 << 20
"""Bytes from which the format and the dialect are told."""

_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PAR1", "parquet"),
)
_FOREIGN = (
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"RIFF", "a RIFF file (audio, video or WebP)"),
    (b"%PDF-", "a PDF document"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Office file: save it as .xlsx"),
    (b"\xfd7zXZ\x00", "an xz archive: use .gz, .zst, .bz2 or .zip"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: use .gz, .zst, .bz2 or .zip"),
    (b"Rar!\x1a\x07", "a RAR archive: use .gz, .zst, .bz2 or .zip"),
    (b"\x04\x22\x4d\x18", "an lz4 archive: use .gz, .zst, .bz2 or .zip"),
    (b"ARROW1", "an Arrow file: save it as Parquet"),
    (b"Obj\x01", "an Avro file: save it as Parquet"),
    (b"ORC", "an ORC file: save it as Parquet"),
    (b"PARE", "an encrypted Parquet file"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\x00", "a program"),
    (b"{\\rtf", "an RTF document"),
    (b"<?xml", "an XML document"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
)
_BY_NAME = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".psv": "csv",
    ".txt": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "xlsx",
    ".gz": "gzip",
    ".zst": "zstd",
    ".bz2": "bzip2",
    ".zip": "zip",
}
EXPECTED = "expected CSV, TSV, NDJSON, a JSON array, Parquet or .xlsx, also inside .gz, .zst, .bz2 or .zip"
PACKED = ("gzip", "zstd", "bzip2", "zip")
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\x1b\x1c\x1d\x1e\x1f"))
_OBJECT = re.compile(rb'\s*\{\s*["}]')
_ARRAY_OF_OBJECTS = re.compile(rb"\s*\[\s*[{\]]")


class Warned(Protocol):
    """Who is told what is odd about a file."""

    def warn(self, message: str) -> None: ...


def by_magic(head: bytes) -> str | None:
    """gzip, zstd, bzip2, zip or parquet; None for anything that may be text. Other known files are
    refused."""
    for magic, kind in _MAGIC:
        if head.startswith(magic) and (kind != "bzip2" or _is_bzip2(head)):
            return kind
    if head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F:
        return "zstd"  # a skippable frame comes first
    for magic, what in _FOREIGN:
        if head.startswith(magic) and not (magic == b"ORC" and head[3:4].isalnum()):
            raise FileError("unsupported_format", f"this is {what}; {EXPECTED}")
    return None


def by_name(name: str) -> tuple[list[str], str | None]:
    """The packings the name ends in, outermost first, and the format it says, if any."""
    packed, format_ = [], None
    for suffix in reversed(PurePosixPath(name.lower()).suffixes):
        kind = _BY_NAME.get(suffix)
        if kind not in PACKED:
            format_ = kind
            break
        packed.append(kind)
    return packed, format_


def of_text(head: bytes, name: str, notes: Warned) -> str:
    """csv, ndjson or json, from the beginning of a UTF-8 text."""
    refuse_binary(head)
    said = by_name(name)[1]
    found = _of_content(head, said)
    if said in ("csv", "ndjson", "json") and {said, found} not in ({said}, {"ndjson", "json"}):
        notes.warn(f"the file's name says {said}, its content is {found}: it was read as {found}")
    return found


def refuse_binary(head: bytes) -> None:
    sample = head[:65_536]
    control = len(sample) - len(sample.translate(None, _CONTROL))
    if control and not _is_everywhere(sample):
        return  # a few damaged rows in a file of text
    if control >= 8 and control > 0.3 * len(sample):
        raise FileError("unsupported_format", f"this is binary data ({_shown(sample)}); {EXPECTED}")
    if control >= 8 and control > 0.04 * len(sample) and b"\xef\xbf\xbd" in _replaced(sample):
        raise FileError("unsupported_format", f"this is binary data ({_shown(sample)}); {EXPECTED}")


def _is_everywhere(sample: bytes) -> bool:
    """Whether more than half of the lines hold control characters."""
    lines = [line for line in sample.split(b"\n") if line.strip()]
    return sum(len(line) != len(line.translate(None, _CONTROL)) for line in lines) > 0.5 * len(lines)


def _of_content(head: bytes, said: str | None) -> str:
    if _OBJECT.match(head):
        return "ndjson" if said != "csv" or _looks_like_json(head) else "csv"
    if head.lstrip()[:1] == b"[" and (said in ("json", "ndjson") or _ARRAY_OF_OBJECTS.match(head)):
        return "json"
    if said in ("ndjson", "json") and any(line.lstrip()[:1] == b"{" for line in head.splitlines()[:20]):
        return "ndjson"
    return "csv"


def _looks_like_json(head: bytes) -> bool:
    return head.split(b"\n", 1)[0].strip()[-1:] in (b"}", b",", b"{")


def _is_bzip2(head: bytes) -> bool:
    return head[4:10] in (b"1AY&SY", b"\x17rE8P\x90") or len(head) < 10


def _replaced(sample: bytes) -> bytes:
    return sample[:-4].decode("utf-8", "replace").encode("utf-8")


def _shown(sample: bytes) -> str:
    return f"it begins with the bytes {sample[:8].hex(' ')}"
