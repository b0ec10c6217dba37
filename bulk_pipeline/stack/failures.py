"""Why a part of the stack did not start, for a person: the cause where it is known, and the end of the log."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from bulk_pipeline.errors import StackError

_LINES = 15
_TAIL_BYTES = 8_000
_FULL_BYTES = 1 << 20
"""Less than this is left of a full disk: a server needs more to start."""

_NO_SPACE = ("no space left on device", "check free disk space")
"""How the system and Postgres say it."""


def not_started(message: str, log: Path, since: int = 0) -> StackError:
    """The error for a part whose log this is; `since`: how long the log was before the part was started."""
    return _error(message, log, end_of(log, since))


def program_failed(message: str, place: Path, stderr: str) -> StackError:
    """The error for a program that ended at once; `place`: where it was to write."""
    lines = [line for line in stderr.expandtabs().splitlines() if line.strip()]
    return _error(message, place, lines[-_LINES:])


def _error(message: str, place: Path, details: Sequence[str]) -> StackError:
    """A program may have removed what it could not finish: then it alone knows that there was no space."""
    cause = full_disk(place)
    if cause is None and any(word in line.lower() for line in details for word in _NO_SPACE):
        cause = f"the disk of {place.parent} is full: free some space, or choose another --home"
    return StackError(f"{message}: {cause}" if cause else message, details)


def full_disk(place: Path) -> str | None:
    """A sentence about the disk that the file or folder lies on, if that is full."""
    folder = next(parent for parent in (place, *place.absolute().parents) if parent.is_dir())
    free = shutil.disk_usage(folder).free
    if free >= _FULL_BYTES:
        return None
    return f"the disk of {folder} is full ({free >> 10:,} KB are free): free some space, or choose another --home"


def end_of(log: Path, since: int = 0, lines: int = _LINES) -> tuple[str, ...]:
    """The last lines of a log, after its first `since` bytes, under a title; nothing if there are none.

    Lines of JSON are given as a person reads them.
    """
    if not log.exists():
        return ()
    with log.open("rb") as file:
        file.seek(max(since, log.stat().st_size - _TAIL_BYTES))
        text = file.read().decode(errors="replace")
    found = [line for written in text.splitlines() for line in _readable(written)][-lines:]
    return (f"the end of {log}:", *(f"  {line}" for line in found)) if found else ()


def _readable(line: str) -> list[str]:
    """A line of a log, and the lines of the exception that came with it."""
    if not line.startswith("{"):
        return [line.rstrip()]
    try:
        event = json.loads(line)
    except ValueError:
        return [line]
    if not isinstance(event, dict) or not isinstance(event.get("message"), str):
        return [line]
    level = f"{event['level']}: " if isinstance(event.get("level"), str) else ""
    exceptions = event.get("exception")
    causes = [
        f"{one.get('kind')}: {one['message']}" if one.get("message") else str(one.get("kind"))
        for one in (exceptions if isinstance(exceptions, list) else [])
        if isinstance(one, dict)
    ]
    return [*(f"{level}{event['message']}").splitlines(), *causes]
