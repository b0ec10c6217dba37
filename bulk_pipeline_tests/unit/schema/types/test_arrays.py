"""Arrays of any type and number of dimensions: JSON arrays in files, rectangular in Postgres."""

import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.array import ArrayBinaryLoader

from bulk_pipeline.schema import Column, column_type
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline_tests.unit.schema.types.test_from_text import converted

TYPE, RANGE = "<type>", "<range>"


def column(type_: str, **options: Any) -> Column:
    return Column(name="a", type=column_type.parse(type_), **options)


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("integer[]", "[]", []),
        ("integer[]", "[1,-2]", [1, -2]),
        ("integer[]", ' [ 1 , "2" ] ', [1, 2]),
        ("integer[]", "[1,null]", TYPE),
        ("integer[]", "[1.5]", TYPE),
        ("integer[]", "[01]", TYPE),
        ("integer[]", "[1,]", TYPE),
        ("integer[]", "[,1]", TYPE),
        ("integer[]", "[true]", TYPE),
        ("integer[]", '[""]', TYPE),
        ("integer[]", "[[1]]", TYPE),
        ("integer[]", "{1,2}", TYPE),
        ("integer[]", "1", TYPE),
        ("integer[]", "[99999999999]", RANGE),
        ("integer[][]", "[[1,2],[3,4]]", [[1, 2], [3, 4]]),
        ("integer[][]", "[]", []),
        ("integer[][]", "[1]", TYPE),
        ("integer[][]", "[[]]", TYPE),
        ("integer[][]", "[[1],[2,3]]", TYPE),
        ("integer[][][]", "[[[1,2],[3,4]],[[5,6],[7,8]]]", [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]),
        ("numeric(5,2)[]", "[1.5,100]", [Decimal("1.50"), Decimal("100.00")]),
        ("numeric(5,2)[]", "[1.555]", "<precision>"),
        ("numeric[]", "[12345678901234567890.123456789]", ["12345678901234567890.123456789"]),
        ("boolean[]", '[true,false,"yes"]', [True, False, True]),
        ("text[][]", r'[["a\"b","c\\"],["","x,y"]]', [['a"b', "c\\"], ["", "x,y"]]),
        ("text[][]", r'[["\u0000"]]', "<nul>"),
        ("text[][]", r'[["\ud800"]]', TYPE),
        ("character varying(3)[]", '["abc"]', ["abc"]),
        ("character varying(3)[]", '["abcd"]', "<element_length>"),
        ("bytea[]", r'["\\x00ff"]', [b"\x00\xff"]),
        ("jsonb[]", r'["{\"a\": 1}"]', ['{"a": 1}']),
        ("jsonb[]", '[{"a": 1}]', TYPE),
        ("date[]", '["2024-02-29"]', None),
    ],
)
def test_an_array_is_read_the_same_by_itself_and_among_others(type_: str, text: str, value: object) -> None:
    alone = converted(column(type_), text)
    others = {"integer": "[7]", "numeric": "[7]", "numeric(5,2)": "[7]"}.get(type_.removesuffix("[]"), "[]")

    assert converted(column(type_), others, text, None, "", others)[1:4] == [*alone, None, None]
    assert value is None or alone == [value]


def test_null_is_an_element_where_the_column_says_so() -> None:
    assert converted(column("integer[]", null_elements=True), "[1,null]", "[2]") == [[1, None], [2]]
    assert converted(column("text[]", null_elements=True), '["a",null]') == [["a", None]]
    assert converted(column("text[]"), '["a",null]') == [TYPE]


NESTED = st.integers(1, 3).flatmap(
    lambda dimensions: st.tuples(
        st.just(dimensions), st.lists(st.integers(1, 3), min_size=dimensions, max_size=dimensions)
    )
)


def filled(shape: list[int], numbers: st.DataObject) -> Any:
    if not shape:
        return numbers.draw(st.none() | st.integers(-(2**31), 2**31 - 1))
    return [filled(shape[1:], numbers) for _ in range(shape[0])]


@given(NESTED, st.integers(1, 4), st.data())
def test_arrays_come_back_and_reach_postgres_as_they_are(
    of: tuple[int, list[int]], rows: int, data: st.DataObject
) -> None:
    dimensions, shape = of
    declared = column("integer" + "[]" * dimensions, null_elements=True)
    codec = codec_of(declared)
    values = [data.draw(st.none() | st.just([])) for _ in range(rows)] + [filled(shape, data)]
    texts = [None if value is None else json.dumps(value) for value in values]

    read = codec.from_text(declared, pa.array(texts, pa.string()))

    assert (read.values.to_pylist(), read.problems) == (values, {})
    assert codec.from_text(declared, codec.to_text(declared, read.values)).values == read.values
    part = read.values.slice(1)  # as batches are cut
    parts = list(codec.to_copy(part))
    fields = [b"".join(piece[place].as_py() for piece in parts) for place in range(len(part))]
    loader = ArrayBinaryLoader(1007)
    assert [None if field == b"\xff" * 4 else loader.load(field[4:]) for field in fields] == values[1:]
