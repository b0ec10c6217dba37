"""Applies the numbered files of `sql/` to a database, each once, in order, in a transaction of its own.

There are two sets that share one sequence of numbers: `sql/` creates the ledger, `sql/sample_tables/` the tables of the
sample data, where no project is served.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psycopg

from bulk_pipeline import tables
from bulk_pipeline.errors import MigrationError
from bulk_pipeline.postgres import roles
from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.shipped import shipped

SAMPLE_TABLES = "sample_tables"
"""The folder in `sql/` of the migrations that make the tables of the package."""

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_LOCK = 0x62756C6B  # "bulk": migrations of one database run one after the other


@dataclass(frozen=True)
class Migration:
    """One file of `sql/`, or of its folder `sample_tables`."""

    version: int
    name: str
    content: bytes
    makes_sample_tables: bool = False

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def migrate(database_url: str, folder: Path | None = None) -> list[str]:
    """Apply what is pending and give the names of those files. Safe when several do it at once.

    If the roles of `sql/roles.sql` exist, they are granted their rights on all objects that exist after the migrations.

    Raises `MigrationError` if a file that was applied has changed or is missing, or if a new one has a number
    below those that were applied.
    """
    postgres = Postgres(database_url, application_name="bulk-pipeline migrate")
    known = migrations(folder or sql_folder())
    try:
        _prepare(postgres)
        applied = [
            migration.name
            for migration in known
            if _is_wanted(migration) and _apply(postgres, migration, known)
        ]
        if folder is None:
            _grant(postgres)
        return applied
    finally:
        postgres.close()


def pending(database_url: str, folder: Path | None = None) -> list[str]:
    """Names of the files that `migrate` would apply. Raises like it."""
    postgres = Postgres(database_url, application_name="bulk-pipeline migrate")
    known = migrations(folder or sql_folder())
    try:
        with postgres.transaction() as connection:
            applied = _applied(connection)
    finally:
        postgres.close()
    _check(known, applied)
    return [
        migration.name for migration in known if _is_wanted(migration) and migration.version not in applied
    ]


def migrations(folder: Path) -> list[Migration]:
    """Return the files of both sets in order. `MigrationError` for a wrong name and for a number used twice."""
    found = [*_set(folder), *_set(folder / SAMPLE_TABLES, makes_sample_tables=True)]
    found.sort(key=lambda migration: (migration.version, migration.name))
    for first, second in pairwise(found):
        if first.version == second.version:
            raise MigrationError(f"{first.name} and {second.name} have the same number")
    if not found:
        raise MigrationError(f"no migrations in {folder}")
    return found


def sql_folder() -> Path:
    """Return the folder of the migrations."""
    return shipped("sql")


def _set(folder: Path, *, makes_sample_tables: bool = False) -> Iterator[Migration]:
    for path in sorted(folder.glob("*.sql")):
        if path.name in roles.FILES:
            continue
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name}: name migrations like 0004_what_it_does.sql")
        yield Migration(int(match[1]), path.name, path.read_bytes(), makes_sample_tables)


def _is_wanted(migration: Migration) -> bool:
    """Return whether the migration makes something that is served."""
    return not migration.makes_sample_tables or tables.served().project is None


def _prepare(postgres: Postgres) -> None:
    with postgres.transaction() as connection:
        _lock(connection)
        connection.execute("CREATE SCHEMA IF NOT EXISTS bulk")
        connection.execute(
            """
            CREATE TABLE IF NOT EXISTS bulk.migrations (
                version    integer PRIMARY KEY,
                name       text NOT NULL,
                sha256     text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT now()
            )
            """
        )


def _apply(postgres: Postgres, migration: Migration, known: Sequence[Migration]) -> bool:
    with postgres.transaction() as connection:
        _lock(connection)
        applied = _applied(connection)
        _check(known, applied)
        if migration.version in applied:
            return False
        # A role with a schema of its name, `bulk` for one, would have unqualified tables made there.
        connection.execute("SET LOCAL search_path TO public")
        try:
            connection.execute(migration.content)
        except (psycopg.ProgrammingError, psycopg.DataError, psycopg.IntegrityError) as error:
            raise MigrationError(f"{migration.name}: {error}") from error
        connection.execute(
            "INSERT INTO bulk.migrations (version, name, sha256) VALUES (%s, %s, %s)",
            (migration.version, migration.name, migration.sha256),
        )
    return True


def _grant(postgres: Postgres) -> None:
    with postgres.transaction() as connection:
        _lock(connection)
        roles.grant(connection, sql_folder())


def _lock(connection: psycopg.Connection) -> None:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))


def _applied(connection: psycopg.Connection) -> dict[int, tuple[str, str]]:
    """Name and sha256 of what the database has had, by version."""
    there = connection.execute("SELECT to_regclass('bulk.migrations') IS NOT NULL").fetchone()
    if there != (True,):
        return {}
    rows = connection.execute("SELECT version, name, sha256 FROM bulk.migrations").fetchall()
    return {version: (name, sha256) for version, name, sha256 in rows}


def _check(known: Sequence[Migration], applied: dict[int, tuple[str, str]]) -> None:
    by_version = {migration.version: migration for migration in known}
    for version, (name, sha256) in sorted(applied.items()):
        migration = by_version.get(version)
        if migration is None:
            raise MigrationError(
                f"the database has the migration {name}, which is unknown here: install a newer bulk-pipeline"
            )
        if migration.sha256 != sha256:
            raise MigrationError(
                f"{migration.name} has changed since it was applied: migrations are frozen, add a new one"
            )
    for makes_sample_tables in (False, True):
        of_set = [migration for migration in known if migration.makes_sample_tables is makes_sample_tables]
        latest = max((migration.version for migration in of_set if migration.version in applied), default=0)
        for migration in of_set:
            if migration.version < latest and migration.version not in applied:
                raise MigrationError(
                    f"{migration.name} comes before {applied[latest][0]}, which is applied: give it a higher number"
                )
