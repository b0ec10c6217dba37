"""Errors about a part of the stack that did not start: the cause if it is known, and the end of the log."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from bulk_pipeline.errors import StackError

_LINES = 15
_TAIL_BYTES = 8_000
_FULL_BYTES = 1 << 20
"""A disk with less free space counts as full: a server needs more to start."""

_NO_SPACE = ("no space left on device", "check free disk space")
"""Parts of the messages of the system and of Postgres, in lower case."""


def not_started(message: str, log: Path, since: int = 0) -> StackError:
    """Return the error for a part with this log. `since`: size of the log in bytes before the part was started."""
    return _error(message, log, end_of(log, since))


def program_failed(message: str, place: Path, stderr: str) -> StackError:
    """Return the error for a program that ended at once. `place`: the file or folder that it should have written."""
    lines = [line for line in stderr.expandtabs().splitlines() if line.strip()]
    return _error(message, place, lines[-_LINES:])


def _error(message: str, place: Path, details: Sequence[str]) -> StackError:
    """Add the cause if the disk is full or the details say so: the program may have freed the space again."""
    cause = full_disk(place)
    if cause is None and any(word in line.lower() for line in details for word in _NO_SPACE):
        cause = f"the disk of {place.parent} is full: free disk space, or choose another --home"
    return StackError(f"{message}: {cause}" if cause else message, details)


def full_disk(place: Path) -> str | None:
    """Return a sentence if the disk of the file or folder is full, else None."""
    folder = next(parent for parent in (place, *place.absolute().parents) if parent.is_dir())
    free = shutil.disk_usage(folder).free
    if free >= _FULL_BYTES:
        return None
    return f"the disk of {folder} is full ({free >> 10:,} KB are free): free disk space, or choose another --home"


def end_of(log: Path, since: int = 0, lines: int = _LINES) -> tuple[str, ...]:
    """Return a title and the last lines of a log after its first `since` bytes; empty if there are none.

    Lines of JSON are turned into readable ones.
    """
    if not log.exists():
        return ()
    with log.open("rb") as file:
        file.seek(max(since, log.stat().st_size - _TAIL_BYTES))
        text = file.read().decode(errors="replace")
    last = [readable for line in text.splitlines() for readable in _readable(line)][-lines:]
    return (f"the end of {log}:", *(f"  {line}" for line in last)) if last else ()


def _readable(line: str) -> list[str]:
    """Return a line of a log as text, followed by the lines of its exception."""
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
        f"{cause.get('kind')}: {cause['message']}" if cause.get("message") else str(cause.get("kind"))
        for cause in (exceptions if isinstance(exceptions, list) else [])
        if isinstance(cause, dict)
    ]
    return [*(f"{level}{event['message']}").splitlines(), *causes]
