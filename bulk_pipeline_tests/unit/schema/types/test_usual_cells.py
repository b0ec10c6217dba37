"""Whole-array operations read cells as if they were read one by one."""

import json
from contextlib import suppress

import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulk_pipeline.schema import Column, ColumnType, column_type
from bulk_pipeline.schema.types import codec_of

JSONB = Column(name="a", type=column_type.parse("jsonb"))
TEXTS = Column(name="a", type=ColumnType.TEXT_ARRAY)

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
_INDENTS = st.sampled_from([None, 0, 1])
_BROKEN = st.text('{}[]",:\\ \n\t01-.eEtruefalsn\x00\x1fé', max_size=12)
CELLS = (
    st.none()
    | st.builds(lambda value, indent: json.dumps(value, indent=indent), _VALUES, _INDENTS)
    | st.builds(lambda value: json.dumps(value, ensure_ascii=False), _VALUES)
    | _BROKEN
)
ARRAYS = (
    st.none()
    | st.builds(
        lambda texts, plain: json.dumps(texts, ensure_ascii=plain),
        st.lists(st.text(max_size=4)),
        st.booleans(),
    )
    | st.builds(lambda texts: json.dumps(texts, indent=1), st.lists(st.text(max_size=4) | st.none()))
    | _BROKEN
)


@settings(max_examples=150)
@given(st.lists(CELLS, max_size=6))
@example(
    [
        '{"a": 01}',
        '{"a": 1,}',
        '{"a" 1}',
        "[1 2]",
        "[1,]",
        '"a\tb"',
        "+1",
        "1.",
        ".5",
        "-0",
        '[["a", {}], {"b": []}]',
    ]
)
def test_documents_are_accepted_if_they_are_json(cells: list[str | None]) -> None:
    typed = codec_of(JSONB).from_text(JSONB, pa.array(cells, pa.string()))

    assert typed.values.to_pylist() == [cell if _is_json(cell) else None for cell in cells]


@settings(max_examples=150)
@given(st.lists(ARRAYS, max_size=6), st.integers(0, 3))
@example(
    [None, '["a","b"]', "[]", ' [ "é" , "" ] ', '["a"]["b"]', '["a",]', '["a" "b"]', '["a\\"b"]', "[null]"], 1
)
def test_arrays_have_the_texts_of_their_json(cells: list[str | None], start: int) -> None:
    text = pa.array(["[]"] * start + cells, pa.string()).slice(start)
    typed = codec_of(TEXTS).from_text(TEXTS, text)

    assert typed.values.to_pylist() == [_texts(cell) for cell in cells]
    typed.values.validate(full=True)


def _is_json(cell: str | None) -> bool:
    if cell is None:
        return False
    with suppress(ValueError):
        value = json.loads(cell, parse_constant=_refuse)
        return "\\u0000" not in json.dumps(value) and _is_text(json.dumps(value, ensure_ascii=False))
    return False


def _texts(cell: str | None) -> list[str] | None:
    if cell is None:
        return None
    with suppress(ValueError):
        value = json.loads(cell, parse_constant=_refuse)
        if isinstance(value, list) and all(isinstance(text, str) and _is_text(text) for text in value):
            return None if any("\0" in text for text in value) else value
    return None


def _is_text(text: str) -> bool:
    """Return whether the text has no half of a surrogate pair."""
    with suppress(UnicodeEncodeError):
        text.encode()
        return True
    return False


def _refuse(constant: str) -> None:
    raise ValueError(constant)
