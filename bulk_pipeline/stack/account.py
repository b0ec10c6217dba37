"""The account that runs Postgres, which refuses to run as root."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from bulk_pipeline.errors import StackError


@dataclass(frozen=True)
class Account:
    """A user other than the current one."""

    uid: int
    gid: int


def unprivileged() -> Account | None:
    """Return `nobody` if the current user is root; otherwise None, as Postgres can run as the current user."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise StackError("Postgres cannot run as root, and the user `nobody` does not exist") from error
    return Account(entry.pw_uid, entry.pw_gid)


def passable(folder: Path) -> bool:
    """Return whether any user may enter the folder and its parents."""
    resolved = folder.resolve()
    return all(part.stat().st_mode & 0o001 for part in (resolved, *resolved.parents))


def reachable(file: Path) -> bool:
    """Return whether any user may read the file."""
    return bool(file.stat().st_mode & 0o004) and passable(file.resolve().parent)
