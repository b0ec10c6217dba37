"""Export requests from JSON or a query string, and their problems in the promised order."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from bulk_pipeline.api.cursors import next_cursor, read_cursor
from bulk_pipeline.api.export_requests import of_body, of_query
from bulk_pipeline.errors import SelectionError
from bulk_pipeline.stages.export.request import ExportRequest

USERS = {"resource_type": "users", "format": "csv"}
TOKEN = "0199a1b2-0000-7000-8000-000000000000"  # an id of nothing


@pytest.mark.parametrize(
    ("filters", "read"),
    [
        ({"role": "admin"}, ["role = 'admin'"]),
        ({"name": 'O\'Hara, "x"'}, ["name = 'O''Hara, \"x\"'"]),
        ({"name": ""}, ["name = ''"]),
        ({"name": 7}, ["name = '7'"]),
        ({"active": True, "role": None}, ["active = true", "role is null"]),
        ({"role": ["admin", "editor"]}, ["role in ('admin', 'editor')"]),
        (
            ["role=admin", "created_at>=2026-01-31"],
            ["role = 'admin'", "created_at >= 2026-01-31T00:00:00+00:00"],
        ),
        ({}, []),
        ([], []),
        (None, []),
    ],
)
def test_filters_are_values_by_column_or_texts(filters: object, read: list[str]) -> None:
    assert list(of_body({**USERS, "filters": filters})[0].words.filters) == read


@pytest.mark.parametrize("fields", ["id,email", ["id", "email"]])
def test_fields_are_names_of_columns(fields: object) -> None:
    assert of_body({**USERS, "fields": fields})[0].words.columns == ("id", "email")


def test_an_idempotency_token_is_read_in_any_form() -> None:
    assert of_body({**USERS, "idempotency_token": TOKEN.upper()})[1] == TOKEN


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"resource_type": None, "format": "x", "idempotency_token": "x"}, "resource_type is required"),
        (
            {"resource_type": "cats", "format": "x", "idempotency_token": "x"},
            "resource_type must be one of: ",
        ),
        ({"resource_type": ["users"]}, "resource_type must be one of: "),
        ({"format": None, "idempotency_token": "x"}, "format is required"),
        ({"format": "xlsx", "idempotency_token": "x"}, "format must be one of: csv, ndjson, parquet"),
        ({"idempotency_token": "x", "filters": 3}, "idempotency_token must be a valid UUID"),
        ({"filter": {"role": "admin"}}, "'filter' is not a known member: expected"),
        ({"filters": 3}, "filters: expected"),
        ({"filters": {"age": "3"}}, "users has no column 'age': expected one of id, email"),
        ({"filters": {"role": "king"}}, "'king' is not a value of role: expected one of admin"),
        (
            {"filters": {"active": "perhaps"}},
            "'perhaps' is not a valid value for active: expected true or false",
        ),
        ({"filters": {"id": "1"}}, "'1' is not a valid id for id"),
        ({"filters": {"name": "a\0b"}}, "name cannot hold a NUL"),
        ({"filters": {"name": "\ud800"}}, "name: '\\ud800' contains an unpaired surrogate"),
        ({"filters": ["name=\ud800"]}, "filters: 'name=\\ud800' contains an unpaired surrogate"),
        ({"filters": {"name": 1.5}}, "the value of name must be a string, an integer or a boolean"),
        ({"filters": {"role": []}}, "the list for role is empty"),
        ({"filters": ["role"]}, "filter 'role': not a condition"),
        ({"filters": ["role=admin"] * 1001}, "1,001 conditions are too many"),
        ({"fields": ["id", "age"]}, "columns: users has no column 'age'"),
        ({"fields": [1]}, "fields: expected column names"),
        ({"fields": "id,id"}, "columns: id is named twice"),
    ],
    ids=str,
)
def test_a_request_that_cannot_be_met_is_refused_with_the_reason(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SelectionError) as error:
        of_body(USERS | wrong)
    assert message in str(error.value)
    str(error.value).encode()


def asked(*items: tuple[str, str], resource: str | None = None) -> ExportRequest:
    return of_query([("format", "ndjson"), *items], resource)


def test_in_a_query_every_other_name_is_a_column() -> None:
    read = asked(("resource", "users"), ("role", "admin"), ("fields", "id,role"), ("where", "name>M"))
    assert read.words.filters == ("role = 'admin'", "name > 'M'")
    assert read.words.columns == ("id", "role")


def test_a_column_twice_is_either_value() -> None:
    assert asked(("role", "admin"), ("role", "editor"), resource="users").words.filters == (
        "role in ('admin', 'editor')",
    )


@pytest.mark.parametrize("name", ["age", "limit", "a b", ""])
def test_an_unknown_name_in_a_query_is_refused(name: str) -> None:
    with pytest.raises(SelectionError, match=f"users has no column '{name}'"):
        asked((name, "1"), resource="users")


@pytest.mark.parametrize("text", ["x", "1-2", f"-1-{TOKEN}", f"{'9' * 18}-{TOKEN}", f"١-{TOKEN}"])
def test_a_cursor_that_no_page_has_given_is_refused(text: str) -> None:
    with pytest.raises(SelectionError, match="use next_cursor"):
        read_cursor(text)


@dataclass(frozen=True)
class Listed:
    id: str
    created_at: datetime


def test_a_cursor_is_read_as_it_was_written() -> None:
    jobs = [Listed(f"{n}{TOKEN[1:]}", datetime(2026, 1, 1, microsecond=n, tzinfo=UTC)) for n in range(3)]
    assert read_cursor(next_cursor(jobs, 2)) == (jobs[1].created_at, jobs[1].id)
    assert next_cursor(jobs, 3) is next_cursor([], 3) is read_cursor(None) is None
