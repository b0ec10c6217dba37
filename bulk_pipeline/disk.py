"""Free space on the file systems for work and temporary files. A full disk is an outage, not a problem of a file.

For Postgres's disk `postgres.connection` raises the same error.
"""

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bulk_pipeline.errors import DiskFullError
from bulk_pipeline.settings import Settings

_FULL = (errno.ENOSPC, errno.EDQUOT)
_SHARE_OF_TEMPORARY = 10
"""A temporary folder may be a small file system in memory: a tenth of it is enough, if that is less than the bound."""
_MOST_CAUSES = 10


@dataclass(frozen=True)
class Place:
    """A file system. `name`: the purpose of its files. `needed_bytes`: bytes that must be free."""

    name: str
    folder: Path
    free_bytes: int
    needed_bytes: int

    @property
    def problem(self) -> str | None:
        """Return a sentence if too little is free, else None."""
        if self.free_bytes >= self.needed_bytes:
            return None
        return (
            f"disk_full: {self.free_bytes:,} bytes are free for {self.name} ({self.folder}), and "
            f"{self.needed_bytes:,} must be (BULK_MIN_FREE_BYTES)"
        )


@dataclass(frozen=True)
class Disk:
    """The file systems of the work area and of the temporary folder, which may be the same."""

    work: Path
    min_free_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> "Disk":
        return cls(settings.local_work_dir.resolve(), settings.bulk_min_free_bytes)

    def places(self) -> list[Place]:
        """Return the file systems with their present free space."""
        work, temporary = existing(self.work), Path(tempfile.gettempdir())
        places = [Place("work files", work, shutil.disk_usage(work).free, self.min_free_bytes)]
        if temporary.stat().st_dev != work.stat().st_dev:
            usage = shutil.disk_usage(temporary)
            needed = min(self.min_free_bytes, usage.total // _SHARE_OF_TEMPORARY)
            places.append(Place("temporary files", temporary, usage.free, needed))
        return places

    def problem(self) -> str | None:
        """Return the problems of the file systems, None if there are none."""
        return "; ".join(filter(None, (place.problem for place in self.places()))) or None

    def check(self) -> None:
        """Raise `DiskFullError` if there is too little space."""
        if problem := self.problem():
            raise DiskFullError(problem)


@contextmanager
def outages() -> Iterator[None]:
    """Turn an exception caused by a full disk into `DiskFullError`, also if a library has wrapped it."""
    try:
        yield
    except DiskFullError:
        raise
    except Exception as error:
        if (cause := _cause(error)) is None:
            raise
        where = f": {cause.filename}" if cause.filename else ""
        raise DiskFullError(f"disk_full: no space is left for work files{where}") from error


def existing(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists."""
    return next(place for place in (folder.resolve(), *folder.resolve().parents) if place.exists())


def _cause(error: BaseException | None) -> OSError | None:
    """Return the system's error about a full disk among the causes of `error`."""
    for _ in range(_MOST_CAUSES):
        if error is None:
            return None
        if isinstance(error, OSError) and error.errno in _FULL:
            return error
        error = error.__cause__
    return None
