"""Exports as JSON, in the form that clients of /api/v1 expect."""

from datetime import datetime, timedelta
from typing import Literal

from fastapi import HTTPException, Request
from pydantic import BaseModel

from bulk_pipeline.errors import JobNotFinishedError, NotFoundError
from bulk_pipeline.ledger.export_jobs import ExportJob, ExportStatus
from bulk_pipeline.settings import Settings
from bulk_pipeline.stages.export.formats import Format


class Export(BaseModel):
    """An export. Its file is kept at least until `expires_at`."""

    id: str
    job_id: str
    resource_type: str
    format: Format
    status: Literal["pending", "processing", "completed", "failed", "cancelled"]
    total_records: int
    file_path: str | None
    download_url: str | None
    expires_at: datetime | None
    error_message: str | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None


class ExportPage(BaseModel):
    """Newest first. `next_cursor`: `cursor` of the next page; null on the last page."""

    exports: list[Export]
    next_cursor: str | None


def shown(request: Request, settings: Settings, job: ExportJob) -> Export:
    """Return the export with its file's address and expiry."""
    has_file = job.status is ExportStatus.COMPLETED
    parts = parts_of(job) if has_file else []
    file_path = f"s3://{settings.s3_bucket_exports}/{job.folder}{parts[0]}" if len(parts) == 1 else None
    path = request.app.url_path_for("download_export", export_id=job.id)
    retention = timedelta(days=settings.bulk_export_retention_days)
    return Export(
        id=job.id,
        job_id=job.id,
        resource_type=job.table,
        format=job.format,
        status=_status(job),
        total_records=job.rows_written,
        file_path=file_path,
        download_url=(settings.api_url or str(request.base_url)).rstrip("/") + path if has_file else None,
        expires_at=job.finished_at + retention if has_file and job.finished_at else None,
        error_message=job.error,
        created_at=job.created_at,
        updated_at=job.updated_at,
        completed_at=job.finished_at,
    )


def parts_of(job: ExportJob) -> list[str]:
    """Return the names of the export's files. Raises an error that says why there are none."""
    if not job.status.is_final:
        raise JobNotFinishedError(f"export {job.id} is {job.status}: its file appears when it has finished")
    if job.manifest is None:
        raise NotFoundError(f"export {job.id} is {job.status}: it has no file")
    if job.status is ExportStatus.EXPIRED:
        raise HTTPException(410, f"export {job.id} has expired and its file is deleted: request a new export")
    return [part["name"] for part in job.manifest["parts"]]


def _status(job: ExportJob) -> Literal["pending", "processing", "completed", "failed", "cancelled"]:
    """Return the public status. An expired export was completed if it had a file; otherwise it never started."""
    match job.status:
        case ExportStatus.EXPIRED:
            return "completed" if job.manifest is not None else "failed"
        case ExportStatus.PENDING:
            return "pending"
        case ExportStatus.PROCESSING:
            return "processing"
        case ExportStatus.COMPLETED:
            return "completed"
        case ExportStatus.FAILED:
            return "failed"
        case ExportStatus.CANCELLED:
            return "cancelled"
