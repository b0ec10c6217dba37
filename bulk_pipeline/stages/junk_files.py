"""Tells files that no person means to upload, by their names: what operating systems, spreadsheets and Spark leave
beside the real ones.

In the bucket such files are left where they are, without a job; whoever sends one by name is told what it is.
"""

import re
from typing import NamedTuple

from bulk_pipeline.errors import FileError


class _Kind(NamedTuple):
    pattern: re.Pattern[str]
    what: str


def _kind(pattern: str, what: str) -> _Kind:
    return _Kind(re.compile(pattern, re.IGNORECASE | re.DOTALL), what)


_FOLDERS = frozenset(
    {
        "__macosx", ".appledouble", ".spotlight-v100", ".trashes", ".fseventsd", "@eadir", "$recycle.bin",
        "system volume information", "_temporary",
    }
)  # fmt: skip
_FILES = (
    _kind(r"\._.+", "what macOS keeps about the file {rest!r}: import {rest!r} itself"),
    _kind(r"\.ds_store|\.localized", "what macOS keeps about a folder"),
    _kind(r"thumbs\.db|ehthumbs\.db|desktop\.ini", "what Windows keeps about a folder"),
    _kind(r"~\$.+", "the lock file of an open Office document: close it and import the document itself"),
    _kind(r"\.~lock\..*#", "the lock file of an open LibreOffice document: close it and import the document"),
    _kind(r"_success|_committed_\w+|_started_\w+|_(?:common_)?metadata", "a marker that Spark writes beside its files"),
    _kind(r".*_\$folder\$", "a marker of a folder that Hadoop writes"),
    _kind(r".*\.crc", "a checksum beside another file"),
    _kind(r".*\.(?:crdownload|filepart|partial)", "a download or upload that is not complete: send the whole file"),
    _kind(r"\.(?:git|s3)?keep", "the marker of an empty folder"),
)  # fmt: skip
_ANY_FILE = re.compile("|".join(f"(?:{kind.pattern.pattern})" for kind in _FILES), re.IGNORECASE | re.DOTALL)


def is_junk(key: str) -> bool:
    """Whether a path or an object's key names no upload. Quick: it is asked about every object of a listing."""
    *folders, name = key.split("/")
    return _ANY_FILE.fullmatch(name) is not None or any(folder.lower() in _FOLDERS for folder in folders)


def what_junk(key: str) -> str | None:
    """What a file is that nobody means to upload, for a sentence that begins with "this is"."""
    *folders, name = key.split("/")
    if any(folder.lower() in _FOLDERS for folder in folders):
        return "what an operating system or a program keeps for itself"
    for pattern, what in _FILES:
        if pattern.fullmatch(name):
            return what.format(rest=name[2:])
    return None


def refuse_junk(name: str) -> None:
    """`FileError` for the name of a file that nobody means to upload."""
    if what := what_junk(name):
        raise FileError("unsupported_format", f"{name.rpartition('/')[2]!r} is no upload: this is {what}")
