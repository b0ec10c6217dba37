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
