"""How queries of a ledger give its jobs: the columns of a dataclass, and rows of Postgres as instances of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, LiteralString, TypeVar
from uuid import UUID

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")


class Records(Generic[R]):
    """One kind of job. `readers`: what makes the field of what Postgres has in its place, an enum of a text say."""

    def __init__(self, kind: type[R], /, **readers: Callable[[Any], object]) -> None:
        self._kind = kind
        self._readers = readers
        self._columns = sql.SQL(", ").join(
            sql.SQL('job.table_name AS "table"')
            if field.name == "table"
            else sql.Identifier("job", field.name)
            for field in fields(kind)
        )

    def query(self, text: LiteralString) -> bytes:
        """A query in which `{columns}` stands for what the dataclass needs of the table that is called `job` in it.

        As bytes: psycopg would put a composed one together, and look for its placeholders, each time anew.
        """
        return sql.SQL(text).format(columns=self._columns).as_bytes()

    def one(self, connection: psycopg.Connection, query: bytes, given: Mapping[str, object]) -> R | None:
        """The first job of a query."""
        with connection.cursor(row_factory=self._rows) as cursor:
            return cursor.execute(query, given).fetchone()

    def all(self, connection: psycopg.Connection, query: bytes, given: Mapping[str, object]) -> list[R]:
        """The jobs of a query, in its order."""
        with connection.cursor(row_factory=self._rows) as cursor:
            return cursor.execute(query, given).fetchall()

    def changed(self, connection: psycopg.Connection, job_id: str, query: bytes, **given: object) -> R:
        """The job after an UPDATE that gives it; the caller has it locked."""
        job = self.one(connection, query, {"id": job_id} | given)
        assert job is not None, "the job is locked"
        return job

    def _rows(self, cursor: psycopg.Cursor[Any]) -> "_Maker[R]":
        return _Maker(self._kind, self._readers, [column.name for column in cursor.description or ()])


class _Maker(Generic[R]):
    """Makes jobs of the rows of one cursor."""

    def __init__(
        self, kind: type[R], readers: Mapping[str, Callable[[Any], object]], names: Sequence[str]
    ) -> None:
        self._kind = kind
        self._readers = readers
        self._names = names

    def __call__(self, values: Sequence[Any]) -> R:
        given = dict(zip(self._names, map(plain, values), strict=True))
        return self._kind(**given | {name: read(given[name]) for name, read in self._readers.items()})


def plain(value: Any) -> Any:  # whatever Postgres gives
    """Ids as text, times as UTC, everything else as it is."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return value
