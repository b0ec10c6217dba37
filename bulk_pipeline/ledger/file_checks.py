"""Files that are checked before anything is loaded: a row each, until the check is removed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from bulk_pipeline.errors import NotFoundError
from bulk_pipeline.ledger.jobs import as_uuid
from bulk_pipeline.postgres.connection import Postgres

LOST_AFTER = timedelta(minutes=30)
"""Age from which on a check without a result counts as interrupted: its process has ended long before."""


@dataclass(frozen=True, kw_only=True)
class FileCheck:
    """A row of `bulk.file_checks`. `result` is what the checking process has found, `error` why it found nothing."""

    id: str
    owner_id: str
    form_token: str
    table_name: str
    mode: str
    file_name: str
    object_key: str
    size_bytes: int
    sha256: str
    created_at: datetime
    finished_at: datetime | None = None
    error: str | None = None
    result: dict[str, Any] | None = None

    @property
    def is_lost(self) -> bool:
        return self.finished_at is None and datetime.now(UTC) - self.created_at > LOST_AFTER


class FileChecks:
    """The checks of one database."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def start(self, check: FileCheck) -> tuple[FileCheck, bool]:
        """Record a check. Return it, or the earlier one of the same form, and whether it is new."""
        with self._postgres.transaction() as connection:
            new = _one(connection, _INSERT, vars(check))
            found = new or _one(connection, _OF_FORM, vars(check))
        assert found is not None, "the insert has met it"
        return found, new is not None

    def get(self, check_id: str) -> FileCheck:
        """Return the check. Raises `NotFoundError` if there is none."""
        with self._postgres.reading() as connection:
            check = _one(connection, _GET, {"id": as_uuid(check_id)})
        if check is None:
            raise NotFoundError(f"no check {check_id}")
        return check

    def finish(
        self, check_id: str, *, result: dict[str, Any] | None = None, error: str | None = None
    ) -> None:
        """Record the result or the error of a check that has none yet."""
        values = {"id": check_id, "result": Jsonb(result) if result is not None else None, "error": error}
        with self._postgres.transaction() as connection:
            connection.execute(_FINISH, values)

    def older_than(self, age: timedelta) -> list[FileCheck]:
        with self._postgres.transaction() as connection, connection.cursor(row_factory=_ROWS) as cursor:
            return cursor.execute(_OLD, {"age": age}).fetchall()

    def remove(self, check_id: str) -> None:
        with self._postgres.transaction() as connection:
            connection.execute("DELETE FROM bulk.file_checks WHERE id = %s", [check_id])


def _one(connection: psycopg.Connection, query: bytes, values: dict[str, Any]) -> FileCheck | None:
    with connection.cursor(row_factory=_ROWS) as cursor:
        return cursor.execute(query, values).fetchone()


_ROWS = class_row(FileCheck)
_COLUMNS = b"""
    id::text, owner_id::text, form_token, table_name, mode, file_name, object_key, size_bytes, sha256, created_at,
    finished_at, error, result
"""
_INSERT = (
    b"""
    INSERT INTO bulk.file_checks (
        id, owner_id, form_token, table_name, mode, file_name, object_key, size_bytes, sha256
    )
    VALUES (
        %(id)s, %(owner_id)s, %(form_token)s, %(table_name)s, %(mode)s, %(file_name)s, %(object_key)s, %(size_bytes)s,
        %(sha256)s
    )
    ON CONFLICT (owner_id, form_token) DO NOTHING
    RETURNING """
    + _COLUMNS
)
_OF_FORM = (
    b"SELECT "
    + _COLUMNS
    + b"FROM bulk.file_checks WHERE owner_id = %(owner_id)s AND form_token = %(form_token)s"
)
_GET = b"SELECT " + _COLUMNS + b"FROM bulk.file_checks WHERE id = %(id)s"
_FINISH = """
    UPDATE bulk.file_checks
    SET finished_at = clock_timestamp(), result = %(result)s, error = %(error)s
    WHERE id = %(id)s AND finished_at IS NULL
"""
_OLD = (
    b"SELECT "
    + _COLUMNS
    + b"FROM bulk.file_checks WHERE created_at < clock_timestamp() - %(age)s ORDER BY created_at LIMIT 10000"
)
