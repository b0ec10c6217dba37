"""Bad cases of a table that a database has: what each costs, and what is in the table after it."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bulk_pipeline import tables
from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.pipeline.adoption import adopt
from bulk_pipeline.postgres.catalogue import all_tables
from bulk_pipeline.tables import registry
from bulk_pipeline_tests.rigs.pipeline import Pipeline

CREATE = """
CREATE SCHEMA shop;
CREATE TYPE shop.mood AS ENUM ('sad', 'ok', 'old');
CREATE TABLE shop.things (
    no integer PRIMARY KEY, amount numeric(6, 2), big numeric, at time, day date, moment timestamptz, meta jsonb,
    mood shop.mood, boss integer REFERENCES shop.things
);
CREATE TABLE shop.events (at timestamptz NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE shop.events_2026 PARTITION OF shop.events FOR VALUES FROM ('2026-01-01Z') TO ('2027-01-01Z');
CREATE TABLE shop.a (no integer PRIMARY KEY, b integer);
CREATE TABLE shop.b (no integer PRIMARY KEY, a integer REFERENCES shop.a);
ALTER TABLE shop.a ADD FOREIGN KEY (b) REFERENCES shop.b;
"""


@pytest.fixture
def shop(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A pipeline that serves the tables of a schema as `adopt` declares them."""
    monkeypatch.setattr(registry, "_served", None)
    (tmp_path / "tables").mkdir()
    with psycopg.connect(pipeline.stores.database_url) as connection:
        connection.execute(CREATE.encode())
        for table in all_tables(connection, connection.info.user, schema="shop"):
            adoption = adopt(table, connection.info.user)
            (tmp_path / "tables" / f"{adoption.upload_name}.yaml").write_text(str(adoption.text))
    assert tables.serve(tmp_path).problems() == ()
    return pipeline


def failures(pipeline: Pipeline, job: ImportJob) -> list[tuple[Any, ...]]:
    found = map(json.loads, pipeline.report(job, "errors.ndjson").splitlines())
    return [(one["row"], one["line"], one["column"], one["code"]) for one in found]


def execute(pipeline: Pipeline, statement: str) -> None:
    with psycopg.connect(pipeline.stores.database_url) as connection:
        connection.execute(statement.encode())


def test_values_that_a_type_does_not_hold_cost_their_rows_only(shop: Pipeline) -> None:
    execute(
        shop, "ALTER TYPE shop.mood ADD VALUE 'new'; ALTER TYPE shop.mood RENAME VALUE 'old' TO 'ancient'"
    )
    digits = "1" * 40
    bad = [
        ("amount", "12345.67", "out_of_range"),
        ("amount", digits, "out_of_range"),
        ("amount", "1.005", "bad_type"),
        ("amount", "NaN", "bad_type"),
        ("at", "24:00:01", "bad_type"),
        ("day", "0000-01-01", "out_of_range"),
        ("day", "10000-01-01", "out_of_range"),
        ("day", "-4713-01-01", "out_of_range"),
        ("day", "2023-02-29", "bad_type"),
        ("moment", "0000-12-31T23:00Z", "out_of_range"),
        ("meta", '{"a": "\\u0000"}', "bad_encoding"),
        ("meta", '{"a": 1', "bad_type"),
        ("mood", "new", "not_allowed"),
        ("mood", "old", "constraint"),
    ]
    good = [{"big": digits, "at": "24:00:00", "day": "2024-02-29"}, {"meta": "{}", "mood": "ok"}]
    rows = [{column: cell} for column, cell, _ in bad]
    file = io.StringIO()
    writer = csv.DictWriter(file, ["no", "amount", "big", "at", "day", "moment", "meta", "mood"])
    writer.writeheader()
    writer.writerows({"no": no, **row} for no, row in enumerate([*rows, *good], 1))
    job = shop.load("shop.things/a.csv", file.getvalue().encode())
    assert (job.status, job.error) == (Status.COMPLETED_WITH_ERRORS, None)
    assert failures(shop, job) == [(no, no + 1, column, code) for no, (column, _, code) in enumerate(bad, 1)]
    assert shop.query(
        "SELECT no, big::text, at::text, day::text, mood::text FROM shop.things ORDER BY no"
    ) == [
        (15, digits, "24:00:00", "2024-02-29", None),
        (16, None, None, None, "ok"),
    ]


def test_a_row_outside_every_partition_is_rejected(shop: Pipeline) -> None:
    file = b"at,what\n2026-05-01T00:00Z,in\n2027-01-01T00:00Z,out\n2026-06-01T00:00Z,in too\n"
    job = shop.load("shop.events/a.csv", file)
    assert (job.status, failures(shop, job)) == (Status.COMPLETED_WITH_ERRORS, [(2, 3, None, "constraint")])
    assert b'no partition of relation ""events"" found' in shop.report(job, "errors.csv")
    assert shop.query("SELECT what FROM shop.events ORDER BY at") == [("in",), ("in too",)]


def test_rows_may_refer_to_later_rows_of_their_file_and_not_to_rejected_ones(shop: Pipeline) -> None:
    job = shop.load("shop.things/a.csv", b"no,boss,amount\n1,3,1\n2,4,2\n3,,3\n4,,x\n5,2,5\n")
    assert failures(shop, job) == [
        (2, 3, "boss", "unknown_reference"),
        (4, 5, "amount", "bad_type"),
        (5, 6, "boss", "unknown_reference"),
    ]
    assert shop.query("SELECT no, boss FROM shop.things ORDER BY no") == [(1, 3), (3, None)]


def test_tables_that_refer_to_each_other_are_loaded_one_after_the_other(shop: Pipeline) -> None:
    first = shop.load("shop.a/1.csv", b"no,b\n1,\n2,1\n")
    second = shop.load("shop.b/1.csv", b"no,a\n1,1\n")
    third = shop.load("shop.a/2.csv", b"no,b\n1,1\n", mode="upsert")
    assert failures(shop, first) == [(2, 3, "b", "unknown_reference")]
    assert (second.status, third.status) == (Status.COMPLETED, Status.COMPLETED)
    assert shop.query("SELECT a.no, a.b, b.a FROM shop.a, shop.b") == [(1, 1, 1)]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("ALTER TABLE shop.things DROP amount", "shop.things.amount is missing"),
        ("ALTER TABLE shop.things RENAME amount TO price", "shop.things.amount is missing"),
        (
            "ALTER TABLE shop.things ALTER amount TYPE numeric(6, 1)",
            "shop.things.amount is numeric(6,1), declared as numeric(6,2)",
        ),
        (
            "ALTER TABLE shop.things ADD code text NOT NULL",
            "shop.things.code must have a value, and is not declared",
        ),
    ],
    ids=["dropped", "renamed", "retyped", "added NOT NULL"],
)
def test_a_column_that_has_changed_since_it_was_adopted_fails_the_job(
    shop: Pipeline, change: str, problem: str
) -> None:
    execute(shop, change)
    job = shop.load("shop.things/a.csv", b"no,amount\n1,2.50\n")
    assert (job.status, job.error_code) == (Status.FAILED, "load_refused")
    assert str(job.error).startswith(f"shop.things cannot be loaded: {problem}. To mend it: ")
    assert shop.query("SELECT no FROM shop.things") == []


@pytest.mark.parametrize(
    "added", ["text", "text NOT NULL DEFAULT 'x'", "integer GENERATED ALWAYS AS IDENTITY"]
)
def test_a_column_that_makes_its_own_values_may_be_added(shop: Pipeline, added: str) -> None:
    execute(shop, f"ALTER TABLE shop.things ADD code {added}")
    job = shop.load("shop.things/a.csv", b"no,amount\n1,2.50\n")
    assert (job.status, job.error) == (Status.COMPLETED, None)
