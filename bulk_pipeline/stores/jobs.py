"""What a job is: one row of the ledger, its counts, its states, and the rules between them. No SQL."""

import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from bulk_pipeline.errors import NotFoundError
from bulk_pipeline.printable import printable
from bulk_pipeline.schema import Mode, UploadFormat


class Status(StrEnum):
    """pending → processing → one of the final ones; skipped from the start.

    failed: a file-level problem, or every row rejected, or no row committed and no attempt left.
    """

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def is_final(self) -> bool:
        return self not in (Status.PENDING, Status.PROCESSING)


@dataclass(frozen=True, kw_only=True)
class ImportJob:
    """A row of `bulk.import_jobs`; `sql/` says what each column means. Ids are text, times are UTC."""

    id: str
    table: str
    mode: Mode
    status: Status
    bucket: str
    key: str
    etag: str
    size_bytes: int
    arrived_at: datetime
    upload_format: UploadFormat
    idempotency_key: str | None
    archive_key: str | None
    claimed_at: datetime | None
    sha256: str | None
    first_job_id: str | None
    retry_of: str | None
    attempt: int
    group_id: str | None
    isolated: bool
    run_id: str | None
    requested_at: datetime | None
    next_attempt_at: datetime | None
    cancel_requested_at: datetime | None
    batch_rows: int | None
    parser_version: str | None
    columns: list[str] | None
    dialect: dict[str, object] | None
    warnings: list[str]
    total_rows: int | None
    failure_counts: dict[str, int]
    reports: dict[str, str]
    error: str | None
    error_code: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime
    scope: str | None
    owner_id: str | None
    upload_name: str | None
    fingerprint: str | None
    request_id: str | None

    @property
    def file_name(self) -> str:
        return self.upload_name or self.key.rpartition("/")[2]

    @property
    def label(self) -> str:
        """What log lines call it, on one line."""
        request = f", request {self.request_id}" if self.request_id else ""
        return f"job {self.id} ({printable(self.file_name)}{request})"

    @property
    def is_received(self) -> bool:
        """Whether its bytes came over HTTP, straight into the archive; nothing lies in the inbox."""
        return self.scope is not None

    @property
    def seconds(self) -> float | None:
        """How long the work took, from the first attempt to the end; None before the end."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True, kw_only=True)
class OpenJob:
    """What planning needs to know of a job that is not final and whose bytes are archived.

    `is_held`: a run has a lease on it, live or expired.
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
    is_held: bool

    @property
    def is_busy(self) -> bool:
        """Whether a run has it, or is about to."""
        return self.is_held or self.group_id is not None


@dataclass(frozen=True)
class Counts:
    """What became of a job's rows. `total` is None until the whole file is parsed.

    `unprocessed`: rows that are known of, and that no committed batch accounts for.
    """

    total: int | None = None
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    superseded: int = 0
    rejected: int = 0

    @property
    def processed(self) -> int:
        return self.inserted + self.updated + self.unchanged + self.superseded + self.rejected

    @property
    def unprocessed(self) -> int:
        return 0 if self.total is None else self.total - self.processed


def final_status(counts: Counts) -> Status:
    """How a job ends whose rows are all accounted for."""
    if counts.rejected == 0:
        return Status.COMPLETED
    return Status.FAILED if counts.rejected == counts.processed else Status.COMPLETED_WITH_ERRORS


def skip_warning(first: ImportJob, key: str, etag: str) -> str:
    """Say of a skipped object which job takes its place, why, and how to import the object all the same."""
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
    """How the database sessions that write for a job are called, as long as they do."""
    return f"bulk-pipeline load {job_id}"


def wait_seconds(attempt: int, retry_seconds: float) -> float:
    """How long to wait after an attempt that broke off: doubled each time, at most five minutes."""
    return min(retry_seconds * 2 ** min(attempt - 1, 16), 300.0) if attempt > 0 else retry_seconds


def new_id() -> str:
    """A UUID version 7: ids made later sort later."""
    milliseconds, random = time.time_ns() // 1_000_000, secrets.randbits(74)
    number = milliseconds << 80 | 0x7 << 76 | random >> 62 << 64 | 0b10 << 62 | random & (1 << 62) - 1
    return str(UUID(int=number))


def as_uuid(job_id: str) -> UUID:
    """`NotFoundError` for a text that cannot be the id of a job."""
    try:
        return UUID(job_id)
    except ValueError:
        raise NotFoundError(f"no job {job_id!r}: a job's id looks like {UUID(int=0)}") from None
