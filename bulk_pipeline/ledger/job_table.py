"""The table of one kind of job in Postgres, and the conversion of its rows to a dataclass.

Imports (`job_queries`) and exports (`export_jobs`) have one each; `leases` works on both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, LiteralString, TypeVar
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import RowMaker

from bulk_pipeline.errors import JobGoneError, LeaseLostError
from bulk_pipeline.ledger.jobs import Job, as_uuid
from bulk_pipeline.rights import Viewer

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

J = TypeVar("J", bound=Job)
R = TypeVar("R")


class JobTable(Generic[J]):
    """The table `name` in the schema `bulk`, whose rows are jobs of the type `record`.

    `kind` is the kind of its leases, `noun` the word for a job in sentences, `session(job_id)` the name of database
    sessions that work for a job. `readers` convert the values of fields from Postgres, for example to an enum.
    `also_listed_by` is a condition of `newest` that only this kind of job has.
    """

    def __init__(
        self,
        record: type[J],
        readers: Mapping[str, Callable[[Any], object]],
        *,
        name: LiteralString,
        kind: str,
        noun: str,
        session: Callable[[str], str],
        also_listed_by: LiteralString = "",
    ) -> None:
        self.kind = kind
        self.noun = noun
        self.session = session
        self._name = sql.Identifier("bulk", name)
        self._rows = rows_of(record, readers)
        self._columns = columns_of(record)
        self._by_id = self.query("SELECT {columns} FROM {jobs} AS job WHERE id = %(id)s")
        self._locked = self.query("SELECT {columns} FROM {jobs} AS job WHERE id = %(id)s FOR NO KEY UPDATE")
        self._newest_of_all = self.query(_NEWEST, of_viewer="true", also=also_listed_by)
        self._newest_of_owner = self.query(
            _NEWEST, of_viewer="owner_id = %(owner_id)s::uuid", also=also_listed_by
        )
        self._newest_of_nobody = self.query(_NEWEST, of_viewer="owner_id IS NULL", also=also_listed_by)
        self._taken_over = self.query("SELECT {columns} FROM {jobs} AS job WHERE id = %(id)s FOR UPDATE")

    def query(self, text: LiteralString, **parts: LiteralString | sql.Composable) -> bytes:
        """Return a query with the table for `{jobs}`, the columns of the dataclass in the alias `job` for `{columns}`,
        and each of `parts` for its name in braces.

        The query is bytes, since psycopg would compose any other, and parse its placeholders, at each execution.
        """
        composed = {
            name: part if isinstance(part, sql.Composable) else sql.SQL(part) for name, part in parts.items()
        }
        return sql.SQL(text).format(columns=self._columns, jobs=self._name, **composed).as_bytes()

    def one(self, connection: psycopg.Connection, query: bytes, values: Mapping[str, object]) -> J | None:
        """Return the first job of a query."""
        with connection.cursor(row_factory=self._rows) as cursor:
            return cursor.execute(query, values).fetchone()

    def all(self, connection: psycopg.Connection, query: bytes, values: Mapping[str, object]) -> list[J]:
        """Return the jobs of a query, in its order."""
        with connection.cursor(row_factory=self._rows) as cursor:
            return cursor.execute(query, values).fetchall()

    def changed(self, connection: psycopg.Connection, job_id: str, query: bytes, **values: object) -> J:
        """Run an UPDATE of a job that the caller has locked, and return the job that it returns."""
        job = self.one(connection, query, {"id": job_id} | values)
        assert job is not None, "the job is locked"
        return job

    def get(self, connection: psycopg.Connection, job_id: str) -> J:
        """Return the job. Raises `JobGoneError` if the ledger has none of that id, as the next two methods do."""
        return self._present(connection, self._by_id, job_id)

    def locked(self, connection: psycopg.Connection, job_id: str) -> J:
        """Return the job, locked for changes until the transaction ends; batches may still commit."""
        return self._present(connection, self._locked, job_id)

    def locked_for_takeover(self, connection: psycopg.Connection, job_id: str) -> J:
        """Return the job, locked so that no batch of it can commit until the transaction ends."""
        return self._present(connection, self._taken_over, job_id)

    def newest(
        self,
        connection: psycopg.Connection,
        viewer: Viewer,
        *,
        limit: int,
        before: tuple[datetime, str] | None = None,
        **filters: object,
    ) -> list[J]:
        """Return the jobs that the viewer sees, newest first; with `before`, those older than that `created_at` and id.

        `filters` are `table`, `status`, `statuses`, `since`, and the names in `also_listed_by`.
        """
        created_at, job_id = before or (None, None)
        page = {"owner_id": viewer.account_id, "limit": limit, "created_at": created_at, "id": job_id}
        return self.all(connection, self.newest_query(viewer), _NO_FILTERS | filters | page)

    def newest_query(self, viewer: Viewer) -> bytes:
        """Return the query of `newest` for the kind of viewer; there are three, so that each can use an index."""
        if viewer.sees_all:
            return self._newest_of_all
        return self._newest_of_nobody if viewer.account_id is None else self._newest_of_owner

    def check_attempt(self, job: J, attempt: int) -> None:
        """Raise `LeaseLostError` if `attempt` is not the job's newest, or the job is final."""
        if job.attempt != attempt or not job.status.is_processing:
            raise LeaseLostError(
                f"{self.noun} {job.id} is {job.status} in attempt {job.attempt}: not that of attempt {attempt}"
            )

    def _present(self, connection: psycopg.Connection, query: bytes, job_id: str) -> J:
        job = self.one(connection, query, {"id": as_uuid(job_id)})
        if job is None:
            raise JobGoneError(job_id, noun=self.noun)
        return job


def columns_of(record: "type[DataclassInstance]", *computed: str) -> sql.Composed:
    """Return the columns of `job` for the fields of a dataclass, without the fields that the query computes."""
    names = [field.name for field in fields(record) if field.name not in computed]
    return sql.SQL(", ").join(
        sql.SQL('job.table_name AS "table"') if name == "table" else sql.Identifier("job", name)
        for name in names
    )


def rows_of(
    record: Callable[..., R], readers: Mapping[str, Callable[[Any], object]]
) -> Callable[[psycopg.Cursor[Any]], RowMaker[R]]:
    """Return a row factory for instances of a dataclass, with columns in any order."""

    def rows(cursor: psycopg.Cursor[Any]) -> RowMaker[R]:
        names = [column.name for column in cursor.description or ()]

        def row(values: Sequence[Any]) -> R:
            arguments: dict[str, Any] = dict(zip(names, map(plain, values), strict=True))
            for name, read in readers.items():
                arguments[name] = read(arguments[name])
            return record(**arguments)

        return row

    return rows


def plain(value: Any) -> Any:  # any value of Postgres
    """Return ids as text, times in UTC, and other values unchanged."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return value


_NO_FILTERS = dict.fromkeys(("table", "status", "statuses", "since", "file", "in_key"))

_NEWEST = """
    SELECT {columns}
    FROM {jobs} AS job
    WHERE {of_viewer}
      AND (%(table)s::text IS NULL OR table_name = %(table)s)
      AND (%(status)s::text IS NULL OR status = %(status)s)
      AND (%(statuses)s::text[] IS NULL OR status = ANY (%(statuses)s))
      AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
      AND (%(created_at)s::timestamptz IS NULL OR (created_at, id) < (%(created_at)s, %(id)s::uuid))
      {also}
    ORDER BY created_at DESC, id DESC
    LIMIT %(limit)s
"""
