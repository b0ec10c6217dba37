"""Export jobs: the dataclass, its statuses, and its table."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from bulk_pipeline import tables
from bulk_pipeline.ledger.job_table import JobTable
from bulk_pipeline.ledger.jobs import Job, JobStatus
from bulk_pipeline.schema import Selection, SelectionWords
from bulk_pipeline.stages.export.formats import Compression, Format
from bulk_pipeline.stages.export.request import ExportRequest, Kind


class ExportStatus(JobStatus):
    """The statuses of an export: pending → processing → a final one.

    expired: no run began in time, or the files of a completed export were removed after their retention.
    """

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, kw_only=True)
class ExportJob(Job):
    """A row of `bulk.export_jobs`."""

    format: Format
    compression: Compression
    kind: Kind
    selection: dict[str, Any]
    for_spreadsheets: bool
    rows_per_part: int
    prefix: str
    partition_date: date
    status: ExportStatus
    requested_by: str | None
    expires_at: datetime | None
    rows_written: int
    bytes_written: int
    manifest: dict[str, Any] | None

    @property
    def request(self) -> ExportRequest:
        """The request of the job.

        Raises `UnknownTableError`, and `SelectionError` if the selection no longer fits the table.
        """
        return ExportRequest(
            selection=Selection.read(tables.get(self.table), self.selection),
            format=self.format,
            compression=self.compression,
            kind=self.kind,
            for_spreadsheets=self.for_spreadsheets,
            rows_per_part=self.rows_per_part,
            prefix=self.prefix,
        )

    @property
    def words(self) -> SelectionWords:
        return SelectionWords.of(self.selection)

    @property
    def folder(self) -> str:
        """The folder of the job's files in the bucket: a key that ends with a slash."""
        prefix = f"{self.prefix}/" if self.prefix else ""
        return f"{prefix}{self.table}/dt={self.partition_date.isoformat()}/{self.id}/"

    @property
    def label(self) -> str:
        """The name of the job in log lines."""
        request = f" (request {self.request_id})" if self.request_id else ""
        return f"export {self.id}{request}"


def export_session(job_id: str) -> str:
    """Return the name of the database session that reads the rows of an export."""
    return f"bulk-pipeline export {job_id}"


EXPORTS = JobTable(
    ExportJob,
    {"format": Format, "compression": Compression, "kind": Kind, "status": ExportStatus},
    name="export_jobs",
    kind="export",
    noun="export",
    session=export_session,
)
