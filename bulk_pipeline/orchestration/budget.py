"""How much one job may leave on disk before loading: rejected rows, reports and work files. Past it the job fails.

Nothing of the file is loaded by then, so no row is without an account. Rows that only the database refuses are reported
whole, however many: others of their file are committed.
"""

import sys
from dataclasses import dataclass, field

import pyarrow as pa

from bulk_pipeline.errors import FileError
from bulk_pipeline.orchestration.staged import FOUND_BEFORE_LOAD, Staged
from bulk_pipeline.orchestration.work import WorkLocation

_COPIES = 2
"""A failure stands in errors.ndjson, and its sentence in the two other reports; a row stands in two of the three."""


@dataclass(frozen=True)
class Budget:
    """Rejected rows, and about how many bytes of reports, a job may have."""

    rejected_rows: int = sys.maxsize
    report_bytes: int = sys.maxsize


UNBOUNDED = Budget()


class TooManyRejectedRowsError(FileError):
    """More rows are rejected than the budget allows. `staged`: what there is up to then, for the reports.

    `codes` and `reports` are known once these are written: failures by code, and the key of each report.
    """

    def __init__(self, message: str, staged: Staged) -> None:
        super().__init__("too_many_rejected", message)
        self.staged = staged
        self.codes: dict[str, int] = {}
        self.reports: dict[str, str] = {}


@dataclass
class Rejections:
    """Counts what a step rejects, on top of what the steps before it have. `raw_bytes`: of a row, on average."""

    budget: Budget
    rows: int = 0
    failure_bytes: int = 0
    raw_bytes: float = field(default=0)

    @classmethod
    def before(cls, staged: Staged, work: WorkLocation, budget: Budget) -> "Rejections":
        """Those of the steps that have `staged` behind them, but for the rows, of which a step counts all."""
        sizes = [work.size_bytes(staged.files.get(name)) for name in FOUND_BEFORE_LOAD]
        raw_bytes = work.size_bytes(staged.files["raw"]) / max(staged.rows, 1)
        return cls(budget, failure_bytes=sum(sizes), raw_bytes=raw_bytes)

    def add(self, rows: int, failures: pa.RecordBatch) -> bool:
        """Count rejected rows and failures; return whether the budget is spent."""
        self.rows += rows
        self.failure_bytes += failures.nbytes
        return self.rows > self.budget.rejected_rows or self._report_bytes > self.budget.report_bytes

    def check(self, staged: Staged) -> Staged:
        """Return what was staged. Raises `TooManyRejectedRowsError` if the budget is spent."""
        if self.rows > self.budget.rejected_rows:
            limit = f"BULK_MAX_REJECTED_ROWS is {self.budget.rejected_rows:,}"
        elif self._report_bytes > self.budget.report_bytes:
            limit = f"their reports would have about {self._report_bytes:,} bytes, "
            limit += f"and BULK_MAX_REPORT_BYTES is {self.budget.report_bytes:,}"
        else:
            return staged
        raise TooManyRejectedRowsError(
            f"too many rejected rows: {self.rows:,} so far ({limit}); nothing was loaded, and the reports have the "
            "rows up to there: correct the file, or raise the setting",
            staged,
        )

    @property
    def _report_bytes(self) -> int:
        return int(_COPIES * (self.failure_bytes + self.rows * self.raw_bytes))
