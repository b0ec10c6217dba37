"""Writes a stream to a temporary file, for formats that are read from their end (Parquet, .xlsx, .zip).

The folder of these files stays locked as long as its process, or a fork of it, lives. So the folders of dead processes
can be told from all others, on every file system and in every container.
"""

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO

_PREFIX = "bulk-parse-"
_LOCK = "lock"


class Spool:
    """One temporary folder, created on first use and removed by `close` or with the object."""

    def __init__(self, folder: Path | None) -> None:
        self._parent = folder
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock: IO[bytes] | None = None
        self._count = 0

    def write(self, chunks: Iterable[bytes]) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=self._parent)
            self._lock = Path(self._folder.name, _LOCK).open("wb")  # noqa: SIM115  # closed by `close`
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._count += 1
        path = Path(self._folder.name) / str(self._count)
        with path.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
        return path

    def close(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def remove_abandoned(folder: Path, untouched_seconds: float) -> int:
    """Remove the temporary folders in `folder` whose parsers died, and return their number.

    Only folders unchanged for `untouched_seconds` are removed: an earlier version, which may still run, locks none.
    """
    until = time.time() - untouched_seconds
    return sum(_remove_abandoned(spool, until) for spool in folder.glob(f"{_PREFIX}*"))


def _remove_abandoned(spool: Path, until: float) -> bool:
    try:
        if spool.is_symlink() or any(path.stat().st_mtime > until for path in (spool, *spool.iterdir())):
            return False
        with (spool / _LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(spool)
    except OSError:  # its process lives, it belongs to another user, or it is already gone
        return False
    return True
