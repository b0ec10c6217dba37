"""JSON, bytes, and texts that only Postgres can read: what is right, and what is kept as it is."""

from typing import Any

import pyarrow as pa
import pytest

from bulk_pipeline.errors import UnwritableValueError
from bulk_pipeline.schema import Column, column_type
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline_tests.unit.schema.types.test_from_text import converted


def column(type_: str, **options: Any) -> Column:
    return Column(name="a", type=column_type.parse(type_), **options)


@pytest.mark.parametrize(
    ("text", "as_json", "as_jsonb"),
    [
        ('{"a":1, "a":2}', None, None),
        ("12345678901234567890.0100", None, None),
        (" [1]\n", None, None),
        ("null", None, None),
        ("1e400", None, None),
        (r'"\\u0000"', None, None),
        ('"1e999999"', None, None),
        (r'"\u0000"', None, "<nul>"),
        (r'"\ud800"', None, "<type>"),
        ("1e200000", None, "<range>"),
        ("NaN", "<type>", "<type>"),
        ("[1,]", "<type>", "<type>"),
        ("{'a': 1}", "<type>", "<type>"),
        ("a", "<type>", "<type>"),
        ('"\t"', "<type>", "<type>"),
        ("[" * 100_000, "<type>", "<type>"),
    ],
)
def test_a_document_is_kept_as_it_is_written_or_has_a_problem(
    text: str, as_json: str | None, as_jsonb: str | None
) -> None:
    assert converted(column("json"), text, None, "") == [as_json or text, None, None]
    assert converted(column("jsonb"), text, None, "") == [as_jsonb or text, None, None]


@pytest.mark.parametrize("text", ["null", "[1,\n2]", ' {"a": 1}'])
def test_a_file_of_json_refuses_documents_that_it_could_not_give_back(text: str) -> None:
    with pytest.raises(UnwritableValueError, match="export to csv or parquet"):
        codec_of(column("json")).to_json(column("json"), pa.array(['{"a": 1}', text]))


@pytest.mark.parametrize(
    ("options", "text", "value"),
    [
        ({}, "\\x00ff", b"\x00\xff"),
        ({}, "\\xAB", b"\xab"),
        ({}, "\\x", b""),
        ({}, "", None),
        ({}, "00ff", "<type>"),
        ({}, "\\x0", "<type>"),
        ({}, "\\xgg", "<type>"),
        ({"base64": True}, "AP8=", b"\x00\xff"),
        ({"base64": True}, "", b""),
        ({"base64": True}, "AP8", "<type>"),
        ({"base64": True}, "!AP8=", "<type>"),
    ],
)
def test_bytes_are_hexadecimal_or_base64(
    options: dict[str, bool], text: str, value: bytes | str | None
) -> None:
    assert converted(column("bytea", **options), text, "\\x61" if not options else "YQ==") == [value, b"a"]


def test_texts_of_other_types_are_left_to_postgres() -> None:
    assert converted(column("inet"), "x", "", None) == ["x", None, None]
    assert converted(column("hstore"), "", None, "a\0b") == ["", None, "<nul>"]
    assert converted(column("public.mood"), "", "sad") == ["", "sad"]
    asked = {
        name: codec_of(column(name)).server_type for name in ("inet", "inet[]", "public.mood", "integer[]")
    }
    assert asked == {"inet": "inet", "inet[]": "inet[]", "public.mood": "public.mood", "integer[]": None}
    assert codec_of(column("public.mood", choices=("sad", "ok"))).server_type is None
