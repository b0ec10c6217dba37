"""Detects the format of a file: by its content first, and by its name if the content is ambiguous.

Shared by the parser, the API and the command line, so that all accept the same files. Does not import Arrow.
"""

import re
from pathlib import PurePosixPath
from typing import Protocol

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.schema import code_page
from bulk_pipeline.stages.encodings import text_of
from bulk_pipeline.stages.foreign_files import foreign, foreign_text
from bulk_pipeline.stages.formats import FORMATS, by_suffix
from bulk_pipeline.stages.junk_files import refuse_junk

HEAD_BYTES = 1 << 20
"""Bytes from which the format and the dialect are detected."""

_TEXT_SAMPLE_BYTES = 65_536
"""Bytes by which text is told from binary data, the same for uploads by any way."""

_PACKING_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PK\x07\x08PK", "zip"),
)
_PACKING_SUFFIXES = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".zip": "zip", ".tar": "tar"}
_SHORT_NAMES = {
    ".tgz": ("gzip", "tar"),
    ".tbz": ("bzip2", "tar"),
    ".tbz2": ("bzip2", "tar"),
    ".tzst": ("zstd", "tar"),
}
PACKED = ("gzip", "zstd", "bzip2", "zip", "tar")
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\x1b\x1c\x1d\x1e\x1f"))
_OBJECT = re.compile(rb'[\s\x1e]*\{\s*["}]')
_MEMBER = re.compile(rb'[\s\x1e]*\{\s*"[^"]*"\s*:')
_ARRAY_OF_OBJECTS = re.compile(rb"\s*\[\s*[{\]]")
_ARRAY_OF_ARRAYS = re.compile(rb'\s*\[\s*\[\s*["\]]')
_LINE_END = re.compile(rb"[\r\n]")
_TAR_HEADER_BYTES, _TAR_CHECKSUM = 512, slice(148, 156)


class WarningSink(Protocol):
    """Receives warnings about a file."""

    def warn(self, message: str) -> None: ...


def refuse_no_table(name: str, head: bytes, encoding: str | None) -> None:
    """Raise `FileError`, as the job would, for an upload that cannot be a table by its name or first `HEAD_BYTES`.

    `encoding` is the declared one. The contents of archives are not checked.
    """
    refuse_junk(name)
    if encoding is not None:
        code_page(encoding)
    recognised(head, encoding)


def expected() -> str:
    """Return the end of a sentence about a file that cannot be read: the formats that can be."""
    *titles, last = (format_.title for format_ in FORMATS.values())
    return f"expected {', '.join(titles)} or {last}, also inside .gz, .zst, .bz2 or .zip"


def recognised(head: bytes, encoding: str | None) -> str | None:
    """Return one of `PACKED`, or a format by its magic bytes; None for text.

    `head` is the first `HEAD_BYTES` of a file, or all if there are fewer; `encoding` is the declared one. Raises
    `FileError` for a file that cannot be a table.
    """
    head = head[:HEAD_BYTES]
    if kind := _by_magic(head):
        return kind
    description = foreign(head)
    if description is None:
        text = text_of(head[:_TEXT_SAMPLE_BYTES], encoding)
        description = foreign_text(text)
        if description is None:
            _refuse_binary(text)
            return None
    raise FileError(FileErrorCode.UNSUPPORTED_FORMAT, f"this is {description}; {expected()}")


def by_name(name: str) -> tuple[list[str], str | None]:
    """Return the packings and the format, if any, by the suffixes of a name; packings with the outermost first."""
    packed: list[str] = []
    format_ = None
    for suffix in reversed(PurePosixPath(name.lower()).suffixes):
        if suffix in _SHORT_NAMES:
            packed += _SHORT_NAMES[suffix]
            continue
        if suffix not in _PACKING_SUFFIXES:
            format_ = by_suffix().get(suffix)
            break
        packed.append(_PACKING_SUFFIXES[suffix])
    return packed, format_ and (format_.read_as or format_.name)


def may_be_empty(name: str) -> bool:
    """Return whether a file of this name may have no content: NDJSON of zero records, as exports write it."""
    return by_name(name)[1] == "ndjson"


def of_text(head: bytes, name: str, notes: WarningSink) -> str:
    """Return csv, ndjson or json, by the beginning of a UTF-8 text and the file's name; warn if they contradict."""
    named = by_name(name)[1]
    actual = _of_content(head, named)
    if named is not None and FORMATS[named].is_text and {named, actual} not in ({named}, {"ndjson", "json"}):
        notes.warn(f"the file's name says {named}, its content is {actual}: it was read as {actual}")
    return actual


def _by_magic(head: bytes) -> str | None:
    for magic, kind in _PACKING_MAGIC:
        if head.startswith(magic) and (kind != "bzip2" or _is_bzip2(head)):
            return kind
    for format_ in FORMATS.values():
        if format_.magic and head.startswith(format_.magic):
            return format_.name
    if head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F:
        return "zstd"  # a skippable frame comes first
    return "tar" if _is_tar(head[:_TAR_HEADER_BYTES]) else None


def _refuse_binary(sample: bytes) -> None:
    control = len(sample) - len(sample.translate(None, _CONTROL))
    if control and not _is_everywhere(sample):
        return  # a few damaged rows in a file of text
    if control >= 8 and control > 0.3 * len(sample):
        raise FileError(
            FileErrorCode.UNSUPPORTED_FORMAT, f"this is binary data ({_shown(sample)}); {expected()}"
        )
    if control >= 8 and control > 0.04 * len(sample) and b"\xef\xbf\xbd" in _replaced(sample):
        raise FileError(
            FileErrorCode.UNSUPPORTED_FORMAT, f"this is binary data ({_shown(sample)}); {expected()}"
        )


def _is_everywhere(sample: bytes) -> bool:
    """Return True if more than half of the lines have control characters."""
    lines = [line for line in sample.split(b"\n") if line.strip()]
    return sum(len(line) != len(line.translate(None, _CONTROL)) for line in lines) > 0.5 * len(lines)


def _of_content(head: bytes, named: str | None) -> str:
    if named == "ndjson" and not head.strip():
        return "ndjson"
    if _OBJECT.match(head):
        return "ndjson" if named != "csv" or _looks_like_json(head) else "csv"
    if head.lstrip()[:1] == b"[" and (
        named in ("json", "ndjson") or _ARRAY_OF_OBJECTS.match(head) or _ARRAY_OF_ARRAYS.match(head)
    ):
        return "json"
    if named in ("ndjson", "json") and any(line.lstrip()[:1] == b"{" for line in head.splitlines()[:20]):
        return "ndjson"
    return "csv"


def _looks_like_json(head: bytes) -> bool:
    """Return True if a text that begins like an object is one, although its name says CSV."""
    first = _LINE_END.split(head.lstrip(), 1)[0].strip()
    return first[-1:] in (b"}", b",", b"{") or _MEMBER.match(head) is not None


def _is_tar(header: bytes) -> bool:
    """Return True if the header's checksum is right, as in every kind of tar and in no other file."""
    if len(header) < _TAR_HEADER_BYTES or not header[0]:
        return False
    try:
        checksum = int(header[_TAR_CHECKSUM].strip(b" \0"), 8)
    except ValueError:
        return False
    rest = header[: _TAR_CHECKSUM.start] + b" " * 8 + header[_TAR_CHECKSUM.stop :]
    signed = sum(byte - 256 if byte > 127 else byte for byte in rest)  # the sum of some old programs
    return checksum in (sum(rest), signed)


def _is_bzip2(head: bytes) -> bool:
    return head[4:10] in (b"1AY&SY", b"\x17rE8P\x90") or len(head) < 10


def _replaced(sample: bytes) -> bytes:
    return sample[:-4].decode("utf-8", "replace").encode("utf-8")


def _shown(sample: bytes) -> str:
    return f"it begins with the bytes {sample[:8].hex(' ')}"
