"""Checks a file by the stages that need no database, as if it were imported into a table without rows.

Existing keys and references are not checked; repeated keys in the file are.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bulk_pipeline.arrow.text import csv_records
from bulk_pipeline.pipeline import import_steps
from bulk_pipeline.pipeline.import_state import FAILURES_BEFORE_LOAD, ImportState
from bulk_pipeline.pipeline.work_files import WorkLocation
from bulk_pipeline.schema import ForeignKey, Mode, Table
from bulk_pipeline.stages.export.lines import csv_cells, header_line
from bulk_pipeline.stages.parse.upload import Upload
from bulk_pipeline.stages.report import ReportSummary
from bulk_pipeline.stages.sink import Sink
from bulk_pipeline.stages.split.key_claims import nothing_stored

_JOB_ID, _ATTEMPT = "check", 1


@dataclass(frozen=True)
class CheckedFile:
    """The results of a check. `reported` is the summary of its failures, `reports` the names of the written reports."""

    rows: int
    good: int
    columns: tuple[str, ...]
    reported: ReportSummary
    reports: tuple[str, ...]
    warnings: tuple[str, ...]


def check(
    upload: Upload,
    table: Table,
    mode: Mode,
    work: WorkLocation,
    open_report: Callable[[str], AbstractContextManager[Sink]],
    accepted: Sink | None,
) -> CheckedFile:
    """Check an upload, and write the reports of an import, and the good rows to `accepted`.

    Raises `FileError` for an upload that cannot be read.
    """
    parsed = import_steps.parse_upload(upload, _JOB_ID, _ATTEMPT, table, mode, work)
    validated = import_steps.validate_rows(parsed, work)
    checked = import_steps.split_rows(validated, _AllExist(), _EmptyTable(), work)
    failures = [checked.batches(work, name) for name in FAILURES_BEFORE_LOAD]
    reported, reports = import_steps.write_job_reports(
        checked, failures, open_report, work, has_origins=False
    )
    if accepted is not None:
        _write_accepted(checked, work, accepted)
    alike = import_steps.warning_of_keys(checked, work)
    warnings = (*upload.warnings, *([alike] if alike else ()))
    return CheckedFile(checked.rows, checked.good, checked.columns, reported, reports, warnings)


class _AllExist:
    """Referenced tables that have every row."""

    def missing(self, key: ForeignKey, values: pa.RecordBatch) -> np.ndarray:
        return np.zeros(values.num_rows, bool)


class _EmptyTable:
    """A table without rows."""

    def existing(self, rows: pa.RecordBatch) -> np.ndarray:
        return nothing_stored(rows)

    def keep(self) -> None:
        pass


def _write_accepted(checked: ImportState, work: WorkLocation, sink: Sink) -> None:
    """Write the good rows as the CSV of an export: row numbers, then the columns that the file has."""
    columns = [column for column in checked.table.columns if column.name in checked.columns]
    sink.write(header_line(["_row", *(column.name for column in columns)]))
    for rows in checked.good_rows(work):
        if rows.num_rows:
            sink.write(
                csv_records([rows["_row"], *(csv_cells(column, rows[column.name]) for column in columns)])
            )
