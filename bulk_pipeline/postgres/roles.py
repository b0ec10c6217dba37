"""The roles of `sql/roles.sql`, and what they may do: who owns, who loads, who reads."""

from pathlib import Path

import psycopg

from bulk_pipeline import tables
from bulk_pipeline.errors import StoreRefusedError
from bulk_pipeline.postgres.connection import Postgres, first_line

FILES = ("roles.sql", "grants.sql")
"""Files of `sql/` that are no migrations."""

_LOCK = 0x726F6C6573  # "roles"


def make_roles(database_url: str, folder: Path) -> None:
    """Make the roles, and give them what there is in this database. Safe to repeat, also at the same time elsewhere.

    `StoreRefusedError` if the login in the URL may not do that.
    """
    postgres = Postgres(database_url, application_name="bulk-pipeline migrate")
    try:
        with postgres.transaction() as connection:
            _run(connection, folder / "roles.sql")
            if connection.execute("SELECT to_regclass('bulk.export_jobs') IS NOT NULL").fetchone() == (True,):
                grant(connection, folder)
    except psycopg.errors.InsufficientPrivilege as error:
        raise StoreRefusedError(
            f"roles.sql: {first_line(error)}: use a login that may create roles and owns the tables"
        ) from error
    finally:
        postgres.close()


def grant(connection: psycopg.Connection, folder: Path) -> None:
    """Grant the roles their rights on the objects of the migrations; do nothing if the roles do not exist."""
    there = connection.execute(
        "SELECT to_regrole('bulk_loader') IS NOT NULL AND to_regrole('bulk_reader') IS NOT NULL"
    )
    if there.fetchone() == (True,):
        _run(connection, folder / "grants.sql")


def _run(connection: psycopg.Connection, file: Path) -> None:
    # Two that grant the same at once fail: "tuple concurrently updated".
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    # Tables of a project are their owner's: what the loader lacks there is told, never granted.
    own = tables.names() if tables.served().project is None else ()
    connection.execute("SELECT set_config('bulk.tables', %s, true)", (",".join(own),))
    connection.execute(file.read_bytes())
