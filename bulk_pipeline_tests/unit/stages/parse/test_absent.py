"""Keys that an object lacks are told from null, however the object is written."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline import tables
from bulk_pipeline.schema import LEFT_OUT, Mode, UploadFormat
from bulk_pipeline.stages import absence
from bulk_pipeline.stages.parse import open_upload

Object = dict[str, Any]
NOT_WANTED = UploadFormat(columns=(("other", LEFT_OUT), ('x"city', LEFT_OUT), ("é", LEFT_OUT)))
"""Keys that are not columns, and would be refused as too near to one, or as too many."""


def said(
    data: bytes, name: str = "a.ndjson", table: str = "customers", mode: Mode = Mode.UPSERT
) -> list[set[str]]:
    """Return the columns that are present in each row."""
    declared = tables.get(table)
    result = []
    for chunk in open_upload(io.BytesIO(data), name, table=declared, mode=mode, declared=NOT_WANTED):
        assert chunk.absent is not None
        assert len(chunk.absent) == chunk.records.num_rows
        for row in absence.bits(chunk.absent, declared).tolist():
            result.append(
                {name for name, absent in zip(declared.column_names, row, strict=True) if not absent}
            )
    return result


def lines(*objects: Object, **how: Any) -> bytes:
    return "\n".join(json.dumps(one, **how) for one in objects).encode()


OBJECTS: list[Object] = [
    {"email": "a@x.co", "city": "Ulm"},
    {"email": "b@x.co", "city": None},
    {"email": "c@x.co"},
    {"email": '"city":', "phone": None},
    {"email": "city"},
    {"city": "x"},
]
SAID = [{"email", "city"}, {"email", "city"}, {"email"}, {"email", "phone"}, {"email"}, {"city"}]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(lines(*OBJECTS), id="ndjson"),
        pytest.param(lines(*OBJECTS, separators=(",", ":")), id="without blanks"),
        pytest.param(lines(*OBJECTS, separators=(" , ", " : ")), id="with blanks before the colon"),
        pytest.param(lines(*OBJECTS).replace(b'"city"', b'"ci\\u0074y"'), id="with escapes in keys"),
        pytest.param(lines(*OBJECTS).replace(b'"city"', b'"City"'), id="in another spelling"),
        pytest.param(json.dumps(OBJECTS).encode(), id="an array"),
        pytest.param(json.dumps(OBJECTS, indent=1).encode(), id="an array over many lines"),
        pytest.param(lines(*OBJECTS, {"email": 1.5})[: -len('{"email": 1.5}\n')], id="one by one"),
    ],
)
def test_null_differs_from_an_absent_key(data: bytes) -> None:
    assert said(data, "a.json" if data.startswith(b"[") else "a.ndjson") == SAID


def test_a_key_that_ends_like_another_is_not_that_one() -> None:
    objects = [{"email": "a@x.co", 'x"city': 1, "city": "Ulm"}, {"email": "b@x.co", 'x"city': 1}]
    assert said(lines(*objects)) == [{"email", "city"}, {"email"}]


def test_rows_before_a_column_turns_up_do_not_have_it() -> None:
    early = [{"email": f"{number:0110}@x.co"} for number in range(20_000)]
    assert said(lines(*early, {"email": "z@x.co", "city": "Ulm"})) == [{"email"}] * 20_000 + [
        {"email", "city"}
    ]


def test_absent_columns_of_a_table_of_more_than_eight_columns_are_complete() -> None:
    data = lines({"slug": "a", "updated_at": None}, {"id": "7", "tags": []}, {"status": None})
    assert said(data, table="articles") == [{"slug", "updated_at"}, {"id", "tags"}, {"status"}]


@pytest.mark.parametrize("table", ["customers", None])
def test_absent_columns_are_omitted_if_the_mode_ignores_them(table: str | None) -> None:
    declared = tables.get(table) if table else None
    upload = open_upload(io.BytesIO(lines(*OBJECTS)), "a.ndjson", table=declared, mode=Mode.INSERT_ONLY)
    assert [chunk.absent for chunk in upload] == [None]


keys = st.sampled_from(["email", "city", "phone", "First-Name", "last_name", "other", 'x"city', "é"])
values = st.none() | st.sampled_from(["", "city", '"city":', "é", "\\"]) | st.integers(0, 9)
objects = st.lists(st.dictionaries(keys, values, min_size=1), min_size=1, max_size=80)


@given(
    objects=objects.filter(lambda found: any({"email", "city", "phone"} & one.keys() for one in found)),
    separators=st.sampled_from([(",", ":"), (", ", ": "), (",", " :")]),
    ascii_=st.booleans(),
    array=st.booleans(),
)
def test_any_objects_say_what_their_keys_name(
    objects: list[Object], separators: tuple[str, str], ascii_: bool, array: bool
) -> None:
    columns = {name: name for name in tables.get("customers").column_names} | {"First-Name": "first_name"}
    data = lines(*objects, separators=separators, ensure_ascii=ascii_)
    data = b"[" + data.replace(b"\n", b",") + b"]" if array else data
    expected = [{columns[key] for key in one if key in columns} for one in objects]
    assert said(data, "a.json" if array else "a.ndjson") == expected
