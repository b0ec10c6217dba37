"""Reads table, mode and format of an upload from an object's key and metadata; does no I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import Header, decode_header, make_header

from bulk_pipeline import tables
from bulk_pipeline.errors import DeclarationError, UnknownTableError
from bulk_pipeline.schema import (
    NOTHING_DECLARED,
    Mode,
    UploadFormat,
    charset_of,
    known_code_page,
    read_format,
)

UNKNOWN_FOLDER = "_unknown"
"""The archive's folder for objects without a valid table or mode."""

_MODES = {mode.value: mode for mode in Mode}
_YES = {"true", "1", "yes"}
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 100
_MOST_METADATA = 2048
"""Bytes of names and values, the limit of S3."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """The table, mode and format of an upload. `problem` is the sentence with which its job fails, None if valid.

    `force`: import the upload even if the same object has been imported.
    """

    table: str
    mode: Mode
    format: UploadFormat = NOTHING_DECLARED
    idempotency_key: str | None = None
    force: bool = False
    problem: str | None = None


def read_address(key: str, metadata: Mapping[str, str], content_type: str = "") -> Address:
    """Return the address given by the key, `<table>/<name>`, and by the metadata, which take precedence.

    Folders `<mode>` and `@<profile>`, in any order, may stand between table and name.
    Metadata are `mode`, `idempotency-key`, `force`, and the names of `read_format`. Values are encoded by RFC 2047
    unless they are ASCII, as S3 returns them. The `charset` of the content type declares the encoding, unless the
    metadata do.
    """
    table, slash, rest = key.partition("/")
    metadata_texts = {
        name.lower(): _decoded(value).replace("\0", "").strip() for name, value in metadata.items()
    }
    mode, problem, profile = Mode.INSERT_ONLY, None, None
    if not slash or not table:
        table, problem = "", f"the key {key!r} names no table: drop files as <table>/<name>"
    else:
        try:
            into = tables.get(table)
            folder, profile = _folders(rest)
            mode, problem = _mode(folder, metadata_texts.get("mode", ""), into.default_mode)
        except UnknownTableError as error:
            problem = str(error)
    try:
        of_object = UploadFormat(encoding=charset_of(content_type), profile=profile)
        format_ = read_format(metadata_texts).over(of_object)
        if problem is None:
            tables.get(table).profile_format(format_.profile)
    except DeclarationError as error:
        format_, problem = NOTHING_DECLARED, problem or str(error)
    return Address(
        table=table,
        mode=mode,
        format=format_,
        idempotency_key=metadata_texts.get("idempotency-key") or None,
        force=metadata_texts.get("force", "").lower() in _YES,
        problem=problem,
    )


def metadata_of(mode: Mode, format_: UploadFormat) -> dict[str, str]:
    """Return the metadata of an object with this mode and format. Raises `DeclarationError` if they are too long."""
    # Some proxies drop headers with underscores, and these are headers.
    texts = {"mode": str(mode), **{name.replace("_", "-"): text for name, text in format_.texts().items()}}
    if sum(map(len, texts.values())) <= _MOST_METADATA:  # encoded texts are even longer
        encoded = {
            name: _encoded(text) if "=?" in text or not text.isascii() else text
            for name, text in texts.items()
        }
        if sum(len(name) + len(text) for name, text in encoded.items()) <= _MOST_METADATA:
            return encoded
    raise DeclarationError(
        f"the declarations for this file take more than {_MOST_METADATA:,} bytes, the limit of an object's metadata: "
        "rename the columns in the file, or declare them with the table"
    )


def archive_key(address: Address, job_id: str, key: str) -> str:
    """Return the key of an upload in the archive: `<table>/<job id>/<file name>`, in harmless characters."""
    name = _UNSAFE.sub("_", key.rpartition("/")[2]).lstrip(".") or "upload"
    if len(name) > _LONGEST_NAME:
        # Keep the end, which has the format.
        name = f"{name[: _LONGEST_NAME // 2]}{name[-_LONGEST_NAME // 2 :]}"
    return f"{UNKNOWN_FOLDER if address.problem else address.table}/{job_id}/{name}"


def _folders(rest: str) -> tuple[Mode | None, str | None]:
    """Return the mode and the profile that the first folders below a table name."""
    mode, profile = None, None
    for folder in rest.split("/")[:-1]:
        if folder.startswith("@") and profile is None:
            profile = folder[1:]
        elif folder.lower() in _MODES and mode is None:
            mode = _MODES[folder.lower()]
        else:
            break
    return mode, profile


def _mode(of_folder: Mode | None, of_metadata: str, default: Mode) -> tuple[Mode, str | None]:
    if of_metadata and of_metadata.lower() not in _MODES:
        expected = ", ".join(_MODES)
        return default, f"unknown mode {of_metadata!r} in the metadata: expected one of {expected}"
    return _MODES.get(of_metadata.lower()) or of_folder or default, None


def _encoded(text: str) -> str:
    return Header(text, "utf-8", maxlinelen=0).encode()


def _decoded(text: str) -> str:
    if "=?" not in text:
        return text
    try:
        words = decode_header(text)
        if any(charset is not None and known_code_page(charset) is None for _, charset in words):
            return text
        return str(make_header(words))
    except (HeaderParseError, LookupError, ValueError):
        return text
