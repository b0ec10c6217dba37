"""What the database refuses, drops or changes, through the whole pipeline: rows, counts and reports say the same."""

import json

import pytest

from bulk_pipeline.stores.jobs import Counts, ImportJob, Status
from bulk_pipeline_tests.integration.conftest import Pipeline
from bulk_pipeline_tests.integration.loading import uid


def failures(pipeline: Pipeline, job: ImportJob, *names: str) -> list[tuple]:
    lines = pipeline.report(job, "errors.ndjson").splitlines()
    return [tuple(json.loads(line)[name] for name in names or ("row", "column", "code")) for line in lines]


FILES = {
    "csv": lambda rows: "\n".join(["id,email,city", *(",".join(row) for row in rows), ""]).encode(),
    "ndjson": lambda rows: "".join(
        json.dumps(dict(zip(("id", "email", "city"), row, strict=True))) + "\n" for row in rows
    ).encode(),
    "json": lambda rows: json.dumps(
        [dict(zip(("id", "email", "city"), row, strict=True)) for row in rows]
    ).encode(),
}
"""Rows of id, email and city as a file of each kind."""


@pytest.mark.parametrize("kind", FILES)
def test_a_row_whose_key_is_in_the_table_shuts_out_no_other(pipeline: Pipeline, kind: str) -> None:
    pipeline.load("customers/before.csv", f"id,email\n{uid(1)},a@example.com\n".encode())
    rows = [
        (uid(1), "n@example.com", "Rome"),
        (uid(2), "n@example.com", "Bonn"),
        (uid(3), "n@example.com", "x"),
    ]
    job = pipeline.load(f"customers/after.{kind}", FILES[kind](rows))
    assert (job.status, pipeline.counts(job)) == (
        Status.COMPLETED_WITH_ERRORS,
        Counts(total=3, inserted=1, rejected=2),
    )
    assert failures(pipeline, job) == [(1, "id", "already_exists"), (3, "email", "duplicate_in_file")]
    assert pipeline.query("SELECT id::text, email, city FROM customers ORDER BY id") == [
        (uid(1), "a@example.com", None),
        (uid(2), "n@example.com", "Bonn"),
    ]


def case(name: str) -> str:
    """One of the triggers and constraints that somebody has made on customers."""
    return {
        "drops": """
            CREATE FUNCTION drop_some() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF NEW.city = 'Nowhere' THEN RETURN NULL; END IF; RETURN NEW; END $$;
            CREATE TRIGGER drop_some BEFORE INSERT OR UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION drop_some();
        """,
        "deferred unique": "ALTER TABLE customers ADD CONSTRAINT city_once UNIQUE (city) DEFERRABLE INITIALLY DEFERRED",
        "deferred trigger": """
            CREATE FUNCTION no_evil() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF NEW.city = 'Evil' THEN RAISE EXCEPTION 'no evil cities' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'no_evil'; END IF; RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER no_evil AFTER INSERT OR UPDATE ON customers
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION no_evil();
        """,
    }[name]


@pytest.mark.parametrize(("kind", "mode"), [("csv", "insert_only"), ("ndjson", "upsert"), ("json", "upsert")])
@pytest.mark.parametrize(
    ("constraint", "cities", "rejected", "column", "reason"),
    [
        pytest.param(
            "drops", ["Rome", "Nowhere", "Bonn"], 2, None, "trigger drop_some dropped it", id="dropped"
        ),
        pytest.param(
            "deferred unique",
            ["Rome", "Rome", "Bonn"],
            2,
            "city",
            "constraint city_once: Key (city)=(Rome) already exists",
            id="deferred unique",
        ),
        pytest.param(
            "deferred trigger",
            ["Rome", "Evil", "Bonn"],
            2,
            None,
            "constraint no_evil: no evil cities",
            id="deferred trigger",
        ),
    ],
)
def test_only_the_row_that_the_database_does_not_take_is_rejected(
    pipeline: Pipeline,
    kind: str,
    mode: str,
    constraint: str,
    cities: list[str],
    rejected: int,
    column: str | None,
    reason: str,
) -> None:
    with pipeline.stores.postgres.transaction() as connection:
        connection.execute(case(constraint).encode())
    rows = [(uid(number), f"{number}@example.com", city) for number, city in enumerate(cities, 1)]
    job = pipeline.load(f"customers/a.{kind}", FILES[kind](rows), mode=mode)
    assert (job.status, job.attempt, pipeline.counts(job)) == (
        Status.COMPLETED_WITH_ERRORS,
        1,
        Counts(total=3, inserted=2, rejected=1),
    )
    assert failures(pipeline, job, "row", "column", "code", "message") == [
        (rejected, column, "constraint", f"the database refused the row: {reason}")
    ]
    assert pipeline.query("SELECT id::text, email, city FROM customers ORDER BY id") == [
        row for number, row in enumerate(rows, 1) if number != rejected
    ]
