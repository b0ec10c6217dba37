"""Limits the rejected rows, reports and work files of a job before loading; a job above a limit fails.

Nothing of the file is loaded by then, so that every row is accounted for. Rows that the database refuses later are all
reported, since other rows of their file are already committed.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.pipeline.import_state import FAILURES_BEFORE_LOAD, ImportState
from bulk_pipeline.pipeline.work_files import WorkLocation

_COPIES = 2
"""The number of times that the bytes of a failure, and of a raw row, are counted: a row is in errors.csv and in
rejected.*; the message of a failure is in both, besides its object in errors.ndjson."""


@dataclass(frozen=True)
class Budget:
    """The most rejected rows, bytes of reports (estimated) and bytes of work files of a job."""

    rejected_rows: int = sys.maxsize
    report_bytes: int = sys.maxsize
    work_bytes: int = sys.maxsize


UNBOUNDED = Budget()


class TooManyRejectedRowsError(FileError):
    """More rows are rejected than the budget allows. `state` is the job's state so far, for the reports.

    `codes` (failures by code) and `reports` (the key of each report) are set once the reports are written.
    """

    def __init__(self, message: str, state: ImportState) -> None:
        super().__init__(FileErrorCode.TOO_MANY_REJECTED, message)
        self.state = state
        self.codes: dict[str, int] = {}
        self.reports: dict[str, str] = {}


@dataclass
class Rejections:
    """Counts the rows that a step rejects, with the failures of earlier steps.

    `raw` are the rows as they were in the file, `raw_bytes` the bytes of those rejected. The bytes are counted exactly,
    since rejected rows are often the large ones: estimated by the mean row, reports of 20 MB passed a limit of 5 MB.
    """

    budget: Budget
    raw: Iterator[pa.RecordBatch] = field(default_factory=lambda: iter(()))
    rows: int = 0
    raw_bytes: int = 0
    failure_bytes: int = 0
    _numbers: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    _sizes: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    @classmethod
    def before(cls, state: ImportState, work: WorkLocation, budget: Budget) -> "Rejections":
        """Return the rejections of the steps before `state`, without rows, since each step counts all rows again."""
        sizes = [work.size_bytes(state.files.get(name)) for name in FAILURES_BEFORE_LOAD]
        return cls(budget, state.batches(work, "raw"), failure_bytes=sum(sizes))

    def add(self, rows: np.ndarray, failures: pa.RecordBatch) -> bool:
        """Count rejected rows and their failures; return True if the budget is exceeded.

        `rows` are row numbers (int64), sorted, unique, and after those added before.
        """
        self.rows += len(rows)
        self.failure_bytes += failures.nbytes
        if self.budget.report_bytes < sys.maxsize:
            self.raw_bytes += self._bytes_of(rows)
        return self.rows > self.budget.rejected_rows or self._report_bytes > self.budget.report_bytes

    def check(self, state: ImportState) -> ImportState:
        """Return the state. Raises `TooManyRejectedRowsError` if the budget is exceeded."""
        if self.rows > self.budget.rejected_rows:
            limit = f"BULK_MAX_REJECTED_ROWS is {self.budget.rejected_rows:,}"
        elif self._report_bytes > self.budget.report_bytes:
            limit = f"their reports would have about {self._report_bytes:,} bytes, "
            limit += f"and BULK_MAX_REPORT_BYTES is {self.budget.report_bytes:,}"
        else:
            return state
        raise TooManyRejectedRowsError(
            f"too many rejected rows: {self.rows:,} so far ({limit}); nothing was loaded, and the reports have the "
            "rows up to there: correct the file, or raise the setting",
            state,
        )

    def _bytes_of(self, rows: np.ndarray) -> int:
        """Return the bytes of the rows as they were in the file."""
        total = 0
        while len(rows):
            if not len(self._numbers) or self._numbers[-1] < rows[0]:
                if (batch := next(self.raw, None)) is None:
                    break
                self._numbers = batch["_row"].to_numpy()
                self._sizes = pc.fill_null(pc.binary_length(batch["raw"]), 0).to_numpy()
                continue
            here = int(np.searchsorted(rows, self._numbers[-1], side="right"))
            total += int(self._sizes[np.searchsorted(self._numbers, rows[:here])].sum())
            rows = rows[here:]
        return total

    @property
    def _report_bytes(self) -> int:
        return _COPIES * (self.failure_bytes + self.raw_bytes)
