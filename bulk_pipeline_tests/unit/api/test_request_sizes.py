"""Texts in requests cost time in proportion to their length, whatever they contain."""

import json
from collections.abc import Callable
from contextlib import suppress
from random import Random

import pytest

from bulk_pipeline import tables
from bulk_pipeline.api.cursors import read_cursor
from bulk_pipeline.api.export_requests import of_body, of_query
from bulk_pipeline.errors import BulkPipelineError, DeclarationError, SelectionError
from bulk_pipeline.ledger.upload_keys import metadata_of, read_address
from bulk_pipeline.schema import Mode, UploadFormat, charset_of, read_format, select
from bulk_pipeline.schema.filters import MOST_VALUES, parse_filter
from bulk_pipeline_tests.rigs.growth import MOST, growth

USERS = tables.get("users")
SIZES = (100, 800, 8_000)
"""Lengths of the shorter text. The first two find quickly what would take forever with the last."""
PIECES = (
    *("a", "email", " ", "\t", ",", ";", "'", "''", '"', "\\", "(", ")", "=", "in ", "in (", "is ", "not ", "null", "<", "prefix "),
    *("{", "}", "[", "]", ":", "0", "-", ".", "=?", "?=", "=?utf-8?q?a?=", "é", "\0", "\n", "desc", "charset=", "2026-01-01", "%"),
)  # fmt: skip
ENDS = ("", "(", "'!")
"""Ends of the text: a repetition is often slow only if its end does not match."""


def body(**kwargs: object) -> object:
    return of_body({"resource_type": "users", "format": "csv", **kwargs})


DOORS: dict[str, Callable[[str], object]] = {
    "a filter": lambda text: parse_filter(USERS, text),
    "a list of values": lambda text: parse_filter(USERS, f"email in ({text})"),
    "a value": lambda text: parse_filter(USERS, f"email = {text}"),
    "a time": lambda text: parse_filter(USERS, f"created_at = {text}"),
    "an order": lambda text: select(USERS, order=[text]),
    "fields": lambda text: body(fields=text),
    "fields in a list": lambda text: body(fields=text.split(" ")),
    "filters": lambda text: body(filters=text.split(" ")),
    "filters by column": lambda text: body(filters={"email": text.split(" ")}),
    "columns of a filter": lambda text: body(filters=dict.fromkeys(text.split(" "), "")),
    "members of a body": lambda text: body(**dict.fromkeys(text.split(" "), "")),
    "a query": lambda text: of_query([(text, text), ("fields", text)], "users"),
    "a query of many": lambda text: of_query([("where", part) for part in text.split(" ")], "users"),
    "declared columns": lambda text: read_format({"columns": text}),
    "declared columns in JSON": lambda text: read_format({"columns": json.dumps(dict.fromkeys(text, "a"))}),
    "an object's metadata": lambda text: read_address("users/a.csv", {"sheet": text, "columns": text}),
    "metadata that are written": lambda text: metadata_of(Mode.UPSERT, UploadFormat(sheet=text)),
    "a content type": lambda text: charset_of(f"text/csv; {text}"),
    "a cursor": read_cursor,
}


@pytest.mark.parametrize("door", DOORS)
def test_cost_grows_with_the_length_of_a_request_and_no_faster(door: str) -> None:
    def call(text: str) -> None:
        with suppress(BulkPipelineError):
            DOORS[door](text)

    random = Random(door)
    shapes = [(piece, end) for piece in PIECES for end in ENDS] + [
        ("".join(random.choices(PIECES, k=random.randint(2, 4))), random.choice(PIECES)) for _ in range(30)
    ]
    for unit, end in shapes:
        for size in SIZES:
            times = growth(call, lambda size, unit=unit, end=end: unit * (size // len(unit)) + end, size)
            assert times < MOST, f"{door}: {unit!r} repeated, then {end!r}"


def test_more_names_than_the_table_has_columns_are_refused_before_they_are_processed() -> None:
    for names in (20_000 * ["id"], [f"c{number}" for number in range(20_000)]):
        with pytest.raises(SelectionError) as refused:
            select(USERS, columns=names)
        assert str(refused.value) == ("columns: 20,000 names, but users has 7 columns: name each column once")


def test_a_list_has_a_number_of_values() -> None:
    values = ",".join(map(str, range(MOST_VALUES)))
    assert len(parse_filter(USERS, f"email in ({values})").values) == MOST_VALUES
    with pytest.raises(
        SelectionError, match="the list has more than 10,000 values: split the list over several requests"
    ):
        parse_filter(USERS, f"email in ({values},x)")


def test_a_message_does_not_repeat_the_whole_input() -> None:
    long = "x" * 50_000
    for text in (
        long,
        f"{long}=1",
        f"role={long}",
        f"role in ({long}",
        f"id={long}",
        f"email in ({long} ()",
        f"email='{long}",
    ):
        with pytest.raises(SelectionError) as refused:
            parse_filter(USERS, text)
        assert len(str(refused.value)) < 500


def test_a_format_that_no_object_can_declare_is_refused() -> None:
    for sheet in ("x" * 2_048, "ü" * 1_000):
        with pytest.raises(
            DeclarationError, match="more than 2,048 bytes, the limit of an object's metadata"
        ):
            metadata_of(Mode.UPSERT, UploadFormat(sheet=sheet))
    assert metadata_of(Mode.UPSERT, UploadFormat(sheet="x" * 2_000))["sheet"] == "x" * 2_000
