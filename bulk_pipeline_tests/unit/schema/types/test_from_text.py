"""Conversion of text to typed values: accepted texts of each type, and the problems of others."""

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline.schema import Column, ColumnType, column_type
from bulk_pipeline.schema.types import codec_of

UUID = "0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a70"
WRONG = "wrong"


def converted(column: Column, *cells: str | None) -> list:
    """Return the value of each cell, or its problem in angle brackets."""
    answer = codec_of(column).from_text(column, pa.array(cells, pa.string()))
    assert answer.values.type == codec_of(column).arrow
    values = answer.values.to_pylist()
    for problem, rows in answer.problems.items():
        for place in rows.nonzero()[0]:
            assert values[place] is None
            values[place] = f"<{problem}>"
    return values


@pytest.mark.parametrize(
    "kind",
    [kind for kind in column_type.examples() if not (kind.facts.is_text or kind.facts.is_opaque)],
    ids=str,
)
def test_null_and_empty_text_are_null_outside_text_columns(kind: ColumnType) -> None:
    column = Column(name="a", type=kind)

    assert converted(column, None, "", None) == [None, None, None]
    assert converted(column, WRONG, "", None) == ["<type>", None, None]


def test_text_stays_as_it_is_written() -> None:
    assert converted(Column(name="a"), "", " x ", None, "null") == ["", " x ", None, "null"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (UUID, UUID),
        (UUID.upper(), UUID),
        (f" {UUID}", "<type>"),
        (f"{UUID}\n", "<type>"),
        (UUID.replace("-", ""), "<type>"),
        (f"{{{UUID}}}", "<type>"),
        (f"urn:uuid:{UUID}", "<type>"),
        (UUID[:-1], "<type>"),
        (UUID[:-1] + "g", "<type>"),
        (f"cm_{UUID}", "<type>"),
        ("1", "<type>"),
    ],
)
def test_a_uuid_is_canonical_text_in_any_case(text: str, value: str) -> None:
    assert converted(Column(name="a", type=ColumnType.UUID), UUID, text) == [UUID, value]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"cm_{UUID}", UUID),
        (f"cm_{UUID.upper()}", UUID),
        (UUID, UUID),
        (f"cm_cm_{UUID}", "<type>"),
        (f"CM_{UUID}", "<type>"),
        ("cm_", "<type>"),
    ],
)
def test_a_declared_prefix_may_stand_before_a_uuid(text: str, value: str) -> None:
    assert converted(Column(name="a", type=ColumnType.UUID, prefix="cm_"), text, None) == [value, None]


@pytest.mark.parametrize(
    ("texts", "value"),
    [
        (("true", "TRUE", "True", "1", "yes", "Yes"), True),
        (("false", "FALSE", "0", "no", "nO"), False),
        (("t", "f", "y", "n", "on", "2", "01", " true", "0.0", "null"), "<type>"),
    ],
)
def test_booleans_are_six_words_in_any_case(texts: tuple[str, ...], value: bool | str) -> None:
    assert converted(Column(name="a", type=ColumnType.BOOLEAN), *texts) == [value] * len(texts)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[]", []),
        ("[ ]", []),
        ('["a"]', ["a"]),
        ('[""]', [""]),
        ('["",""]', ["", ""]),
        (' [ "a" ,\n"b" ] ', ["a", "b"]),
        ('["a, b","[c]"," , "]', ["a, b", "[c]", " , "]),
        (r'["say \"hi\"", "\u00e4", "back\\slash"]', ['say "hi"', "ä", "back\\slash"]),
        ('["ä", "日本"]', ["ä", "日本"]),
        (r'["a\u0000b"]', "<nul>"),
        ("a,b", "<type>"),
        ('"a"', "<type>"),
        ("{a,b}", "<type>"),
        ("['a']", "<type>"),
        ('["a", null]', "<type>"),
        ("[1]", "<type>"),
        ('[["a"]]', "<type>"),
        ('["a",]', "<type>"),
        ('["a"', "<type>"),
        ('["a""b"]', "<type>"),
        ('["a\nb"]', "<type>"),
        (r'["\ud800"]', "<type>"),
        ('{"a": "b"}', "<type>"),
        ("null", "<type>"),
    ],
)
def test_an_array_is_a_json_array_of_texts(text: str, value: list[str] | str) -> None:
    column = Column(name="a", type=ColumnType.TEXT_ARRAY)

    assert converted(column, '["x"]', text, None) == [["x"], value, None]


@given(
    st.lists(st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")))),
    st.booleans(),
)
def test_arrays_come_back_as_json_wrote_them(arrays: list[list[str]], ascii_only: bool) -> None:
    texts = [json.dumps(texts, ensure_ascii=ascii_only) for texts in arrays]

    assert converted(Column(name="a", type=ColumnType.TEXT_ARRAY), *texts) == arrays
