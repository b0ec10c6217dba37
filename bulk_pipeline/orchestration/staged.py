"""What one op hands to the next about one job: references and counts, never rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from bulk_pipeline import tables
from bulk_pipeline.orchestration.work import BatchWriter, WorkArea, WorkLocation
from bulk_pipeline.schema import Mode, Table
from bulk_pipeline.stages import absence
from bulk_pipeline.stages.failures import none
from bulk_pipeline.stages.parse.parsed import Dialect
from bulk_pipeline.stages.sorted_sets import positions, union

FOUND_BEFORE_LOAD = ("parse_failures", "validate_failures", "split_failures")
"""The failure files of a job, in the order in which the stages write them."""


@dataclass(frozen=True)
class Staged:
    """One job on its way. `files`: name -> reference of a file in the work location, None if nothing was written.

    `columns`: the table's columns that the file has. `rows`: data records in the file.
    `good`: those of them that no stage so far has rejected. `batch_rows`: how many rows
    are committed together, once that is fixed.
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

    @property
    def table(self) -> Table:
        return tables.get(self.table_name)

    def batches(self, work: WorkLocation, name: str) -> Iterator[pa.RecordBatch]:
        return work.read(self.files[name])

    def numbers(self, work: WorkLocation, name: str) -> np.ndarray:
        """The row numbers in a file of nothing else: int64, sorted, each once."""
        return union(batch["row"].to_numpy() for batch in self.batches(work, name))

    def good_rows(self, work: WorkLocation) -> Iterator[pa.RecordBatch]:
        """The typed rows that no stage has rejected, as validation has left them in two files, with the columns that
        are absent from each (`stages.absence`) if there is a file of these."""
        rejected = self.rejected(work, *FOUND_BEFORE_LOAD)
        records = (batch for batch in self.batches(work, "records") if batch.num_rows)
        absences = self.batches(work, "absences")
        for texts, rows in zip(records, self.batches(work, "rows"), strict=True):
            whole = _beside(rows, texts, self.columns)
            if (absent := next(absences, None)) is not None:
                whole = whole.append_column(absence.COLUMN, absent[absence.COLUMN])
            failed, _ = positions(whole["_row"].to_numpy(), rejected)
            yield whole.filter(pa.array(~failed)) if failed.any() else whole

    def written(self, area: WorkArea, *written: BatchWriter) -> dict[str, str | None]:
        """`files`, and those that a step has written."""
        return self.files | area.references(*written)

    def rejected(self, work: WorkLocation, *names: str) -> np.ndarray:
        """Numbers of the rows with a failure in one of these files: int64, sorted, each once."""
        return union(batch["row"].to_numpy() for name in names for batch in self.batches(work, name))


def _beside(rows: pa.RecordBatch, texts: pa.RecordBatch, columns: Iterable[str]) -> pa.RecordBatch:
    """The columns, each from `rows` or, if those do not have it, from `texts`."""
    names = ["_row", "_line", *columns]
    typed = set(rows.schema.names)
    return pa.RecordBatch.from_arrays(
        [(rows if name in typed else texts)[name] for name in names], names=names
    )


class FailureReader:
    """Walks failure batches, sorted by row, alongside the records they belong to."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches = iter(batches)
        self._pending = none()

    def through(self, row: int) -> pa.RecordBatch:
        """The failures of rows up to and including `row` that were not given before."""
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
