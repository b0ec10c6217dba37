"""The dataclasses of jobs, their statuses, and the rules between them; no SQL."""

import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from bulk_pipeline.errors import NotFoundError
from bulk_pipeline.printable import printable
from bulk_pipeline.schema import Mode, UploadFormat
from bulk_pipeline.stages.counts import Counts


class JobStatus(StrEnum):
    """The properties that the statuses of imports and of exports share."""

    @property
    def is_final(self) -> bool:
        return self not in ("pending", "processing")

    @property
    def is_processing(self) -> bool:
        return self == "processing"


class Status(JobStatus):
    """The statuses of an import: pending → processing → a final one, or skipped from the start.

    failed: the file has a problem as a whole, or every row was rejected, or no attempt is left and no row committed.
    """

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class Job:
    """The fields that imports and exports share; `sql/` explains each column. Ids are text, times are UTC."""

    id: str
    table: str
    status: JobStatus
    idempotency_key: str | None
    attempt: int
    run_id: str | None
    requested_at: datetime | None
    next_attempt_at: datetime | None
    cancel_requested_at: datetime | None
    total_rows: int | None
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime
    request_id: str | None
    owner_id: str | None

    @property
    def is_claimed(self) -> bool:
        """True if a run may take the job."""
        return True

    @property
    def seconds(self) -> float | None:
        """Seconds from the first attempt to the end; None before the end."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True, kw_only=True)
class ImportJob(Job):
    """A row of `bulk.import_jobs`."""

    mode: Mode
    status: Status
    bucket: str
    key: str
    etag: str
    size_bytes: int
    arrived_at: datetime
    upload_format: UploadFormat
    archive_key: str | None
    claimed_at: datetime | None
    sha256: str | None
    first_job_id: str | None
    retry_of: str | None
    parents: dict[str, int]
    group_id: str | None
    isolated: bool
    batch_rows: int | None
    parser_version: str | None
    columns: list[str] | None
    dialect: dict[str, object] | None
    warnings: list[str]
    failure_counts: dict[str, int]
    reports: dict[str, str]
    error_code: str | None
    scope: str | None
    upload_name: str | None
    fingerprint: str | None

    @property
    def file_name(self) -> str:
        return file_name(self.key, self.upload_name)

    @property
    def label(self) -> str:
        """The name of the job in log lines, on one line."""
        request = f", request {self.request_id}" if self.request_id else ""
        return f"job {self.id} ({printable(self.file_name)}{request})"

    @property
    def is_received(self) -> bool:
        """True if the file came over HTTP, directly into the archive rather than the inbox."""
        return self.scope is not None

    @property
    def is_claimed(self) -> bool:
        """True if the file is in the archive; before that, no run may take the job."""
        return self.claimed_at is not None


@dataclass(frozen=True, kw_only=True)
class OpenJob:
    """The fields of a job that planning needs; the job is not final, and its file is archived.

    `is_held`: a run has a lease on the job, live or expired.
    """

    id: str
    table: str
    mode: Mode
    status: Status
    size_bytes: int
    arrived_at: datetime
    created_at: datetime
    attempt: int
    group_id: str | None
    isolated: bool
    run_id: str | None
    requested_at: datetime | None
    next_attempt_at: datetime | None
    request_id: str | None
    key: str
    upload_name: str | None
    owner_id: str | None
    is_held: bool

    @property
    def file_name(self) -> str:
        return file_name(self.key, self.upload_name)

    @property
    def is_busy(self) -> bool:
        """True if a run holds the job, or is about to take it."""
        return self.is_held or self.group_id is not None


def file_name(key: str, upload_name: str | None) -> str:
    """Return the name of the file that was uploaded, without folders."""
    return upload_name or key.rpartition("/")[2]


def final_status(counts: Counts) -> Status:
    """Return the final status of a job with these counts of all its rows."""
    if counts.rejected == 0:
        return Status.COMPLETED
    return Status.FAILED if counts.rejected == counts.processed else Status.COMPLETED_WITH_ERRORS


def skip_warning(first: ImportJob, key: str, etag: str) -> str:
    """Return the warning of a skipped object: the job that it repeats, and how to import the object nevertheless."""
    since = f"{first.arrived_at:%Y-%m-%d %H:%M} UTC"
    if (first.key, first.etag) != (key, etag):
        return (
            f"skipped: the idempotency key {first.idempotency_key!r} came before with job {first.id} on {since}; "
            "drop it with force to import it all the same"
        )
    if first.status.is_final:
        reason = f"imported before as job {first.id} on {since}"
    else:
        reason = f"being imported already as job {first.id} since {since}"
    return f"skipped: {reason}; drop it with force to import it again"


def load_session(job_id: str) -> str:
    """Return the name of the database sessions that write rows of a job."""
    return f"bulk-pipeline load {job_id}"


def wait_seconds(attempt: int, retry_seconds: float) -> float:
    """Return the seconds to wait after an interrupted attempt: doubled for each attempt, at most 300."""
    return min(retry_seconds * 2 ** min(attempt - 1, 16), 300.0) if attempt > 0 else retry_seconds


def new_id() -> str:
    """Return a UUID version 7; later ids sort later."""
    milliseconds, random = time.time_ns() // 1_000_000, secrets.randbits(74)
    number = milliseconds << 80 | 0x7 << 76 | random >> 62 << 64 | 0b10 << 62 | random & (1 << 62) - 1
    return str(UUID(int=number))


def as_uuid(job_id: str) -> UUID:
    """Return the id as a UUID. Raises `NotFoundError` for a text that cannot be the id of a job."""
    try:
        return UUID(job_id)
    except ValueError:
        raise NotFoundError(f"no job {job_id!r}: a job's id looks like {UUID(int=0)}") from None
