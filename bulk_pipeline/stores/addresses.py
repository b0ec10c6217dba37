"""What an object's key and metadata ask for: the table, the mode, and where its bytes are kept. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bulk_pipeline import tables
from bulk_pipeline.errors import UnknownTableError
from bulk_pipeline.schema import Mode

UNKNOWN_FOLDER = "_unknown"
"""Where the archive keeps objects that say no table, or no such mode."""

_MODES = {mode.value: mode for mode in Mode}
_YES = {"true", "1", "yes"}
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 100


@dataclass(frozen=True, kw_only=True)
class Address:
    """What a drop asks for. `problem`: the sentence with which its job fails; None if it is clear.

    `force`: import it even if the same object has been imported.
    """

    table: str
    mode: Mode
    encoding: str | None = None
    idempotency_key: str | None = None
    force: bool = False
    problem: str | None = None


def address(key: str, metadata: Mapping[str, str]) -> Address:
    """Read `<table>/<name>`, `<table>/<mode>/<name>` and the metadata, which goes before the key.

    Metadata: `mode`, `encoding`, `idempotency-key`, `force`.
    """
    table, slash, rest = key.partition("/")
    said = {name.lower(): value.replace("\0", "").strip() for name, value in metadata.items()}
    mode, problem = Mode.INSERT_ONLY, None
    if not slash or not table:
        table, problem = "", f"the key {key!r} names no table: drop files as <table>/<name>"
    else:
        try:
            mode, problem = _mode(rest, said.get("mode", ""), tables.get(table).default_mode)
        except UnknownTableError as error:
            problem = str(error)
    return Address(
        table=table,
        mode=mode,
        encoding=said.get("encoding") or None,
        idempotency_key=said.get("idempotency-key") or None,
        force=said.get("force", "").lower() in _YES,
        problem=problem,
    )


def archive_key(address: Address, job_id: str, key: str) -> str:
    """Where the archive keeps the bytes of a drop: `<table>/<job id>/<file name>`, in harmless characters."""
    name = _UNSAFE.sub("_", key.rpartition("/")[2]).lstrip(".") or "upload"
    if len(name) > _LONGEST_NAME:
        # The end says the format: keep it.
        name = f"{name[: _LONGEST_NAME // 2]}{name[-_LONGEST_NAME // 2 :]}"
    return f"{UNKNOWN_FOLDER if address.problem else address.table}/{job_id}/{name}"


def _mode(rest: str, said: str, default: Mode) -> tuple[Mode, str | None]:
    if said:
        if said.lower() in _MODES:
            return _MODES[said.lower()], None
        return default, f"unknown mode {said!r} in the metadata: expected one of {', '.join(_MODES)}"
    folder, slash, _ = rest.partition("/")
    return (_MODES.get(folder.lower(), default) if slash else default), None
