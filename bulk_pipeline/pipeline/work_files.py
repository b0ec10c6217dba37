"""The work location: Arrow IPC files that one step of a job writes and later steps read.

Steps pass each other references to these files, never frames; a reference is `<job id>/<attempt>/<name>.arrow` on
every machine. Files are written under a temporary name and renamed when they are complete, so that a dead step leaves
no file that could be mistaken for complete. With a mirror, every complete file is also copied there, and fetched by
machines that lack it. Files are always read memory-mapped.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Protocol
from uuid import UUID, uuid4

import pyarrow as pa

from bulk_pipeline.errors import NotFoundError, WorkFilesMissingError

_MAPPED_BYTES = 8 << 20
"""Bytes read through one mapping: pages that were read count as the process's memory until the mapping ends. With one
mapping for a whole file, a run grew with its file (808 MB for a CSV file of 380 MB, 365 MB with one per batch)."""


class Mirror(Protocol):
    """A place that all machines can access. Its methods raise `StoreUnavailableError` in an outage."""

    def push(self, reference: str, file: Path) -> None:
        """Store a copy of the file, which becomes visible when it is complete."""
        ...

    def pull(self, reference: str, file: Path) -> None:
        """Write the copy to `file`. Raises `NotFoundError` if there is none."""
        ...

    def remove(self, owner: str) -> None:
        """Remove the owner's folder, if there is one."""
        ...

    def ages(self) -> dict[str, float]:
        """Return the seconds since the last file appeared in each owner's folder."""
        ...


@dataclass(frozen=True)
class WorkLocation:
    """The work files of all jobs, in folders named after their owner: a job or, for values between ops, a run.

    `check` is called before each batch that is read or written, and `wrote` with the bytes of each written batch; both
    raise to stop the work.
    """

    folder: Path
    mirror: Mirror | None = None
    check: Callable[[], None] = lambda: None
    wrote: Callable[[int], None] = lambda _: None

    def area(self, job_id: str, attempt: int) -> "WorkArea":
        area = WorkArea(self, f"{job_id}/{attempt}")
        area.folder.mkdir(parents=True, exist_ok=True)
        return area

    def read(self, reference: str | None) -> Iterator[pa.RecordBatch]:
        """Yield the batches of a work file, memory-mapped; none without a reference, if nothing was written.

        Raises `WorkFilesMissingError`.
        """
        if reference is None:
            return
        file, number, batches = str(self.find(reference)), 0, 1
        while number < batches:
            with pa.memory_map(file) as source:
                reader = pa.ipc.open_file(source)
                batches, mapped_bytes = reader.num_record_batches, 0
                while number < batches and mapped_bytes < _MAPPED_BYTES:
                    self.check()
                    batch = reader.get_batch(number)
                    number, mapped_bytes = number + 1, mapped_bytes + batch.nbytes
                    yield batch

    def put(self, reference: str, content: bytes) -> None:
        """Write a small file."""
        file = self.folder / reference
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = _partial(file)
        partial.write_bytes(content)
        self.publish(partial, reference)

    def publish(self, partial: Path, reference: str) -> None:
        """Rename a complete file to its final name, and copy it to the mirror."""
        file = partial.replace(self.folder / reference)
        if self.mirror is not None:
            self.mirror.push(reference, file)

    def find(self, reference: str) -> Path:
        """Return the path of the file, fetched from the mirror if needed. Raises `WorkFilesMissingError`."""
        file = self.folder / reference
        if not file.exists():
            self._fetch(reference, file)
        return file

    def size_bytes(self, reference: str | None) -> int:
        return self.find(reference).stat().st_size if reference else 0

    def remove(self, owner: str) -> None:
        """Remove all files of a job or run, if there are any."""
        shutil.rmtree(self.folder / owner, ignore_errors=True)
        if self.mirror is not None:
            self.mirror.remove(owner)

    def remove_earlier(self, job_id: str, attempt: int) -> None:
        """Remove the files of earlier attempts at a job."""
        for earlier in range(1, attempt):
            self.remove(f"{job_id}/{earlier}")

    def untouched_for(self, seconds: float) -> list[str]:
        """Return the owners, jobs and runs, whose files have not changed for `seconds`, here and in the mirror."""
        here, mirrored = _ages(self.folder), self.mirror.ages() if self.mirror else {}
        return sorted(
            owner
            for owner in here.keys() | mirrored.keys()
            if _is_id(owner) and min(here.get(owner, inf), mirrored.get(owner, inf)) > seconds
        )

    def _fetch(self, reference: str, file: Path) -> None:
        gone = f"work files are gone ({reference}): run the job again from parse"
        if self.mirror is None:
            raise WorkFilesMissingError(gone)
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = _partial(file)
        try:
            self.mirror.pull(reference, partial)
            partial.replace(file)
        except NotFoundError as error:
            raise WorkFilesMissingError(gone) from error
        finally:
            partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class WorkArea:
    """The files of one attempt at one job, in the folder `name`."""

    location: WorkLocation
    name: str

    @property
    def folder(self) -> Path:
        return self.location.folder / self.name

    @contextmanager
    def writer(self, name: str) -> Iterator["BatchWriter"]:
        """Open a writer of `<name>.arrow`; the file becomes visible when the block ends without an exception."""
        path = self.location.folder / self._reference(name)
        partial = path.with_suffix(".partial")
        writer = BatchWriter(name, partial, self.location)
        try:
            yield writer
            writer.close()
        except BaseException:
            with suppress(OSError):  # the failed write has already reported a full disk
                writer.close()
            partial.unlink(missing_ok=True)
            raise
        if writer.schema is not None:
            self.location.publish(partial, self._reference(name))
        else:
            path.unlink(missing_ok=True)  # from an earlier run of this step

    def references(self, *writers: "BatchWriter") -> dict[str, str | None]:
        """Return the references of written files by name, None for a writer without batches."""
        return {writer.name: self._reference(writer.name) if writer.schema else None for writer in writers}

    def _reference(self, name: str) -> str:
        return f"{self.name}/{name}.arrow"


class BatchWriter:
    """Appends record batches with the schema of the first batch. Without batches, no file is written."""

    def __init__(self, name: str, path: Path, location: WorkLocation) -> None:
        self.name = name
        self._path = path
        self._location = location
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self.schema: pa.Schema | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        self._location.check()
        if self._writer is None:
            self.schema = batch.schema
            self._writer = pa.ipc.new_file(str(self._path), batch.schema)
        self._writer.write_batch(batch)
        self._location.wrote(batch.nbytes)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _partial(file: Path) -> Path:
    """Return a unique temporary path, since several threads or processes may write the same file at once."""
    return file.with_name(f"{uuid4().hex}.partial")


def _ages(folder: Path) -> dict[str, float]:
    if not folder.is_dir():
        return {}
    now = time.time()
    return {owner.name: now - owner.stat().st_mtime for owner in folder.iterdir() if owner.is_dir()}


def _is_id(name: str) -> bool:
    """Return True for the id of a job or run; other entries of the folder or bucket are not ours."""
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False
