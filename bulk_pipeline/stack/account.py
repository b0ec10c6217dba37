"""The account that Postgres runs as: Postgres refuses to run as root."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from bulk_pipeline.errors import StackError


@dataclass(frozen=True)
class Account:
    """A user other than the present one."""

    uid: int
    gid: int


def unprivileged() -> Account | None:
    """None for an ordinary user, who runs Postgres as himself; `nobody` for root."""
    if os.geteuid() != 0:
        return None
    try:
        found = pwd.getpwnam("nobody")
    except KeyError as error:
        raise StackError(
            "Postgres does not run as root, and there is no user `nobody` to run it as"
        ) from error
    return Account(found.pw_uid, found.pw_gid)


def passable(folder: Path) -> bool:
    """Whether everybody may enter the folder and those that lead to it."""
    resolved = folder.resolve()
    return all(part.stat().st_mode & 0o001 for part in (resolved, *resolved.parents))


def reachable(file: Path) -> bool:
    """Whether everybody may read the file where it is."""
    return bool(file.stat().st_mode & 0o004) and passable(file.resolve().parent)
