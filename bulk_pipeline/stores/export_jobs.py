"""What an export job is: one row of `bulk.export_jobs`, and how queries give it."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import psycopg

from bulk_pipeline.errors import NotFoundError
from bulk_pipeline.stages.export.formats import Compression, Format
from bulk_pipeline.stages.export.request import ExportRequest, Kind
from bulk_pipeline.stores.jobs import as_uuid
from bulk_pipeline.stores.records import Records


class ExportStatus(StrEnum):
    """pending → processing → one of the final ones.

    expired: it was not begun in time; or it was completed, and its files are removed because their time was over.
    """

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        return self not in (ExportStatus.PENDING, ExportStatus.PROCESSING)


@dataclass(frozen=True, kw_only=True)
class ExportJob:
    """A row of `bulk.export_jobs`; `sql/` says what each column means. Ids are text, times are UTC."""

    id: str
    table: str
    format: Format
    compression: Compression
    kind: Kind
    columns: list[str]
    filters: list[str]
    sort_order: list[str]
    for_spreadsheets: bool
    rows_per_part: int
    prefix: str
    partition_date: date
    status: ExportStatus
    requested_by: str | None
    idempotency_key: str | None
    expires_at: datetime | None
    attempt: int
    run_id: str | None
    heartbeat_at: datetime | None
    requested_at: datetime | None
    next_attempt_at: datetime | None
    cancel_requested_at: datetime | None
    rows_written: int
    bytes_written: int
    total_rows: int | None
    manifest: dict[str, Any] | None
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime
    request_id: str | None

    @property
    def request(self) -> ExportRequest:
        return ExportRequest(
            table=self.table,
            format=self.format,
            compression=self.compression,
            kind=self.kind,
            columns=tuple(self.columns),
            filters=tuple(self.filters),
            order=tuple(self.sort_order),
            for_spreadsheets=self.for_spreadsheets,
            rows_per_part=self.rows_per_part,
            prefix=self.prefix,
        )

    @property
    def folder(self) -> str:
        """Where its files lie in the bucket: a key that ends with a slash."""
        prefix = f"{self.prefix}/" if self.prefix else ""
        return f"{prefix}{self.table}/dt={self.partition_date.isoformat()}/{self.id}/"

    @property
    def label(self) -> str:
        """What log lines call it."""
        request = f" (request {self.request_id})" if self.request_id else ""
        return f"export {self.id}{request}"

    @property
    def seconds(self) -> float | None:
        """From the first attempt to the end; None before the end."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


def export_session(job_id: str) -> str:
    """How the database session that reads for a job is called."""
    return f"bulk-pipeline export {job_id}"


_EXPORTS = Records(ExportJob, format=Format, compression=Compression, kind=Kind, status=ExportStatus)
export_query, one_export, all_exports = _EXPORTS.query, _EXPORTS.one, _EXPORTS.all
changed_export = _EXPORTS.changed


def export_by_id(connection: psycopg.Connection, job_id: str) -> ExportJob:
    """`NotFoundError` without it."""
    return found_export(one_export(connection, _BY_ID, {"id": as_uuid(job_id)}), job_id)


def locked_export(connection: psycopg.Connection, job_id: str) -> ExportJob | None:
    """The job, locked until the transaction ends."""
    return one_export(connection, _LOCKED, {"id": as_uuid(job_id)})


def found_export(job: ExportJob | None, job_id: str) -> ExportJob:
    """The job; `NotFoundError` without it."""
    if job is None:
        raise NotFoundError(f"no export {job_id}")
    return job


_BY_ID = export_query("SELECT {columns} FROM bulk.export_jobs AS job WHERE id = %(id)s")
_LOCKED = export_query("SELECT {columns} FROM bulk.export_jobs AS job WHERE id = %(id)s FOR UPDATE")
