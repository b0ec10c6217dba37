"""Tells what a file is: by its content first, by its name only where the content leaves it open.

Not in `parse`, and without Arrow: the bucket's jobs, the API and the command line all ask here, so that what one
accepts every other accepts.
"""

import re
from pathlib import PurePosixPath
from typing import Protocol

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import code_page
from bulk_pipeline.stages.encodings import text_of
from bulk_pipeline.stages.foreign_files import foreign, foreign_text
from bulk_pipeline.stages.junk_files import refuse_junk

HEAD_BYTES = 1 << 20
"""Bytes from which the format and the dialect are told."""

_TEXT_SAMPLE_BYTES = 65_536
"""Bytes of a text by which it is told from binary data, the same at every door."""

_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PK\x07\x08PK", "zip"),
    (b"PAR1", "parquet"),
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
    ".tar": "tar",
}
_SHORT_NAMES = {
    ".tgz": ("gzip", "tar"),
    ".tbz": ("bzip2", "tar"),
    ".tbz2": ("bzip2", "tar"),
    ".tzst": ("zstd", "tar"),
}
EXPECTED = "expected CSV, TSV, NDJSON, a JSON array, Parquet or .xlsx, also inside .gz, .zst, .bz2 or .zip"
PACKED = ("gzip", "zstd", "bzip2", "zip", "tar")
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\x1b\x1c\x1d\x1e\x1f"))
_OBJECT = re.compile(rb'[\s\x1e]*\{\s*["}]')
_MEMBER = re.compile(rb'[\s\x1e]*\{\s*"[^"]*"\s*:')
_ARRAY_OF_OBJECTS = re.compile(rb"\s*\[\s*[{\]]")
_ARRAY_OF_ARRAYS = re.compile(rb'\s*\[\s*\[\s*["\]]')
_LINE_END = re.compile(rb"[\r\n]")
_TAR_HEADER_BYTES, _TAR_CHECKSUM = 512, slice(148, 156)


class Warned(Protocol):
    """Who is told what is odd about a file."""

    def warn(self, message: str) -> None: ...


def refuse_no_table(name: str, head: bytes, encoding: str | None) -> None:
    """`FileError` for an upload that its name or its first `HEAD_BYTES` give away, in the words with which its job
    would fail. `encoding`: what was declared. What lies in an archive is not looked at."""
    refuse_junk(name)
    if encoding is not None:
        code_page(encoding)
    recognised(head, encoding)


def recognised(head: bytes, encoding: str | None) -> str | None:
    """One of `PACKED` or parquet; None for text. `FileError` for all that cannot be a table.

    `head`: the first `HEAD_BYTES`, or all there are. `encoding`: what was declared.
    """
    head = head[:HEAD_BYTES]
    if kind := _by_magic(head):
        return kind
    what = foreign(head)
    if what is None:
        text = text_of(head[:_TEXT_SAMPLE_BYTES], encoding)
        what = foreign_text(text)
        if what is None:
            _refuse_binary(text)
            return None
    raise FileError("unsupported_format", f"this is {what}; {EXPECTED}")


def by_name(name: str) -> tuple[list[str], str | None]:
    """The packings the name ends in, outermost first, and the format it says, if any."""
    packed, format_ = [], None
    for suffix in reversed(PurePosixPath(name.lower()).suffixes):
        if suffix in _SHORT_NAMES:
            packed += _SHORT_NAMES[suffix]
            continue
        kind = _BY_NAME.get(suffix)
        if kind not in PACKED:
            format_ = kind
            break
        packed.append(kind)
    return packed, format_


def of_text(head: bytes, name: str, notes: Warned) -> str:
    """csv, ndjson or json, from the beginning of a UTF-8 text."""
    said = by_name(name)[1]
    found = _of_content(head, said)
    if said in ("csv", "ndjson", "json") and {said, found} not in ({said}, {"ndjson", "json"}):
        notes.warn(f"the file's name says {said}, its content is {found}: it was read as {found}")
    return found


def _by_magic(head: bytes) -> str | None:
    for magic, kind in _MAGIC:
        if head.startswith(magic) and (kind != "bzip2" or _is_bzip2(head)):
            return kind
    if head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F:
        return "zstd"  # a skippable frame comes first
    return "tar" if _is_tar(head[:_TAR_HEADER_BYTES]) else None


def _refuse_binary(sample: bytes) -> None:
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
    if head.lstrip()[:1] == b"[" and (
        said in ("json", "ndjson") or _ARRAY_OF_OBJECTS.match(head) or _ARRAY_OF_ARRAYS.match(head)
    ):
        return "json"
    if said in ("ndjson", "json") and any(line.lstrip()[:1] == b"{" for line in head.splitlines()[:20]):
        return "ndjson"
    return "csv"


def _looks_like_json(head: bytes) -> bool:
    """Whether what begins like an object is one, though the name says CSV."""
    first = _LINE_END.split(head.lstrip(), 1)[0].strip()
    return first[-1:] in (b"}", b",", b"{") or _MEMBER.match(head) is not None


def _is_tar(header: bytes) -> bool:
    """Whether the checksum of the header is right, which holds for every kind of tar, and for nothing else."""
    if len(header) < _TAR_HEADER_BYTES or not header[0]:
        return False
    try:
        said = int(header[_TAR_CHECKSUM].strip(b" \0"), 8)
    except ValueError:
        return False
    rest = header[: _TAR_CHECKSUM.start] + b" " * 8 + header[_TAR_CHECKSUM.stop :]
    signed = sum(byte - 256 if byte > 127 else byte for byte in rest)  # as some old programs add
    return said in (sum(rest), signed)


def _is_bzip2(head: bytes) -> bool:
    return head[4:10] in (b"1AY&SY", b"\x17rE8P\x90") or len(head) < 10


def _replaced(sample: bytes) -> bytes:
    return sample[:-4].decode("utf-8", "replace").encode("utf-8")


def _shown(sample: bytes) -> str:
    return f"it begins with the bytes {sample[:8].hex(' ')}"
