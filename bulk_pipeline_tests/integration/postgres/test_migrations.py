"""Migrations are applied once and in order, even by concurrent processes, and never change afterwards."""

import shutil
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from bulk_pipeline import tables
from bulk_pipeline.errors import MigrationError, StoreUnavailableError
from bulk_pipeline.postgres.connection import connect
from bulk_pipeline.postgres.migrations import migrate, migrations, pending, sql_folder
from bulk_pipeline.schema import Selection, select
from bulk_pipeline.tables import registry
from bulk_pipeline_tests.rigs.ledger import at_once

NAMES = [migration.name for migration in migrations(sql_folder())]
LEDGER = [name for name in NAMES if name != "0002_tables.sql"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of `sql/` that the test may change."""
    shutil.copytree(sql_folder(), tmp_path / "sql")
    return tmp_path / "sql"


def test_everything_is_applied_once(empty_database_url: str) -> None:
    assert pending(empty_database_url) == NAMES
    assert migrate(empty_database_url) == NAMES
    assert migrate(empty_database_url) == pending(empty_database_url) == []


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, which this process serves until the test ends."""
    monkeypatch.setattr(registry, "_served", None)
    (tmp_path / "project" / "tables").mkdir(parents=True)
    return tmp_path / "project"


def table_names(url: str) -> set[str]:
    with connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {name for (name,) in rows}


def test_a_project_gets_the_ledger_only(empty_database_url: str, project: Path) -> None:
    tables.serve(project)
    assert pending(empty_database_url) == migrate(empty_database_url) == LEDGER
    assert pending(empty_database_url) == migrate(empty_database_url) == []
    assert table_names(empty_database_url) == set()


def test_the_tables_of_the_package_are_made_once_they_are_served(
    empty_database_url: str, project: Path
) -> None:
    tables.serve(project)
    migrate(empty_database_url)
    tables.serve(None)
    assert pending(empty_database_url) == migrate(empty_database_url) == ["0002_tables.sql"]
    assert table_names(empty_database_url) == {"customers", "users", "articles", "comments"}


def test_a_database_that_has_them_keeps_them_where_a_project_is_served(
    empty_database_url: str, project: Path
) -> None:
    migrate(empty_database_url)
    tables.serve(project)
    assert pending(empty_database_url) == migrate(empty_database_url) == []
    assert table_names(empty_database_url) == {"customers", "users", "articles", "comments"}


def test_migrations_at_once_are_applied_once(empty_database_url: str) -> None:
    applied = at_once(lambda _: migrate(empty_database_url), 6)
    assert sorted(name for names in applied for name in names) == NAMES


def test_a_file_that_changed_since_is_refused(empty_database_url: str, folder: Path) -> None:
    migrate(empty_database_url, folder)
    changed = folder / NAMES[2]
    changed.write_bytes(changed.read_bytes() + b"\n")
    for act in (migrate, pending):
        with pytest.raises(MigrationError, match=f"{NAMES[2]} has changed since it was applied"):
            act(empty_database_url, folder)


def test_a_file_that_is_missing_is_refused(empty_database_url: str, folder: Path) -> None:
    migrate(empty_database_url, folder)
    (folder / NAMES[-1]).unlink()
    with pytest.raises(MigrationError, match=f"has the migration {NAMES[-1]}"):
        migrate(empty_database_url, folder)


def test_a_file_that_comes_too_late_is_refused(empty_database_url: str, folder: Path) -> None:
    migrate(empty_database_url, folder)
    (folder / "0000_early.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match=r"0000_early.sql comes before"):
        migrate(empty_database_url, folder)


def test_a_file_that_breaks_leaves_nothing_of_itself(empty_database_url: str, folder: Path) -> None:
    (folder / "9998_good.sql").write_text("CREATE TABLE good (n integer)")
    (folder / "9999_broken.sql").write_text("CREATE TABLE broken (n integer); SELECT 1 / 0; SELECT '%s'")
    with pytest.raises(MigrationError, match=r"9999_broken.sql: division by zero"):
        migrate(empty_database_url, folder)
    assert pending(empty_database_url, folder) == ["9999_broken.sql"]
    with connect(empty_database_url) as connection:
        tables = connection.execute("SELECT to_regclass('good'), to_regclass('broken')").fetchone()
    assert tables == ("good", None)


def test_a_table_without_a_schema_is_in_public(empty_database_url: str, folder: Path) -> None:
    (folder / "9999_invoices.sql").write_text("CREATE TABLE invoices (n integer)")
    with connect(empty_database_url) as connection:
        connection.execute("CREATE SCHEMA AUTHORIZATION CURRENT_USER")
    migrate(empty_database_url, folder)
    with connect(empty_database_url) as connection:
        assert connection.execute("SELECT to_regclass('public.invoices')").fetchone() == ("invoices",)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["1_x.sql"], "name migrations like"),
        (["0001_a.sql", "0001_b.sql"], "have the same number"),
        ([], "no migrations in"),
    ],
)
def test_a_folder_that_makes_no_sense_is_refused(tmp_path: Path, names: list[str], message: str) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(MigrationError, match=message):
        migrations(tmp_path)


def test_a_database_that_is_not_there_is_an_outage() -> None:
    with pytest.raises(StoreUnavailableError, match=r"127\.0\.0\.1:1"):
        migrate("postgresql://nobody@127.0.0.1:1/nothing")


def test_ids_made_by_the_database_are_of_version_7_and_in_order_of_time(each_database_url: str) -> None:
    with psycopg.connect(each_database_url, autocommit=True) as connection:
        ids: list[UUID] = []
        for _ in range(20):
            row = connection.execute("SELECT bulk.uuid_v7(), pg_sleep(0.002)").fetchone()
            assert row is not None
            ids.append(row[0])
        row = connection.execute("SELECT extract(epoch FROM clock_timestamp()) * 1000").fetchone()
    assert row is not None
    assert {(made.version, made.variant) for made in ids} == {(7, "specified in RFC 4122")}
    assert ids == sorted(ids)
    assert abs((ids[-1].int >> 80) - int(row[0])) < 1000


def test_exports_that_are_worked_on_keep_their_leases_when_these_move_into_a_table(
    empty_database_url: str, folder: Path
) -> None:
    for name in NAMES[NAMES.index("0019_leases.sql") :]:
        (folder / name).unlink()
    migrate(empty_database_url, folder)
    held, waiting, imported = (f"01a00000-0000-7000-8000-00000000000{number}" for number in (1, 2, 3))
    with psycopg.connect(empty_database_url) as connection:
        for job_id, heartbeat_at in ((held, "2026-01-01Z"), (waiting, None)):
            connection.execute(
                "INSERT INTO bulk.export_jobs (id, table_name, format, status, attempt, run_id, heartbeat_at)"
                " VALUES (%s, 'users', 'csv', 'processing', 2, 'run', %s)",
                (job_id, heartbeat_at),
            )
        connection.execute(
            "INSERT INTO bulk.import_jobs (id, table_name, mode, status, bucket, key, etag, size_bytes, arrived_at)"
            " VALUES (%s, 'users', 'upsert', 'processing', 'b', 'k', 'e', 1, now())",
            (imported,),
        )
        connection.execute(
            "INSERT INTO bulk.job_leases (job_id, attempt, run_id) VALUES (%s, 1, 'other')", (imported,)
        )
    migrate(empty_database_url)
    leases = "SELECT job_id::text, kind, attempt, run_id FROM bulk.job_leases ORDER BY job_id"
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute(leases).fetchall() == [
            (held, "export", 2, "run"),
            (imported, "import", 1, "other"),
        ]
        assert connection.execute(
            "SELECT heartbeat_at = '2026-01-01Z' FROM bulk.job_leases WHERE job_id = %s", (held,)
        ).fetchone() == (True,)
        connection.execute("DELETE FROM bulk.export_jobs")
        assert connection.execute(leases).fetchall() == [(imported, "import", 1, "other")]
        connection.execute("DELETE FROM bulk.import_jobs")
        assert connection.execute(leases).fetchall() == []


def test_selections_of_exports_keep_their_meaning_as_json(empty_database_url: str, folder: Path) -> None:
    for name in NAMES[NAMES.index("0020_export_selections.sql") :]:
        (folder / name).unlink()
    migrate(empty_database_url, folder)
    table = tables.get("users")
    words = {
        "columns": ["email", "active"],
        "where": [
            "name = 'it''s, (''a'')\n true'",
            "name in ('', 'a', 'b, c', ''''',')",
            "name != 'true'",
            "name prefix 'é x'",
            "active = true",
            "created_at >= 2026-01-31T12:30:00.5+01:00",
            "created_at in (2026-01-31, 2026-02-01)",
            "email is not null",
            "role is null",
        ],
        "order": ["created_at desc", "name"],
    }
    selection = select(table, **words)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("INSERT INTO bulk.export_jobs (table_name, format) VALUES ('users', 'csv')")
        connection.execute(
            "INSERT INTO bulk.export_jobs (table_name, format, columns, filters, sort_order, updated_at)"
            " VALUES ('users', 'csv', %s, %s, %s, '2026-01-01Z')",
            (words["columns"], [str(condition) for condition in selection.filters], words["order"]),
        )
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        everything, chosen = connection.execute(
            "SELECT selection, updated_at = '2026-01-01Z' FROM bulk.export_jobs ORDER BY id"
        ).fetchall()
    assert everything[0] == select(table).as_json()
    assert chosen == (selection.as_json(), True)
    assert Selection.read(table, chosen[0]) == selection
