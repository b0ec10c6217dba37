"""Checks a file by the stages that need no database, as if it were imported into a table without rows.

Existing keys and references are not checked; repeated keys in the file are.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from bulk_pipeline.arrow.text import csv_records
from bulk_pipeline.limits import DEFAULT_LIMITS, Limits
from bulk_pipeline.pipeline import import_steps
from bulk_pipeline.pipeline.import_state import FAILURES_BEFORE_LOAD, ImportState
from bulk_pipeline.pipeline.work_files import WorkLocation
from bulk_pipeline.schema import NOTHING_DECLARED, ForeignKey, Mode, Table, UploadFormat
from bulk_pipeline.stages.export.lines import csv_cells, header_line
from bulk_pipeline.stages.parse.parsed import Dialect
from bulk_pipeline.stages.parse.upload import Upload, open_upload
from bulk_pipeline.stages.report import ReportSummary
from bulk_pipeline.stages.sink import Sink
from bulk_pipeline.stages.split.key_claims import nothing_stored

_JOB_ID, _ATTEMPT = "check", 1


@dataclass(frozen=True)
class CheckedFile:
    """The results of a check. `reported` is the summary of its failures, `reports` the names of the written reports.

    `dialect`: as what the file was read. `first`: its first records as text columns, after `_row` and `_line`; None
    without any.
    """

    rows: int
    good: int
    columns: tuple[str, ...]
    reported: ReportSummary
    reports: tuple[str, ...]
    warnings: tuple[str, ...]
    dialect: Dialect
    first: pa.RecordBatch | None


def check_file(
    stream: BinaryIO,
    name: str,
    table: Table,
    mode: Mode,
    folder: Path,
    *,
    declared: UploadFormat = NOTHING_DECLARED,
    limits: Limits = DEFAULT_LIMITS,
    accepted: AbstractContextManager[Sink] | None = None,
) -> CheckedFile:
    """Check a file, and write the reports into the folder, which also takes the work files.

    `accepted` is opened for the good rows once the whole file has been read. Raises `FileError` for a file that cannot
    be read.
    """
    upload = open_upload(
        stream, name, table=table, mode=mode, declared=declared, limits=limits, spool_dir=folder
    )
    try:
        return check(
            upload, table, mode, WorkLocation(folder), lambda report: (folder / report).open("wb"), accepted
        )
    finally:
        upload.close()


def check(
    upload: Upload,
    table: Table,
    mode: Mode,
    work: WorkLocation,
    open_report: Callable[[str], AbstractContextManager[Sink]],
    accepted: AbstractContextManager[Sink] | None,
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
        with accepted as sink:
            _write_accepted(checked, work, sink)
    alike = import_steps.warning_of_keys(checked, work)
    warnings = (*upload.warnings, *([alike] if alike else ()))
    first = next(parsed.batches(work, "records"), None)
    return CheckedFile(
        checked.rows, checked.good, checked.columns, reported, reports, warnings, upload.dialect, first
    )


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
