"""How queries of the ledger give jobs: their columns, and rows of Postgres as `ImportJob`."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

from bulk_pipeline.errors import NotFoundError
from bulk_pipeline.schema import Mode
from bulk_pipeline.stores.jobs import Counts, ImportJob, Status, as_uuid

_COLUMNS = sql.SQL(", ").join(
    sql.SQL('job.table_name AS "table"') if field.name == "table" else sql.Identifier("job", field.name)
    for field in fields(ImportJob)
)


def job_query(text: LiteralString) -> sql.Composed:
    """A query in which `{columns}` stands for what `ImportJob` needs of `bulk.import_jobs AS job`."""
    return sql.SQL(text).format(columns=_COLUMNS)


def one_job(
    connection: psycopg.Connection, query: sql.Composed, given: Mapping[str, object]
) -> ImportJob | None:
    """The first job of a `job_query`."""
    with connection.cursor(row_factory=_job_row) as cursor:
        return cursor.execute(query, given).fetchone()


def all_jobs(
    connection: psycopg.Connection, query: sql.Composed, given: Mapping[str, object]
) -> list[ImportJob]:
    """The jobs of a `job_query`, in its order."""
    with connection.cursor(row_factory=_job_row) as cursor:
        return cursor.execute(query, given).fetchall()


def job_by_id(connection: psycopg.Connection, job_id: str) -> ImportJob:
    """`NotFoundError` without it."""
    return _found(one_job(connection, _BY_ID, {"id": as_uuid(job_id)}), job_id)


def locked_job(connection: psycopg.Connection, job_id: str) -> ImportJob:
    """The job, locked for changes until the transaction ends; batches may still commit."""
    return _found(one_job(connection, _LOCKED, {"id": as_uuid(job_id)}), job_id)


def job_locked_for_takeover(connection: psycopg.Connection, job_id: str) -> ImportJob:
    """The job, once no batch is being committed for it; none can be until the transaction ends."""
    return _found(one_job(connection, _LOCKED_FOR_TAKEOVER, {"id": as_uuid(job_id)}), job_id)


def counts_of(connection: psycopg.Connection, job_ids: Sequence[str]) -> dict[str, Counts]:
    """The counts of each job: sums over its committed batches."""
    rows = connection.execute(_COUNTS, {"ids": list(job_ids)}).fetchall()
    return {str(job_id): Counts(*counts) for job_id, *counts in rows}


def plain(value: Any) -> Any:  # whatever Postgres gives
    """Ids as text, times as UTC, everything else as it is."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return value


def _found(job: ImportJob | None, job_id: str) -> ImportJob:
    if job is None:
        raise NotFoundError(f"no job {job_id}")
    return job


class _JobMaker:
    """Makes jobs of the rows of one cursor."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def __call__(self, values: Sequence[Any]) -> ImportJob:
        given = dict(zip(self._names, map(plain, values), strict=True))
        given["mode"], given["status"] = Mode(given["mode"]), Status(given["status"])
        return ImportJob(**given)


def _job_row(cursor: psycopg.Cursor[Any]) -> _JobMaker:
    return _JobMaker([column.name for column in cursor.description or ()])


_LOCKED = job_query("SELECT {columns} FROM bulk.import_jobs AS job WHERE id = %(id)s FOR NO KEY UPDATE")

_BY_ID = job_query("SELECT {columns} FROM bulk.import_jobs AS job WHERE id = %(id)s")
_LOCKED_FOR_TAKEOVER = job_query("SELECT {columns} FROM bulk.import_jobs AS job WHERE id = %(id)s FOR UPDATE")

_COUNTS = """
    SELECT
        job.id, job.total_rows, counts.inserted, counts.updated, counts.unchanged, counts.superseded,
        counts.rejected
    FROM bulk.import_job_counts AS counts
    JOIN bulk.import_jobs AS job ON job.id = counts.job_id
    WHERE counts.job_id = ANY (%(ids)s::uuid[])
"""
