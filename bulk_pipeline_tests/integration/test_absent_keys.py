"""Keys that a JSON object lacks leave the table's values unchanged, from the file to the table."""

import io
import json
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from bulk_pipeline_tests.rigs.examples import csv, have_parents, row, uid
from bulk_pipeline_tests.rigs.pipeline import Pipeline

Objects = list[dict[str, Any]]
FORMATS = ["ndjson", "json"]

CUSTOMERS = b"""email,first_name,phone,city
ann@example.com,Ann,111,Rome
ben@example.com,Ben,222,Oslo
cat@example.com,Cat,333,Bonn
dan@example.com,Dan,444,Bern
"""


def written(format_: str, objects: Objects) -> bytes:
    if format_ == "json":
        return json.dumps(objects).encode()
    return "\n".join(map(json.dumps, objects)).encode()


def upsert(
    pipeline: Pipeline, table: str, format_: str, *objects: dict[str, Any]
) -> list[tuple[int, str, str]]:
    """Load the objects; return row, code and message of each failure."""
    job = pipeline.load(f"{table}/patch.{format_}", written(format_, list(objects)), mode="upsert")
    counts = pipeline.counts(job)
    assert counts.unprocessed == 0
    if not counts.rejected:
        return []
    result = map(json.loads, pipeline.report(job, "errors.ndjson").splitlines())
    return [(failure["row"], failure["code"], failure["message"]) for failure in result]


@pytest.mark.parametrize("format_", FORMATS)
def test_an_object_changes_only_the_columns_it_has(pipeline: Pipeline, format_: str) -> None:
    pipeline.load("customers/before.csv", CUSTOMERS)
    patch: Objects = [
        {"email": "ann@example.com", "city": "Naples"},
        {"email": "ben@example.com", "phone": "999"},
        {"email": "cat@example.com", "phone": None},
        {"email": "dan@example.com", "first_name": "Daniel"},
        {"email": "eve@example.com"},
        {"email": "eve@example.com", "city": "Ulm"},
        {"phone": "5", "email": "eve@example.com", "city": None},
    ]
    assert upsert(pipeline, "customers", format_, *patch) == []
    assert pipeline.query("SELECT email, first_name, phone, city FROM customers ORDER BY email") == [
        ("ann@example.com", "Ann", "111", "Naples"),
        ("ben@example.com", "Ben", "999", "Oslo"),
        ("cat@example.com", "Cat", None, "Bonn"),
        ("dan@example.com", "Daniel", "444", "Bern"),
        ("eve@example.com", None, "5", None),
    ]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_default_is_for_new_rows_and_a_required_column_too(pipeline: Pipeline, format_: str) -> None:
    before = [row("users", number, {"active": "false"}) for number in (1, 2, 3, 4)]
    pipeline.load("users/before.csv", csv(before))
    failures = upsert(
        pipeline,
        "users",
        format_,
        {"email": "u1@x.co", "name": "One", "role": "editor"},
        {"id": uid(2), "name": "Two"},
        {"email": "u3@x.co", "active": None},
        {"email": "u4@x.co"},
        {"email": "new@x.co", "name": "New", "role": "reader"},
        {"email": "new@x.co", "role": "admin"},
        {"email": "lost@x.co"},
        {"id": uid(9), "role": "admin"},
        {"email": "u1@x.co", "name": None},
        {"name": "Nobody"},
        {"email": "lost@x.co", "name": "Found", "role": "reader"},
    )
    lacking = "is required, but the cell is empty"
    assert failures == [
        (7, "required", f"name {lacking}"),
        (7, "required", f"role {lacking}"),
        (8, "required", f"email {lacking}"),
        (8, "required", f"name {lacking}"),
        (9, "required", f"name {lacking}"),
        (10, "required", f"email {lacking}"),
        (10, "required", f"role {lacking}"),
    ]
    assert pipeline.query("SELECT email, name, role, active FROM users ORDER BY email") == [
        ("lost@x.co", "Found", "reader", True),
        ("new@x.co", "New", "admin", True),
        ("u1@x.co", "One", "editor", False),
        ("u2@x.co", "Two", "reader", False),
        ("u3@x.co", "Ann", "reader", False),
        ("u4@x.co", "Ann", "reader", False),
    ]
    job = pipeline.job(f"users/patch.{format_}")
    counts = pipeline.counts(job)
    assert (counts.total, counts.inserted, counts.updated, counts.unchanged) == (11, 2, 2, 2)
    assert (counts.superseded, counts.rejected) == (1, 4)


def test_a_column_that_a_parquet_file_lacks_is_for_new_rows_too(pipeline: Pipeline) -> None:
    pipeline.load("users/before.csv", csv([row("users", 1, {"active": "false"})]))
    out = io.BytesIO()
    names = pa.array(["Bob", "New"])
    parquet.write_table(
        pa.table({"email": ["u1@x.co", "new@x.co"], "name": names, "active": [None, True]}), out
    )
    job = pipeline.load("users/patch.parquet", out.getvalue(), mode="upsert")
    (failure,) = map(json.loads, pipeline.report(job, "errors.ndjson").splitlines())
    assert (failure["row"], failure["column"], failure["code"]) == (2, "role", "required")
    assert pipeline.query("SELECT email, name, role, active FROM users") == [
        ("u1@x.co", "Bob", "reader", False)
    ]


def test_an_empty_cell_does_not_bring_a_default_back(pipeline: Pipeline) -> None:
    pipeline.load("users/before.csv", csv([row("users", 1, {"active": "no"})]))
    again = [row("users", 1, {"active": "", "name": "Bob"}), row("users", 2, {"active": ""})]
    pipeline.load("users/after.csv", csv(again), mode="upsert")
    assert pipeline.query("SELECT name, active FROM users ORDER BY id") == [("Bob", False), ("Ann", True)]


def test_a_column_that_turns_up_late_is_left_alone_by_the_objects_before_it(pipeline: Pipeline) -> None:
    """More than a chunk of objects with the same keys, then one with another key."""
    pipeline.load("customers/before.csv", CUSTOMERS)
    early: Objects = [{"email": f"u{number}@x.co", "first_name": "F" * 120} for number in range(20_000)]
    patch = [{"email": "ann@example.com", "first_name": "A"}, *early, {"email": "u0@x.co", "city": "Ulm"}]
    assert upsert(pipeline, "customers", "ndjson", *patch) == []
    query = "SELECT email, first_name, city FROM customers WHERE city IS NOT NULL ORDER BY email LIMIT 2"
    assert pipeline.query(query) == [("ann@example.com", "A", "Rome"), ("ben@example.com", "Ben", "Oslo")]
    query = "SELECT first_name, city FROM customers WHERE email IN ('u0@x.co', 'u1@x.co') ORDER BY email"
    assert pipeline.query(query) == [("F" * 120, "Ulm"), ("F" * 120, None)]


def test_objects_without_any_required_column_change_rows_by_their_id(pipeline: Pipeline) -> None:
    have_parents(pipeline)
    known = {"id": uid(1), "tags": ["a"]}
    assert upsert(pipeline, "articles", "ndjson", known, {"id": uid(2), "tags": []}) == [
        (2, "required", f"{name} is required, but the cell is empty")
        for name in ("slug", "title", "body", "author_id", "status")
    ]
    assert pipeline.query("SELECT slug, title, body, status, tags FROM articles") == [
        ("a-1", "A title", "A body", "published", ["a"])
    ]
    assert upsert(pipeline, "comments", "ndjson", {"body": "Without an id"}) == [
        (1, "required", f"{name} is required, but the cell is empty")
        for name in ("id", "article_id", "user_id")
    ]


def test_insert_only_takes_an_absent_key_for_null(pipeline: Pipeline) -> None:
    objects = [{"email": "a@x.co", "city": "Ulm"}, {"email": "b@x.co", "phone": "1"}, {"phone": "2"}]
    job = pipeline.load("customers/new.ndjson", written("ndjson", objects), mode="insert_only")
    assert pipeline.counts(job).rejected == 1
    assert pipeline.query("SELECT email, phone, city FROM customers ORDER BY email") == [
        ("a@x.co", None, "Ulm"),
        ("b@x.co", "1", None),
    ]
