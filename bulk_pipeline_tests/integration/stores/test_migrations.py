"""Migrations are applied once, in order, whoever starts them, and never change afterwards."""

import shutil
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from bulk_pipeline.errors import MigrationError, StoreUnavailableError
from bulk_pipeline.stores.migrations import migrate, migrations, pending, sql_folder
from bulk_pipeline.stores.postgres import connect
from bulk_pipeline_tests.integration.stores.ledger_world import at_once

NAMES = [migration.name for migration in migrations(sql_folder())]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of `sql/` to change."""
    shutil.copytree(sql_folder(), tmp_path / "sql")
    return tmp_path / "sql"


def test_everything_is_applied_once(empty_database_url: str) -> None:
    assert pending(empty_database_url) == NAMES
    assert migrate(empty_database_url) == NAMES
    assert migrate(empty_database_url) == pending(empty_database_url) == []


def test_migrations_at_once_are_applied_once(empty_database_url: str) -> None:
    applied = at_once(lambda _: migrate(empty_database_url), 6)
    assert sorted(name for names in applied for name in names) == NAMES


def test_a_file_that_changed_since_is_refused(empty_database_url: str, folder: Path) -> None:
    migrate(empty_database_url, folder)
    changed = folder / NAMES[1]
    changed.write_bytes(changed.read_bytes() + b"\n")
    for act in (migrate, pending):
        with pytest.raises(MigrationError, match=f"{NAMES[1]} has changed since it was applied"):
            act(empty_database_url, folder)


def test_a_file_that_is_missing_is_refused(empty_database_url: str, folder: Path) -> None:
    migrate(empty_database_url, folder)
    (folder / NAMES[-1]).unlink()
    with pytest.raises(MigrationError, match=f"has had {NAMES[-1]}"):
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
