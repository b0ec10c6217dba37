"""A file through the stages that need no stack: what an import into a table without these keys would make of it.

Existing keys and references are not checked; keys that the file uses twice are.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.orchestration import steps
from bulk_pipeline.orchestration.staged import FOUND_BEFORE_LOAD, Staged
from bulk_pipeline.orchestration.work import WorkLocation
from bulk_pipeline.schema import Column, ColumnType, Mode, Table
from bulk_pipeline.stages.export.cells import texts
from bulk_pipeline.stages.parse.upload import Upload
from bulk_pipeline.stages.report import Reported
from bulk_pipeline.stages.sink import Sink
from bulk_pipeline.stages.split import split
from bulk_pipeline.stages.texts import csv_records

_JOB_ID, _ATTEMPT = "check", 1


@dataclass(frozen=True)
class CheckedFile:
    """`reported`: its failures, and the first of them. `reports`: the names of the reports that were written.

    `warnings`: what is odd about the file.
    """

    rows: int
    good: int
    columns: tuple[str, ...]
    reported: Reported
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
    """Check an upload; write the reports of an import, and the good rows to `accepted`.

    Raises `FileError` for an upload that cannot be read as a whole.
    """
    parsed = steps.parse_upload(upload, _JOB_ID, _ATTEMPT, table, mode, work)
    checked = _without_repeated_keys(steps.validate_rows(parsed, work), work)
    found = [checked.batches(work, name) for name in FOUND_BEFORE_LOAD]
    reported, reports = steps.write_job_reports(checked, found, open_report, work)
    if accepted is not None:
        _write_accepted(checked, work, accepted)
    alike = steps.warning_of_keys(checked, work)
    warnings = (*upload.warnings, *([alike] if alike else ()))
    return CheckedFile(checked.rows, checked.good, checked.columns, reported, reports, warnings)


class _AllExist:
    def missing(self, table: str, ids: pa.Array) -> pa.Array:
        return ids.slice(0, 0)


def _without_repeated_keys(staged: Staged, work: WorkLocation) -> Staged:
    """As `split` does it for a table that is empty, and whose parents have every row that is referred to."""
    area = work.area(_JOB_ID, _ATTEMPT)
    rejected = staged.rejected(work, "parse_failures", "validate_failures")
    good = 0
    with area.writer("split_failures") as failures:
        for part in split(
            lambda: staged.batches(work, "rows"),
            rejected,
            staged.table,
            staged.mode,
            _AllExist(),
            folder=area.folder,
        ):
            good += part.good.num_rows
            if part.failures.num_rows:
                failures.write(part.failures)
    return replace(staged, files=staged.written(area, failures), good=good)


def _write_accepted(checked: Staged, work: WorkLocation, sink: Sink) -> None:
    """CSV, as an export writes it: the row numbers, then the columns of the table that the file has."""
    columns = [column for column in checked.table.columns if column.name in checked.columns]
    sink.write((",".join(["_row", *(column.name for column in columns)]) + "\n").encode())
    for rows in checked.good_rows(work):
        if rows.num_rows:
            sink.write(csv_records([rows["_row"], *_cells(columns, rows)]))


def _cells(columns: Sequence[Column], rows: pa.RecordBatch) -> Iterator[pa.Array]:
    for column in columns:
        cells = rows[column.name]
        match column.type:
            case ColumnType.BOOLEAN:  # as texts they would be quoted
                yield cells
            case ColumnType.UUID:  # texts until they are loaded
                yield pc.binary_join_element_wise(column.prefix or "", cells, "")
            case _:
                yield texts(column, cells)
