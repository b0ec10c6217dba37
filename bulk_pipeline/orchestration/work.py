"""The work area: Arrow IPC files that one step of a job writes and the next ones read.

Steps hand each other references to these files, never frames. Files are written under a name of their own and
renamed when they are whole, so that a step that died leaves nothing a later one could take for complete.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from bulk_pipeline.errors import WorkFilesMissingError


@dataclass(frozen=True)
class WorkArea:
    """The folder of one attempt at one job."""

    folder: Path

    @classmethod
    def of(cls, root: Path, job_id: str, attempt: int) -> "WorkArea":
        folder = root.resolve() / job_id / str(attempt)
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder)

    @contextmanager
    def writer(self, name: str) -> Iterator["BatchWriter"]:
        """A writer of `<name>.arrow`; the file appears when the block ends without an exception."""
        path = self.folder / f"{name}.arrow"
        partial = path.with_suffix(".partial")
        writer = BatchWriter(partial)
        try:
            yield writer
        except BaseException:
            writer.close()
            partial.unlink(missing_ok=True)
            raise
        writer.close()
        if writer.schema is not None:
            partial.replace(path)
        else:
            path.unlink(missing_ok=True)  # of the same step, run before

    def path(self, name: str) -> str:
        return str(self.folder / f"{name}.arrow")


class BatchWriter:
    """Appends record batches of one schema, which the first batch sets. Nothing is written for no batch."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self.schema: pa.Schema | None = None
        self.rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        if self._writer is None:
            self.schema = batch.schema
            self._writer = pa.ipc.new_file(str(self._path), batch.schema)
        self._writer.write_batch(batch)
        self.rows += batch.num_rows

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def read(path: str) -> Iterator[pa.RecordBatch]:
    """The batches of one work file, memory-mapped; none for a file that was never written to.

    Raises `WorkFilesMissingError` when the attempt's whole folder is gone.
    """
    file = Path(path)
    if not file.parent.is_dir():
        raise WorkFilesMissingError(
            f"the work files of this attempt are gone ({file.parent.name}): run the job again from parse"
        )
    if not file.exists():
        return
    with pa.memory_map(path) as source:
        reader = pa.ipc.open_file(source)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


def remove_job(root: Path, job_id: str) -> None:
    """Remove all work files of a job; it is no error if there are none."""
    shutil.rmtree(root / job_id, ignore_errors=True)


def jobs_untouched_for(root: Path, seconds: float) -> list[str]:
    """Ids of the jobs whose work folders have not changed for so long."""
    if not root.is_dir():
        return []
    before = time.time() - seconds
    return sorted(
        folder.name for folder in root.iterdir() if folder.is_dir() and folder.stat().st_mtime < before
    )
