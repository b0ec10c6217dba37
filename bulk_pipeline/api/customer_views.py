"""Import jobs as JSON, in the form that clients of `customers` expect."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.schema import Mode
from bulk_pipeline.stages.counts import Counts

_FIRST = 3
_STATUSES = {Status.PENDING: "pending", Status.PROCESSING: "processing"}

_EXAMPLE = {
    "id": "01a21200-73f5-76cb-aca0-2425bf556c63",
    "status": "failed",
    "mode": "upsert",
    "filename": "march.csv",
    "total_rows": 2,
    "processed_rows": 2,
    "error": "errors: 1; first: row 2: email 'nobody' is not an address like local@domain.tld",
    "error_count": 1,
    "inserted": 1,
    "updated": 0,
    "unchanged": 0,
    "superseded": 0,
    "created_at": "2026-11-25T09:19:09.313841Z",
    "finished_at": "2026-11-25T09:19:17.814093Z",
}


class Job(BaseModel):
    """An import. `failed`: at least one row was rejected, while every good row was imported; or the file is unreadable.

    `total_rows` is null until the file has been read.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    status: str
    mode: Mode
    filename: str
    total_rows: int | None
    processed_rows: int
    error: str | None
    error_count: int
    inserted: int
    updated: int
    unchanged: int
    superseded: int
    created_at: datetime
    finished_at: datetime | None


def shown(stores: Stores, job: ImportJob) -> Job:
    """Return the job with its counts and, if rows were rejected, its first failures, which are read from its report."""
    counts = stores.ledger.counts([job.id])[job.id]
    return Job(
        id=job.id,
        status=_STATUSES.get(job.status, _end(job, counts)),
        mode=job.mode,
        filename=job.file_name,
        total_rows=counts.total,
        processed_rows=counts.processed,
        error=_error(stores, job, counts),
        error_count=counts.rejected,
        inserted=counts.inserted,
        updated=counts.updated,
        unchanged=counts.unchanged,
        superseded=counts.superseded,
        created_at=job.created_at,
        finished_at=job.finished_at,
    )


def _end(job: ImportJob, counts: Counts) -> str:
    is_good = job.status in (Status.COMPLETED, Status.SKIPPED) and not counts.rejected
    return "done" if is_good else "failed"


def _error(stores: Stores, job: ImportJob, counts: Counts) -> str | None:
    if not job.status.is_final:
        return None
    if not counts.rejected:
        return "cancelled" if job.status is Status.CANCELLED else job.error
    page = stores.failures.page(job, limit=_FIRST)
    first = " | ".join(f"row {failure.row}: {failure.message}" for failure in page.failures)
    more = " ..." if page.next else ""
    return f"errors: {counts.rejected}; first: {first}{more}" if first else f"errors: {counts.rejected}"
