"""Limits the memory of a run: an allocation above the limit fails, and with it the file that is being read.

The limit is `RLIMIT_DATA`, which counts private writable memory (Linux 4.7 and later): heap, anonymous mappings and
the stacks of threads. `RLIMIT_AS` would also count memory that allocators and libraries only reserve, sometimes
several GB. Systems other than Linux do not enforce the limit.
"""

import errno
import multiprocessing
import resource
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from bulk_pipeline.errors import FileError, FileErrorCode

RUNS_AT_ONCE = 4
"""`max_concurrent_runs` of dagster.yaml."""

LEAST_BYTES, MOST_BYTES = 1 << 30, 2 << 30
"""The range of the default limit. Files of any size need less than the lower bound."""

_NO_THREAD = "can't start new thread"
"""Python's message if there is no memory for a thread's stack, or if there are too many threads."""


class NeedsMemoryError(FileError):
    """A file needs more memory than its run may have."""

    def __init__(self) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
        limit = "there is" if soft == resource.RLIM_INFINITY else f"{soft:,} bytes"
        super().__init__(
            FileErrorCode.NEEDS_MEMORY,
            f"reading this file needs more memory than {limit} (BULK_RUN_MEMORY_BYTES): split the file, or raise the "
            "setting, then retry the job",
        )


class Crowd:
    """Turns a lack of memory into a failure of the file that caused it, and notes jobs that must be repeated alone."""

    def __init__(self) -> None:
        self._job_ids: set[str] = set()

    @contextmanager
    def working_on(self, job_id: str, *, is_alone: bool, may_fail: Callable[[], bool]) -> Iterator[None]:
        """Raise `NeedsMemoryError` if memory runs out for a job that is alone and may fail for that reason.

        If several jobs are worked on together, it is unknown whose file takes the memory: `had_none` tells which jobs
        got none.
        """
        try:
            yield
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            free(error)
            if not is_alone:
                self._job_ids.add(job_id)
            elif may_fail():
                raise NeedsMemoryError from error
            else:
                raise

    def had_none(self, job_id: str) -> bool:
        """Return True if the job ran out of memory beside others, and forget it."""
        had_none = job_id in self._job_ids
        self._job_ids.discard(job_id)
        return had_none


def limit_run(limit_bytes: int | None) -> None:
    """Limit the memory of this process, in which a run begins; with None, to `default_bytes`.

    A run that is not a child of a code server has its machine or container for itself, and no limit by default.
    """
    if limit_bytes is None and multiprocessing.parent_process() is None:
        return
    limit = default_bytes() if limit_bytes is None else limit_bytes
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))


def default_bytes(root: Path = Path("/")) -> int:
    """Return a run's share of the memory, between `LEAST_BYTES` and `MOST_BYTES`."""
    memory = min([psutil.virtual_memory().total, *_cgroup_limits(root)])
    return max(LEAST_BYTES, min(MOST_BYTES, memory // RUNS_AT_ONCE))


def is_out_of_memory(error: BaseException | None) -> bool:
    """Return True if the error, or one of its causes, is a lack of memory."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        match error:
            case MemoryError():
                return True
            case OSError(errno=errno.ENOMEM):
                return True
            case RuntimeError() if str(error) == _NO_THREAD and _is_near_limit():
                return True
        error = error.__cause__ or error.__context__
    return False


def free(error: BaseException) -> None:
    """Clear the frames of the error's traceback, since its handling needs memory too."""
    traceback.clear_frames(error.__traceback__)


def _is_near_limit() -> bool:
    soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return soft != resource.RLIM_INFINITY and psutil.Process().memory_info().data > 0.8 * soft


def _cgroup_limits(root: Path) -> Iterator[int]:
    """Yield the limits of the process's control groups. A container's own group is mounted as the topmost."""
    top = root / "sys/fs/cgroup"
    for folder, name in _cgroups(root, top):
        for place in (folder, *folder.parents):
            with suppress(OSError, ValueError):  # there is no limit, or it is "max"
                yield int((place / name).read_text())
            if place == top:
                break


def _cgroups(root: Path, top: Path) -> Iterator[tuple[Path, str]]:
    """Yield the process's folders and the names of their limit files, for versions 2 and 1 of control groups."""
    yield top, "memory.max"
    yield top / "memory", "memory.limit_in_bytes"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield top / path.lstrip("/"), "memory.max"
        elif "memory" in controllers.split(","):
            yield top / "memory" / path.lstrip("/"), "memory.limit_in_bytes"
