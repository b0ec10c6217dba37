"""`bulk-pipeline doctor` prints one line per cause with its remedy, and no consequences of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import conninfo

from bulk_pipeline.s3 import client as s3
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack.postgres import Cluster
from bulk_pipeline_tests.rigs.command_here import run_here
from bulk_pipeline_tests.rigs.dagster_signs import leave_signs

MACHINE = {"Python", "disk", "home", "memory", "table files", "embedded servers"}


class Doctor:
    """Runs the command with the settings of a server, some of them changed."""

    def __init__(self, settings: Settings, home: Path) -> None:
        secret = settings.s3_secret_key
        self.where = conninfo.conninfo_to_dict(settings.database_url.get_secret_value())
        self._environ = {
            "BULK_HOME": str(home),
            "BULK_WORK_DIR": str(home),
            "DATABASE_URL": settings.database_url.get_secret_value(),
            "S3_ENDPOINT_URL": settings.s3_endpoint_url or "",
            "S3_ACCESS_KEY": settings.s3_access_key or "",
            "S3_SECRET_KEY": secret.get_secret_value() if secret else "",
            **{
                f"S3_BUCKET_{use}": getattr(settings, f"s3_bucket_{use.lower()}")
                for use in ("UPLOADS", "ARCHIVE", "REPORTS", "EXPORTS")
            },
        }

    def database(self, **changed: object) -> list[tuple[str, str, str]]:
        """Return the problem of a connection with these changes."""
        return self.says(DATABASE_URL=conninfo.make_conninfo("", **{**self.where, **changed}))

    def says(self, **environ: str) -> list[tuple[str, str, str]]:
        """Return subject, problem and remedy of each finding."""
        done = run_here(self._environ | environ, "doctor", "--json")
        result = json.loads(done.stdout)
        wrong = [(one["subject"], one["problem"], one["remedy"]) for one in result if one["problem"]]
        assert done.returncode == bool(wrong)
        return [one for one in wrong if one[0] not in ("disk", "memory")]  # of the machine that tests

    def of_table(self, table: str, **environ: str) -> list[tuple[str, str, str]]:
        """Return subject, problem and remedy of each finding about one table."""
        done = run_here(self._environ | environ, "doctor", "--table", table, "--json")
        found = json.loads(done.stdout)
        wrong = [(one["subject"], one["problem"], one["remedy"]) for one in found if one["problem"]]
        assert (done.returncode, {one["subject"] for one in found}) == (bool(wrong), {table})
        return wrong

    def shows(self, **environ: str) -> str:
        return run_here(self._environ | environ, "doctor").stdout.decode()


@pytest.fixture
def doctor(settings: Settings, tmp_path: Path) -> Doctor:
    return Doctor(settings, tmp_path)


@pytest.fixture
def login(postgres_server: Cluster) -> Iterator[str]:
    """Create a user with the right to log in only, and the same password."""
    name = f"login_{uuid4().hex[:8]}"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{name}'".encode())
        yield name
        connection.execute(f"DROP ROLE {name}".encode())


def test_nothing_is_wrong(doctor: Doctor) -> None:
    assert doctor.says() == []


def test_too_little_space(doctor: Doctor) -> None:
    ((subject, problem, remedy),) = doctor.says(BULK_MIN_FREE_BYTES=str(1 << 60))
    assert subject == "free space"
    assert problem.startswith("disk_full: ")
    assert "bytes are free for work files" in problem
    assert f"{1 << 60:,} must be (BULK_MIN_FREE_BYTES)" in problem
    assert remedy == "free disk space; no import starts until then"


def test_a_wrong_password(doctor: Doctor) -> None:
    where, user = f"{doctor.where['host']}:{doctor.where['port']}", doctor.where["user"]
    ((subject, problem, remedy),) = doctor.database(password="wrong")
    assert (subject, remedy) == ("database", "correct user and password in DATABASE_URL")
    assert problem.startswith(f"Postgres at {where} refuses the password of user {user}: ")
    assert "wrong" not in problem


def test_a_port_without_a_listener(doctor: Doctor) -> None:
    assert doctor.database(port=9) == [
        (
            "database",
            f"nothing answers at {doctor.where['host']}:9: Connection refused",
            "start Postgres, or correct host and port in DATABASE_URL",
        )
    ]


def test_a_host_that_does_not_exist(doctor: Doctor) -> None:
    assert doctor.database(host="no-host.invalid") == [
        ("database", "there is no host no-host.invalid", "correct the host in DATABASE_URL")
    ]


def test_a_database_that_does_not_exist(doctor: Doctor) -> None:
    where = f"{doctor.where['host']}:{doctor.where['port']}"
    assert doctor.database(dbname="nowhere") == [
        (
            "database",
            f"Postgres at {where} has no database nowhere",
            "create it, or correct the name in DATABASE_URL",
        )
    ]


def test_a_database_that_is_closed_to_the_user(doctor: Doctor, postgres_server: Cluster, login: str) -> None:
    name = f"closed_{login}"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        connection.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC".encode())
        ((subject, problem, remedy),) = doctor.database(dbname=name, user=login, password=login)
        connection.execute(f"DROP DATABASE {name}".encode())
    assert (subject, remedy) == ("database", f"GRANT CONNECT ON DATABASE {name} TO {login}")
    assert f"does not let user {login} connect to database {name}: " in problem


def test_a_right_that_is_missing(doctor: Doctor, login: str) -> None:
    assert doctor.database(user=login, password=login) == [
        (
            "migrations",
            "the user of DATABASE_URL lacks a right: permission denied for schema bulk",
            "grant that right: run bulk-pipeline migrate --roles as a superuser",
        )
    ]


def test_a_url_that_cannot_be_read(doctor: Doctor) -> None:
    ((subject, problem, remedy),) = doctor.says(DATABASE_URL="postgresql://u:p@ss#word@host/db")
    assert (subject, remedy) == ("database", "correct DATABASE_URL")
    assert problem.startswith("DATABASE_URL cannot be read as postgresql://")


def test_migrations_that_are_not_applied(doctor: Doctor, empty_database_url: str) -> None:
    ((subject, problem, remedy),) = doctor.says(DATABASE_URL=empty_database_url)
    assert (subject, remedy) == ("migrations", "bulk-pipeline migrate")
    assert problem.startswith("not applied: 0001_functions.sql, ")


def test_a_sensor_that_is_switched_off(doctor: Doctor, database_url: str) -> None:
    sensors = {"upload_sensor": 4.0, "reaper_sensor": 4.0}
    leave_signs(database_url, ticks=sensors, switched_off=["upload_sensor"])
    ((subject, problem, remedy),) = doctor.says(DAGSTER_URL="http://dagster.example.com")
    assert (subject, problem) == ("sensors", "switched off in Dagster's UI: upload_sensor")
    assert "http://dagster.example.com/automation" in remedy


def test_messages_that_could_not_be_delivered(doctor: Doctor, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            """
            INSERT INTO bulk.notifications (event, table_name, due_at, recipient, status, finished_at)
            VALUES ('late', 'users', now(), '$HOOK', 'undeliverable', now())
            """
        )
    assert doctor.says() == [
        (
            "messages",
            "1 message could not be delivered",
            "see bulk-pipeline notify list, correct the recipient, then run bulk-pipeline notify retry",
        )
    ]


def test_buckets_that_are_missing(doctor: Doctor, s3_client: s3.Client, buckets: dict[str, str]) -> None:
    for use in ("reports", "exports"):
        s3_client.delete_bucket(Bucket=buckets[use])
    assert doctor.says() == [
        (
            "buckets",
            f"missing: {buckets['reports']}, {buckets['exports']}",
            "create them (`bulk-pipeline up` does), or correct S3_BUCKET_…",
        )
    ]


def test_an_object_store_that_does_not_answer(doctor: Doctor) -> None:
    ((subject, problem, remedy),) = doctor.says(S3_ENDPOINT_URL="http://127.0.0.1:9")
    assert (subject, remedy) == ("buckets", "start the S3 server, or correct S3_ENDPOINT_URL")
    assert "http://127.0.0.1:9" in problem


def test_a_wrong_key_of_the_object_store(doctor: Doctor) -> None:
    ((subject, _, remedy),) = doctor.says(S3_SECRET_KEY="wrong")
    assert (subject, remedy) == ("buckets", "correct S3_ACCESS_KEY and S3_SECRET_KEY")


def test_settings_that_are_wrong(doctor: Doctor) -> None:
    assert doctor.says(API_PORT="abc") == [
        (
            "settings",
            "API_PORT: 'abc' is wrong; expected a whole number",
            "correct the variable, or unset it to use its default",
        )
    ]


def test_consequences_of_a_problem_are_only_named(doctor: Doctor) -> None:
    shown = doctor.shows(DATABASE_URL="postgresql://u:p@127.0.0.1:9/db", S3_ENDPOINT_URL="http://127.0.0.1:9")
    lines = [line.split()[:2] for line in shown.splitlines()]
    assert [line for line in lines if line[0] == "wrong" and line[1] not in ("disk", "memory")] == [
        ["wrong", "database"],
        ["wrong", "buckets"],
    ]
    assert (
        shown.splitlines()[-1]
        == "not checked, because they depend on the above: migrations, tables, sensors, messages"
    )


def test_a_machine_without_a_stack_or_settings_is_one_line(tmp_path: Path) -> None:
    done = run_here({"BULK_HOME": str(tmp_path / "none")}, "doctor", "--json")
    result = json.loads(done.stdout)
    assert done.returncode == 1
    assert {one["subject"] for one in result} == {*MACHINE, "stack"}
    assert result[-1] == {
        "subject": "stack",
        "problem": f"no stack is running in {tmp_path / 'none'}",
        "remedy": f"start one with bulk-pipeline up --home {tmp_path / 'none'} --detach, "
        "or set DATABASE_URL and S3_ENDPOINT_URL",
    }


def test_one_table_names_each_missing_right_with_its_grant_and_each_difference(
    doctor: Doctor, settings: Settings, login: str, tmp_path: Path
) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "lines.yaml").write_text(
        "schema: shop\nname: lines\ncolumns:\n  id: {type: bigint, identity: serial}\n"
        "  order_no: {type: text, required: true}\n  amount: {type: numeric}\nprimary_key: [id]\n"
        "foreign_keys:\n  - {columns: [order_no], table: shop.orders, references: [order_no]}\n"
    )
    url = settings.database_url.get_secret_value()
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "CREATE SCHEMA shop; CREATE TABLE shop.orders (order_no text PRIMARY KEY); CREATE TABLE shop.lines "
            "(id bigserial PRIMARY KEY, order_no text NOT NULL REFERENCES shop.orders, amount numeric, note text)"
        )
        mend = "change the table, or let its file follow it: `bulk-pipeline adopt --update shop.lines`"
        grants = [
            f'GRANT USAGE ON SCHEMA "shop" TO "{login}";',
            f'GRANT SELECT, INSERT, UPDATE ON "shop"."lines" TO "{login}";',
            f'GRANT USAGE, UPDATE ON SEQUENCE shop.lines_id_seq TO "{login}";',
            f'GRANT SELECT ON "shop"."orders" TO "{login}";',
        ]
        lacks = [f"the login {login} lacks {grant[6:].partition(' TO ')[0]}" for grant in grants]
        environ = {
            "BULK_PROJECT": str(tmp_path),
            "DATABASE_URL": conninfo.make_conninfo("", **{**doctor.where, "user": login, "password": login}),
        }
        assert doctor.of_table("shop.lines", **environ) == [
            *zip(["shop.lines"] * 4, lacks, grants, strict=True),
            ("shop.lines", "shop.lines.note is not declared", mend),
        ]
        for grant in grants:
            admin.execute(grant.encode())
        admin.execute("ALTER TABLE shop.lines DROP COLUMN note, ALTER amount TYPE integer")
        assert doctor.of_table("shop.lines", **environ) == [
            ("shop.lines", "shop.lines.amount is integer, declared as numeric", mend)
        ]
        admin.execute("ALTER TABLE shop.lines ALTER amount TYPE numeric")
        assert doctor.of_table("shop.lines", **environ) == []
        admin.execute(f"DROP OWNED BY {login}".encode())
        admin.execute("DROP TABLE shop.lines")
        ((_, problem, remedy),) = doctor.of_table("shop.lines", BULK_PROJECT=str(tmp_path))
        assert (problem, remedy) == ("table shop.lines is missing", "create it, or remove its declaration")
