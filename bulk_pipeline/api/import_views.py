"""Imports as JSON, in the form that clients of /api/v1 expect. Optional members without a value are left out."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict

from bulk_pipeline.ledger.failure_reports import FailurePage, ReportLine
from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.ledger.visibility import VisibleImport

ShownStatus = Literal["pending", "processing", "completed", "completed_with_errors", "failed", "cancelled"]

_EXAMPLE: JsonDict = {
    "id": "01a00000-0000-7000-8000-000000000000",
    "job_id": "01a00000-0000-7000-8000-000000000000",
    "resource_type": "users",
    "status": "completed_with_errors",
    "total_records": 3,
    "processed_records": 3,
    "success_count": 2,
    "failure_count": 1,
    "fixed_count": 0,
    "open_count": 1,
    "metadata": {"filename": "users.csv"},
    "created_at": "2026-11-25T08:00:00.000000Z",
    "updated_at": "2026-11-25T08:00:02.000000Z",
    "started_at": "2026-11-25T08:00:01.000000Z",
    "completed_at": "2026-11-25T08:00:02.000000Z",
    "percent": 100,
    "rows_per_second": 3.0,
}
_FAILURE: JsonDict = {
    "row": 2,
    "field": "email",
    "value": "nobody",
    "reason": "'nobody' is not an email address",
}
_DETAILED: JsonDict = {**_EXAMPLE, "errors": [_FAILURE]}


class Failure(BaseModel):
    """One broken rule in one row. `row` is 1 for the first data record; `field` is null for a rule about the row."""

    model_config = ConfigDict(json_schema_extra={"examples": [_FAILURE]})
    row: int
    field: str | None
    value: str | None
    reason: str


class PagedFailure(Failure):
    """`line`: the line of the file in which the record begins, if the format has lines. `code`: the kind of failure."""

    line: int | None
    code: str


class FailuresPage(BaseModel):
    """Failures in row order. `next_cursor`: `cursor` of the next page; null on the last page."""

    job_id: str
    errors: list[PagedFailure]
    next_cursor: str | None


class Metadata(BaseModel):
    """`first_job_id`: the job that imported the same object before. `unprocessed`: rows that a cancelled or failed job
    has not processed. `parent_job_ids`: the jobs that rejected rows of the file before. `warnings`: what was unusual
    about the file, or why it was skipped."""

    filename: str
    first_job_id: str | None = None
    parent_job_ids: list[str] | None = None
    unprocessed: int | None = None
    warnings: list[str] | None = None


class ListedImport(BaseModel):
    """`total_records` is 0 until the whole file has been read. At the end, success + failure = total.

    Of the `failure_count` rows, later imports of corrected files have loaded `fixed_count`, and `open_count` are left;
    rows that an earlier import had rejected already are counted there. Both are left out if no row was rejected.
    `percent` is rounded down and left out until the whole file has been read; `seconds_left` is an estimate from the
    speed since `started_at`, left out at the end.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})
    id: str
    job_id: str
    resource_type: str
    status: ShownStatus
    total_records: int
    processed_records: int
    success_count: int
    failure_count: int
    fixed_count: int | None = None
    open_count: int | None = None
    error_message: str | None = None
    metadata: Metadata
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    percent: int | None = None
    rows_per_second: float | None = None
    seconds_left: float | None = None


class Import(ListedImport):
    """`errors`: the first hundred failures of a finished job; /imports/{id}/errors has all of them."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DETAILED]})
    errors: list[Failure]


class ImportsPage(BaseModel):
    """Newest first. `next_cursor`: `cursor` of the next page; null on the last page."""

    imports: list[ListedImport]
    next_cursor: str | None


def statuses_of(shown: ShownStatus | None) -> list[Status]:
    """Return the ledger's statuses behind a public status; empty for None."""
    return [] if shown is None else [status for status in Status if _shown(status) == shown]


def listed(visible: VisibleImport) -> ListedImport:
    return ListedImport(**_members(visible))


def detailed(visible: VisibleImport, first: FailurePage) -> Import:
    errors = [
        Failure(row=line.row, field=line.column, value=line.value, reason=line.message)
        for line in first.failures
    ]
    return Import(**_members(visible), errors=errors)


def paged(job: ImportJob, page: FailurePage) -> FailuresPage:
    return FailuresPage(job_id=job.id, errors=[_paged(line) for line in page.failures], next_cursor=page.next)


def _paged(line: ReportLine) -> PagedFailure:
    return PagedFailure(
        row=line.row, field=line.column, value=line.value, reason=line.message, line=line.line, code=line.code
    )


def _members(visible: VisibleImport) -> dict[str, Any]:  # each member's own type
    job, counts, pace = visible.job, visible.counts, visible.pace
    optional = {
        "fixed_count": counts.fixed if counts.rejected else None,
        "open_count": counts.open if counts.rejected else None,
        "error_message": job.error,
        "started_at": job.started_at,
        "completed_at": job.finished_at,
        "percent": pace.percent,
        "rows_per_second": _rounded(pace.rows_per_second),
        "seconds_left": _rounded(pace.seconds_left),
    }
    return {
        "id": job.id,
        "job_id": job.id,
        "resource_type": job.table,
        "status": _shown(job.status),
        "total_records": counts.total or 0,
        "processed_records": counts.processed,
        "success_count": counts.processed - counts.rejected,
        "failure_count": counts.rejected,
        "metadata": Metadata(**_metadata(visible)),
        "created_at": job.created_at,
        "updated_at": job.updated_at,
    } | {name: value for name, value in optional.items() if value is not None}


def _metadata(visible: VisibleImport) -> dict[str, Any]:  # each member's own type
    job = visible.job
    optional = {
        "first_job_id": job.first_job_id,
        "parent_job_ids": list(job.parents),
        "unprocessed": visible.counts.unprocessed if job.status.is_final else None,
        "warnings": job.warnings,
    }
    return {"filename": job.file_name} | {name: value for name, value in optional.items() if value}


def _shown(status: Status) -> ShownStatus:
    return "completed" if status is Status.SKIPPED else status.value


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
