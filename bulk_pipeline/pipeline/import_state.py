"""The state of an import between its steps: references to work files and counts, never rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from bulk_pipeline import tables
from bulk_pipeline.arrow.row_sets import union
from bulk_pipeline.pipeline.work_files import BatchWriter, WorkArea, WorkLocation
from bulk_pipeline.schema import NOTHING_DECLARED, Mode, Table, UploadFormat
from bulk_pipeline.stages.failures import none
from bulk_pipeline.stages.origins import Origins
from bulk_pipeline.stages.parse.parsed import Dialect

FAILURES_BEFORE_LOAD = ("parse_failures", "validate_failures", "split_failures")
"""The failure files of a job, in the order in which the stages write them."""


@dataclass(frozen=True)
class ImportState:
    """The state of one job. `files` has the references of its work files by name, None for a file without batches.

    `columns` are the table's columns that the file has, `rows` the number of data records in the file, `good` the
    number of records that no stage has rejected so far. `batch_rows` is the number of rows that are committed together,
    once it is fixed. `declared` is the format of the file, as far as later steps need it. `parents` are the jobs that
    rejected some of its rows before.
    """

    job_id: str
    attempt: int
    table_name: str
    mode: Mode
    dialect: Dialect
    columns: tuple[str, ...]
    rows: int
    good: int
    files: dict[str, str | None] = field(default_factory=dict)
    batch_rows: int | None = None
    declared: UploadFormat = NOTHING_DECLARED
    parents: tuple[str, ...] = ()

    @property
    def table(self) -> Table:
        return tables.get(self.table_name).matching(self.declared)

    def batches(self, work: WorkLocation, name: str) -> Iterator[pa.RecordBatch]:
        return work.read(self.files[name])

    def numbers(self, work: WorkLocation, name: str) -> np.ndarray:
        """Return the row numbers in a file that has only those: int64, sorted, unique."""
        return union(batch["row"].to_numpy() for batch in self.batches(work, name))

    def origins(self, work: WorkLocation) -> Origins:
        """Return the origins of the file's rows in the jobs `parents`."""
        return Origins.of(self.batches(work, "origins") if self.parents else (), self.parents)

    def good_rows(self, work: WorkLocation) -> Iterator[pa.RecordBatch]:
        """Yield the typed rows that `split` selected, with the column of `stages.absence` if they differ in columns."""
        for rows, selection in zip(self.batches(work, "rows"), self.batches(work, "selection"), strict=True):
            is_good = selection["is_good"]
            yield rows if is_good.true_count == len(rows) else rows.filter(is_good)

    def files_with(self, area: WorkArea, *writers: BatchWriter) -> dict[str, str | None]:
        """Return `files` with those that a step has written."""
        return self.files | area.references(*writers)

    def rejected(self, work: WorkLocation, *names: str) -> np.ndarray:
        """Return the numbers of the rows with a failure in these files: int64, sorted, unique."""
        return union(batch["row"].to_numpy() for name in names for batch in self.batches(work, name))


class FailureReader:
    """Reads failure batches, sorted by row, in step with the records they belong to."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches = iter(batches)
        self._pending = none()

    def through(self, row: int) -> pa.RecordBatch:
        """Return the failures of rows up to and including `row` that have not been returned before."""
        parts = [self._pending]
        while parts[-1].num_rows == 0 or parts[-1]["row"][-1].as_py() <= row:
            following = next(self._batches, None)
            if following is None:
                break
            parts.append(following)
        together = pa.concat_batches(parts)
        cut = int(np.searchsorted(together["row"].to_numpy(), row, side="right"))
        self._pending = together.slice(cut)
        return together.slice(0, cut)
