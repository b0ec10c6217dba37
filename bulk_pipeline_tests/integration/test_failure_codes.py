"""An example row for every failure code, from the file to the report."""

import json
from collections.abc import Callable

import psycopg
import pytest

from bulk_pipeline.stages.failures import CODES
from bulk_pipeline_tests.rigs.examples import Cells, csv, row, uid
from bulk_pipeline_tests.rigs.pipeline import Pipeline


def one(table: str, **cells: str) -> tuple[str, list[Cells]]:
    """Return a file of a good row and a row with these cells."""
    return f"{table}/a.csv", [row(table, 1), row(table, 2, cells)]


EXAMPLES: dict[str, Callable[[], tuple[str, list[Cells]]]] = {
    "malformed_row": lambda: one("customers", city="Rome,Italy"),
    "bad_encoding": lambda: one("customers", city="Ro\0me"),
    "required": lambda: one("customers", email=""),
    "bad_type": lambda: one("users", active="maybe"),
    "bad_format": lambda: one("customers", email="ann at home"),
    "too_long": lambda: one("customers", phone="1" * 65),
    "spreadsheet_damage": lambda: one("customers", email="1.23457E+19"),
    "out_of_range": lambda: one("customers", created_at="12024-02-03"),
    "not_allowed": lambda: one("users", role="boss"),
    "unknown_reference": lambda: (
        "articles/a.csv",
        [row("articles", 1), row("articles", 2, {"author_id": uid(9)})],
    ),
    "duplicate_in_file": lambda: one("customers", email="u1@x.co"),
    "already_exists": lambda: one("users", id=uid(7)),
    "key_conflict": lambda: (
        "users/upsert/a.csv",
        [row("users", 1), row("users", 7, {"email": "u8@x.co"})],
    ),
    "constraint": lambda: one("customers", city="Nowhere"),
}
"""A file for each code whose second row fails with it. Users 7 and 8 are in the table, and user 1 for articles."""


@pytest.mark.parametrize("code", CODES)
def test_every_failure_code_has_an_example_row(pipeline: Pipeline, code: str) -> None:
    assert code in EXAMPLES, f"add an example row for {code}"
    key, rows = EXAMPLES[code]()
    authors = [row("users", 1)] if key.startswith("articles") else []
    pipeline.load("users/before.csv", csv([*authors, row("users", 7), row("users", 8)]))
    with psycopg.connect(pipeline.stores.database_url) as connection:
        connection.execute("ALTER TABLE customers ADD CONSTRAINT somewhere CHECK (city <> 'Nowhere')")

    job = pipeline.load(key, csv(rows))

    failures = [json.loads(line) for line in pipeline.report(job, "errors.ndjson").splitlines()]
    assert [(failure["row"], failure["code"]) for failure in failures] == [(2, code)]
