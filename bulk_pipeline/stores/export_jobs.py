"""What an export job is: one row of `bulk.export_jobs`, and how queries give it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from enum import StrEnum
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from bulk_pipeline.stages.export.formats import Compression, Format
from bulk_pipeline.stages.export.request import ExportRequest, Kind
from bulk_pipeline.stores.job_queries import plain


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
    def seconds(self) -> float | None:
        """From the first attempt to the end; None before the end."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


def export_session(job_id: str) -> str:
    """How the database session that reads for a job is called."""
    return f"bulk-pipeline export {job_id}"


_COLUMNS = sql.SQL(", ").join(
    sql.SQL('job.table_name AS "table"') if field.name == "table" else sql.Identifier("job", field.name)
    for field in fields(ExportJob)
)


def export_query(text: LiteralString) -> sql.Composed:
    """A query in which `{columns}` stands for what `ExportJob` needs of `bulk.export_jobs AS job`."""
    return sql.SQL(text).format(columns=_COLUMNS)


def one_export(
    connection: psycopg.Connection, query: sql.Composed, given: Mapping[str, object]
) -> ExportJob | None:
    """The first job of an `export_query`."""
    with connection.cursor(row_factory=_export_row) as cursor:
        return cursor.execute(query, given).fetchone()


def all_exports(
    connection: psycopg.Connection, query: sql.Composed, given: Mapping[str, object]
) -> list[ExportJob]:
    """The jobs of an `export_query`, in its order."""
    with connection.cursor(row_factory=_export_row) as cursor:
        return cursor.execute(query, given).fetchall()


class _ExportMaker:
    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def __call__(self, values: Sequence[Any]) -> ExportJob:
        given = dict(zip(self._names, map(plain, values), strict=True))
        for name, enum in _ENUMS.items():
            given[name] = enum(given[name])
        return ExportJob(**given)


_ENUMS = {"format": Format, "compression": Compression, "kind": Kind, "status": ExportStatus}


def _export_row(cursor: psycopg.Cursor[Any]) -> _ExportMaker:
    return _ExportMaker([column.name for column in cursor.description or ()])
