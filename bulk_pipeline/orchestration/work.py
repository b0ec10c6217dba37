"""The work location: Arrow IPC files that one step of a job writes and the next ones read.

Steps hand each other references to these files, never frames; a reference is `<job id>/<attempt>/<name>.arrow`,
which means the same on every machine. Files are written in a folder under another name and renamed when they are
whole, so that a step that died leaves nothing a later one could take for complete. With a mirror, every finished
file is copied there too, and fetched by a machine that has not got it: reading is memory-mapped either way.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Protocol
from uuid import UUID, uuid4

import pyarrow as pa

from bulk_pipeline.errors import NotFoundError, WorkFilesMissingError

_MAPPED_BYTES = 8 << 20
"""What was read counts as the process's memory until its mapping ends: with one mapping for a whole file, a run
grew with its file (808 MB for a CSV file of 380 MB, 365 MB with a mapping for each batch)."""


class Mirror(Protocol):
    """A place that all machines can reach. Its methods raise `StoreUnavailableError` in an outage."""

    def push(self, reference: str, file: Path) -> None:
        """Keep a copy of the file, which appears when it is whole."""
        ...

    def pull(self, reference: str, file: Path) -> None:
        """Write the copy into `file`; `NotFoundError` if there is none."""
        ...

    def remove(self, owner: str) -> None:
        """Remove what lies in the owner's folder, if there is anything."""
        ...

    def ages(self) -> dict[str, float]:
        """Seconds since something last appeared in each owner's folder."""
        ...


@dataclass(frozen=True)
class WorkLocation:
    """The work files of all jobs, each in a folder that is named by its owner: a job or, for what its ops hand
    over, a run.

    `check` is called before each batch that is read or written, and raises if the work on them should stop.
    """

    folder: Path
    mirror: Mirror | None = None
    check: Callable[[], None] = lambda: None

    def area(self, job_id: str, attempt: int) -> "WorkArea":
        area = WorkArea(self, f"{job_id}/{attempt}")
        area.folder.mkdir(parents=True, exist_ok=True)
        return area

    def read(self, reference: str | None) -> Iterator[pa.RecordBatch]:
        """The batches of one work file, memory-mapped; none if nothing was written (no reference).

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
        """Write a small file at once."""
        file = self.folder / reference
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = _partial(file)
        partial.write_bytes(content)
        self.publish(partial, reference)

    def publish(self, partial: Path, reference: str) -> None:
        """Let a file appear that is whole now."""
        file = partial.replace(self.folder / reference)
        if self.mirror is not None:
            self.mirror.push(reference, file)

    def find(self, reference: str) -> Path:
        """The file in the folder, fetched if need be. `WorkFilesMissingError` if it is nowhere."""
        file = self.folder / reference
        if not file.exists():
            self._fetch(reference, file)
        return file

    def size_bytes(self, reference: str | None) -> int:
        return self.find(reference).stat().st_size if reference else 0

    def remove(self, owner: str) -> None:
        """Remove all files of a job or run; it is no error if there are none."""
        shutil.rmtree(self.folder / owner, ignore_errors=True)
        if self.mirror is not None:
            self.mirror.remove(owner)

    def untouched_for(self, seconds: float) -> list[str]:
        """The owners, jobs and runs, whose files have not changed for so long, here and in the mirror."""
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
    """The files of one attempt at one job; `name` is that of its folder."""

    location: WorkLocation
    name: str

    @property
    def folder(self) -> Path:
        return self.location.folder / self.name

    @contextmanager
    def writer(self, name: str) -> Iterator["BatchWriter"]:
        """A writer of `<name>.arrow`; the file appears when the block ends without an exception."""
        path = self.location.folder / self._reference(name)
        partial = path.with_suffix(".partial")
        writer = BatchWriter(name, partial, self.location.check)
        try:
            yield writer
        except BaseException:
            writer.close()
            partial.unlink(missing_ok=True)
            raise
        writer.close()
        if writer.schema is not None:
            self.location.publish(partial, self._reference(name))
        else:
            path.unlink(missing_ok=True)  # of the same step, run before

    def references(self, *written: "BatchWriter") -> dict[str, str | None]:
        """Name → reference of what a step has written; None where that was nothing."""
        return {one.name: self._reference(one.name) if one.schema else None for one in written}

    def _reference(self, name: str) -> str:
        return f"{self.name}/{name}.arrow"


class BatchWriter:
    """Appends record batches of one schema, which the first batch sets. Nothing is written for no batch."""

    def __init__(self, name: str, path: Path, check: Callable[[], None]) -> None:
        self.name = name
        self._path = path
        self._check = check
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self.schema: pa.Schema | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        self._check()
        if self._writer is None:
            self.schema = batch.schema
            self._writer = pa.ipc.new_file(str(self._path), batch.schema)
        self._writer.write_batch(batch)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _partial(file: Path) -> Path:
    """A name of its own: several threads or processes may want the same file at once."""
    return file.with_name(f"{uuid4().hex}.partial")


def _ages(folder: Path) -> dict[str, float]:
    if not folder.is_dir():
        return {}
    now = time.time()
    return {owner.name: now - owner.stat().st_mtime for owner in folder.iterdir() if owner.is_dir()}


def _is_id(name: str) -> bool:
    """Whether it can be a job's or run's: what else lies in the folder or bucket is somebody else's."""
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False
