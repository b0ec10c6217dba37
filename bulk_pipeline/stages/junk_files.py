"""Recognises files that nobody means to upload by their names: files of operating systems, spreadsheets and Spark.

In the bucket such files stay without a job; an upload of one over the API or command line is refused.
"""

import re
from typing import NamedTuple

from bulk_pipeline.errors import FileError, FileErrorCode


class _Kind(NamedTuple):
    pattern: re.Pattern[str]
    description: str


def _kind(pattern: str, description: str) -> _Kind:
    return _Kind(re.compile(pattern, re.IGNORECASE | re.DOTALL), description)


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
    """Return True if a path or an object's key is that of a junk file. Fast, since it checks every object listed."""
    *folders, name = key.split("/")
    return _ANY_FILE.fullmatch(name) is not None or any(folder.lower() in _FOLDERS for folder in folders)


def junk_description(key: str) -> str | None:
    """Return what a junk file is, for a sentence that begins with "this is", or None for any other file."""
    *folders, name = key.split("/")
    if any(folder.lower() in _FOLDERS for folder in folders):
        return "what an operating system or a program keeps for itself"
    for pattern, description in _FILES:
        if pattern.fullmatch(name):
            return description.format(rest=name[2:])
    return None


def refuse_junk(name: str) -> None:
    """Raise `FileError` for the name of a junk file."""
    if description := junk_description(name):
        raise FileError(
            FileErrorCode.UNSUPPORTED_FORMAT,
            f"{name.rpartition('/')[2]!r} is not an upload: this is {description}",
        )
