"""Checks the free space and a job's share of the disk while the job writes work files."""

import os
from pathlib import Path
from time import monotonic

from bulk_pipeline.disk import Disk
from bulk_pipeline.errors import FileError, FileErrorCode

_CHECK_SECONDS = 0.1
"""Seconds between two checks: a check takes some 50 µs, and a disk can write 2 GB/s, so 200 MB until the next one."""
_CHECKS_PER_LIMIT = 100


class WorkWatch:
    """Watches a job's folder, which may have `most_bytes`.

    Measures every tenth of a second, and after each hundredth of the limit. `check` is called before each piece that
    is read or written, `wrote` after each that is written.
    """

    def __init__(self, folder: Path, disk: Disk, most_bytes: int) -> None:
        self._folder = folder
        self._disk = disk
        self._most_bytes = most_bytes
        self._measured_at = monotonic()
        self._unseen_bytes = 0

    def check(self) -> None:
        """Raise `DiskFullError` if too little space is free, or `FileError` if the job has written too much."""
        if monotonic() - self._measured_at >= _CHECK_SECONDS:
            self._measure()

    def wrote(self, size_bytes: int) -> None:
        """Count written bytes; raises like `check`."""
        self._unseen_bytes += size_bytes
        if self._unseen_bytes > self._most_bytes // _CHECKS_PER_LIMIT:
            self._measure()

    def _measure(self) -> None:
        self._measured_at, self._unseen_bytes = monotonic(), 0
        self._disk.check()
        size_bytes = _size_bytes(self._folder)
        if size_bytes > self._most_bytes:
            raise FileError(
                FileErrorCode.TOO_MUCH_WORK,
                f"the work files of this upload have {size_bytes:,} bytes, more than BULK_MAX_WORK_BYTES "
                f"({self._most_bytes:,}) allows; nothing was loaded: split the file, or raise the setting",
            )


def _size_bytes(folder: str | os.PathLike[str]) -> int:
    """Return the bytes of all files below a folder, in which files may appear and vanish meanwhile."""
    try:
        with os.scandir(folder) as entries:
            return sum(
                _size_bytes(entry) if entry.is_dir(follow_symlinks=False) else _file_bytes(entry)
                for entry in entries
            )
    except FileNotFoundError:
        return 0


def _file_bytes(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0
