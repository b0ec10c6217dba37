"""Filters, columns and orders as people write them."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline import tables
from bulk_pipeline.errors import SelectionError
from bulk_pipeline.schema import Column, ColumnType, Filter, Operator, Order, select
from bulk_pipeline.schema.filters import parse_filter
from bulk_pipeline.schema.type_facts import Value

ID = "0199a1b2-0000-7000-8000-000000000001"
UTC_NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("table", "text", "operator", "values"),
    [
        ("users", "role=admin", "=", ("admin",)),
        ("users", " role != 'admin' ", "!=", ("admin",)),
        ("users", "active=YES", "=", (True,)),
        ("users", "active != false", "!=", (False,)),
        ("users", "created_at>=2026-01-01", ">=", (UTC_NEW_YEAR,)),
        ("users", "created_at < 2026-01-01T01:00:00+01:00", "<", (UTC_NEW_YEAR,)),
        ("users", "role in (admin,editor)", "in", ("admin", "editor")),
        ("users", "name IN ( Ann , 'Lee, Jr.', 'it''s (me)')", "in", ("Ann", "Lee, Jr.", "it's (me)")),
        ("users", "email prefix ada", "prefix", ("ada",)),
        ("users", "name=rock and roll = fun", "=", ("rock and roll = fun",)),
        ("users", "name=''", "=", ("",)),
        ("users", "name >'it''s'", ">", ("it's",)),
        ("customers", "phone is null", "is null", ()),
        ("customers", "phone Is  Not\tNull", "is not null", ()),
        ("articles", "tags is null", "is null", ()),
        ("comments", f"id = cm_{ID.upper()}", "=", (ID,)),
        ("users", f"id<={ID}", "<=", (ID,)),
    ],
)
def test_a_condition(table: str, text: str, operator: str, values: tuple[Value, ...]) -> None:
    result = parse_filter(tables.get(table), text)
    assert (result.operator, result.values) == (Operator(operator), values)


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        ("users", "rol=admin", "users has no column 'rol': expected one of id, email, name, role, active"),
        (
            "users",
            "role=admn",
            "'admn' is not a value of role: expected one of admin, author, editor, reader",
        ),
        ("users", "active=maybe", "'maybe' is not a valid value for active: expected true or false"),
        ("users", "id=7", "'7' is not a valid id for id: expected one like 00000000-"),
        ("comments", "id=7", "expected one like cm_00000000-"),
        (
            "users",
            "created_at>yesterday",
            "'yesterday' is not a valid time for created_at: expected one like 2026-01-31",
        ),
        ("users", "created_at=0001-01-01T00:00:00+09:00", "is not a valid time for created_at"),
        (
            "users",
            "active>true",
            "> cannot be used with active, which is boolean: use =, !=, is null, is not null",
        ),
        ("articles", "tags=x", "= cannot be used with tags, which is text[]: use is null, is not null"),
        ("users", "created_at prefix 2026", "prefix cannot be used with created_at"),
        ("users", "name=", "the value is missing: write '' for an empty text, or use is null"),
        ("users", "name='it's'", "the quotes of 'it's' are unbalanced"),
        ("users", "role in ()", "the list is empty"),
        ("users", "role in (admin,)", "cannot read the list after 'admin,'"),
        ("users", "role in (,admin)", "cannot read the list after ''"),
        ("users", "name in ('a' b)", "cannot read the list after ''"),
        ("users", "name=a\0", "name cannot hold a NUL character"),
        ("users", "", "not a condition: write one like role=admin"),
        ("users", "role", "not a condition"),
        ("users", "role in admin", "not a condition"),
        ("users", "role is nothing", "not a condition"),
    ],
)
def test_a_wrong_condition_says_where_and_what_would_be_right(table: str, text: str, message: str) -> None:
    with pytest.raises(SelectionError) as error:
        parse_filter(tables.get(table), text)
    assert str(error.value).startswith(f"filter {text!r}: ")
    assert message in str(error.value)


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
TIMES = st.datetimes(timezones=st.just(UTC), min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1))


@st.composite
def conditions(draw: st.DrawFn) -> tuple[str, Filter]:
    table = tables.get(draw(st.sampled_from(tables.names())))
    column = draw(st.sampled_from(table.columns))
    operator = draw(st.sampled_from(column.type.facts.operators))
    counts = {Operator.IS_NULL: (0, 0), Operator.IS_NOT_NULL: (0, 0), Operator.IN: (1, 4)}
    fewest, most = counts.get(operator, (1, 1))
    values = draw(st.lists(values_of(column), min_size=fewest, max_size=most))
    return table.name, Filter(column, operator, tuple(values))


def values_of(column: Column) -> st.SearchStrategy[Value]:
    kinds: dict[ColumnType, st.SearchStrategy[Value]] = {
        ColumnType.UUID: st.uuids().map(str),
        ColumnType.BOOLEAN: st.booleans(),
        ColumnType.TIMESTAMP: TIMES,
        ColumnType.TEXT: st.sampled_from(column.choices) if column.choices else TEXTS,
    }
    return kinds.get(column.type, TEXTS)


@given(conditions())
def test_a_filter_as_text_is_that_filter(condition: tuple[str, Filter]) -> None:
    table, filter_ = condition
    assert parse_filter(tables.get(table), str(filter_)) == filter_


@given(st.sampled_from(tables.names()), st.text())
def test_no_text_is_an_accident(table: str, text: str) -> None:
    with suppress(SelectionError):
        assert isinstance(parse_filter(tables.get(table), text), Filter)


def test_a_selection_has_all_columns_unless_some_are_named() -> None:
    users = tables.get("users")
    assert select(users).columns == users.columns
    chosen = select(users, columns=["role", " id"], where=["active=true"], order=["name", "created_at DESC"])
    assert [column.name for column in chosen.columns] == ["role", "id"]
    assert [str(filter_) for filter_ in chosen.filters] == ["active = true"]
    assert chosen.order == (Order(users.column("name")), Order(users.column("created_at"), descending=True))
    assert [str(order) for order in chosen.order] == ["name", "created_at desc"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"columns": ["rol"]}, "columns: users has no column 'rol': expected one of id, email"),
        ({"columns": ["id", "id"]}, "columns: id is named twice"),
        ({"order": ["nam"]}, "order 'nam': users has no column 'nam'"),
        ({"order": ["name up"]}, "order 'name up': write a column, or a column and desc"),
        ({"where": ["nam=x"]}, "filter 'nam=x': users has no column 'nam'"),
    ],
)
def test_a_wrong_selection_says_which_part(words: dict[str, list[str]], message: str) -> None:
    with pytest.raises(SelectionError) as error:
        select(tables.get("users"), **words)
    assert str(error.value).startswith(message)
