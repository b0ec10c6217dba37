"""NDJSON and JSON arrays: the texts of values, and the effects of broken ones."""

import json
from collections.abc import Callable

import pytest

from bulk_pipeline.errors import FileError
from bulk_pipeline.stages.parse import Limits
from bulk_pipeline_tests.unit.stages.parse.reading import read

MALFORMED = "malformed_row"


def as_ndjson(*items: str) -> bytes:
    return "".join(f"{item}\n" for item in items).encode("utf-8", "surrogateescape")


def as_array(*items: str) -> bytes:
    return ("[" + ",\n".join(items) + "]").encode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('"Rome"', "Rome"),
        ('" Rome "', " Rome "),
        ('""', ""),
        ("null", None),
        ("true", "true"),
        ("1", "1"),
        ("-0", "-0"),
        ("1.10", "1.10"),
        ("1e999", "1e999"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("0.1234567890123456789", "0.1234567890123456789"),
        ('"Z\\u00fcrich"', "Zürich"),
        ('"\\ud83c\\udf89"', "🎉"),
        ('"a\\nb\\"c"', 'a\nb"c'),
        ('"a\\":b"', 'a":b'),
        ('"]},{["', "]},{["),
        ('"\\\\"', "\\"),
    ],
)
@pytest.mark.parametrize("write", [as_ndjson, as_array])
def test_a_value_becomes_text(value: str, text: str | None, write: Callable[..., bytes]) -> None:
    other = '{"email": "z@z.zz", "city": "end"}'
    result = read(write(f'{{"email": "a@b.co", "city": {value}}}', other), "upload.json")
    assert (result.failures, result.column("city")) == ([], [text, "end"])


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ('{"email": }', "is not valid JSON: unexpected } at character 11"),
        ('{"email": "x"', "is not valid JSON: it ends too early, at character 14"),
        ('{"email": "x",}', "is not valid JSON: unexpected } at character 15"),
        ('{"x": [1, ]}', "is not valid JSON: unexpected ] at character 11"),
        ('{"email" "x"}', 'is not valid JSON: unexpected " at character 10'),
        ('{"email": "x}', "is not valid JSON: the text that begins at character 11 is not closed"),
        ('{"email": "\\x"}', "is not valid JSON: a backslash with nothing that it escapes at character 12"),
        ('{"email": "\\u12"}', "is not valid JSON: a backslash with nothing that it escapes at character 13"),
        ('{"email": "x"} garbage', "is not valid JSON: unexpected g at character 16"),
        ('{"email": "x"}]', "is not valid JSON: unexpected ] at character 15"),
        ('{"email": NaN}', "is not valid JSON: NaN is not a JSON value"),
        ('{"email": -Infinity}', "is not valid JSON: -Infinity is not a JSON value"),
        ("{'email': 'x'}", "is not valid JSON: unexpected ' at character 2"),
        ('["email"]', "is an array, expected an object"),
        ("3", "is a number, expected an object"),
        ('"x"', "is a string, expected an object"),
        ("null", "is null, expected an object"),
        ('{"email": "x", "city": "y", "email": "z"}', "has the key 'email' twice"),
        ('{"email" : "x", "email" : "z"}', "has the key 'email' twice"),
        ('{"email": "x", "x": {"a": 1, "a": 2}}', "has the key 'a' twice"),
        ('{"email": "x", "Email": "z"}', "has the column email twice, under different spellings of its key"),
        ('{"email": ' + "[" * 100_000 + "]" * 100_000 + "}", "is nested too deeply"),
        ('{"email": "a\tb"}', "is not valid JSON: control character U+0009 inside a text at character 13"),
    ],
)
def test_a_malformed_object_costs_itself_only(item: str, message: str) -> None:
    good = '{"email": "a@b.co"}'
    result = read(as_ndjson(good, item, good), "upload.ndjson")
    assert result.failures == [(2, 2, None, MALFORMED, message)]
    assert (list(result.rows), result.raw[2]) == ([1, 3], item.encode())


@pytest.mark.parametrize(
    "item",
    [
        '{"email": }',
        '{"email": [}',
        '{"email": "x}',
        '{"email": "x"',
        '{"email": x"}',
        '"email": "x"}',
        "{{",
        '{"a": "b" "c"}',
    ],
)
@pytest.mark.parametrize("at", [0, 1, 4, 5])
def test_a_broken_element_of_an_array_costs_no_good_one(item: str, at: int) -> None:
    good = [f'{{"email": "u{i}@b.co", "city": "x, y"}}' for i in range(5)]
    result = read(as_array(*good[:at], item, *good[at:]), "upload.json")
    lost = {f"u{i}@b.co" for i in range(5)} - set(result.column("email"))
    assert not lost or (at == 5 and item != "{{")
    assert {failure[3] for failure in result.failures} == {MALFORMED}


def test_rows_and_lines_of_ndjson_count_blank_lines_and_ends_of_any_kind() -> None:
    result = read(b'{"email":"a"}\r\n\n  \n{"email":"b"}\n\n{"email":"c"}', "upload.ndjson")
    assert (result.cells[2][1], result.lines) == ("c", {1: 1, 2: 4, 3: 6})


def test_an_array_has_an_index_and_no_lines_and_its_raw_is_one_line() -> None:
    text = json.dumps([{"email": "a@b.co", "city": "x\n y"}, {"email": "c@d.ef"}], indent=2).encode()
    result = read(text, "upload.json")
    assert result.lines == {1: None, 2: None}
    assert result.raw == {1: b'{"email":"a@b.co","city":"x\\n y"}', 2: b'{"email":"c@d.ef"}'}


@pytest.mark.parametrize(
    ("cell", "code", "message"),
    [
        ('{"a": 1}', "bad_type", "is an object, expected one value"),
        ('["a"]', "bad_type", "is an array, expected one value"),
        ('"\\ud800x"', "bad_encoding", "has half of a surrogate pair (U+D800) at position 1"),
        ('"a\\u0000"', "bad_encoding", "has a NUL byte (0x00) at position 2"),
        (
            '"a\udcff"',
            "bad_encoding",
            "city 'a\ufffd' is not valid UTF-8 (byte 0xFF at position 2); read as cp1252 it would be 'aÿ': "
            'save the file as "CSV UTF-8", or declare the encoding (--encoding cp1252)',
        ),
    ],
)
@pytest.mark.parametrize("write", [as_ndjson, as_array])
def test_a_bad_cell_is_null_and_named(
    cell: str, code: str, message: str, write: Callable[..., bytes]
) -> None:
    result = read(write('{"email": "a@b.co"}', f'{{"email": "c@d.ef", "city": {cell}}}'), "upload.json")
    line = 2 if write is as_ndjson else None
    assert result.failures == [(2, line, "city", code, message)]
    assert (result.column("email"), result.column("city")) == (["a@b.co", "c@d.ef"], [None, None])


@pytest.mark.parametrize("write", [as_ndjson, as_array])
def test_failures_come_in_the_order_of_the_rows(write: Callable[..., bytes]) -> None:
    items = ['{"email": "a\\u0000b", "city": ["x"]}', "[1]", '{"email": {}}', "[2]"]
    result = read(write(*items), "upload.json")
    assert [(row, column) for row, _, column, *_ in result.failures] == [
        (1, "email"),
        (1, "city"),
        (2, None),
        (3, "email"),
        (4, None),
    ]


def test_an_array_in_a_column_of_arrays_is_json_text() -> None:
    result = read(b'{"slug":"s","tags":["a","b"]}\n{"tags":[]}\n{"tags":{"a":1}}\n', "x.ndjson", "articles")
    assert result.column("tags") == ['["a","b"]', "[]", None]
    assert result.places == [(3, 3, "tags", "bad_type")]


def test_keys_match_like_header_names_and_unknown_ones_are_named_once() -> None:
    result = read(b'{"x y":1,"First Name":"Ana","E-Mail":"a@b.co","_row":1}\n' * 2, "upload.ndjson")
    assert (result.column("first_name"), result.column("email")) == (["Ana", "Ana"], ["a@b.co", "a@b.co"])
    assert result.warnings == ["columns that customers does not have are ignored: 'x y'"]
    assert result.upload.columns == ("email", "first_name")


def test_a_key_that_is_always_null_was_seen_and_an_absent_one_was_not() -> None:
    plain = read(b'{"email":"a@b.co","city":null}\n{"email":"city"}\n', "upload.ndjson")
    assert plain.upload.columns == ("email", "city")
    assert len(plain.columns) == 8
    assert read(b'{"email":"\\"city\\""}\n{"email":"city"}\n', "upload.ndjson").upload.columns == ("email",)


@pytest.mark.parametrize(
    ("text", "rows", "message"),
    [
        (b'[{"email":"a"}] trailing', {1: "a"}, (2, "stands after the end of the JSON array")),
        (b'[{"email":"a"}][{"email":"b"}]', {1: "a"}, (2, "stands after the end of the JSON array")),
        (
            b'[{"email":"a"},{"email":"b"',
            {1: "a"},
            (2, "the JSON array is not closed after this: the file may be cut short"),
        ),
        (
            b'[{"email":"a"}',
            {1: "a"},
            (2, "the JSON array is not closed after this: the file may be cut short"),
        ),
        (b'[{"email":"a"},,{"email":"b"}]', {1: "a", 3: "b"}, (2, "is empty")),
    ],
)
def test_a_damaged_array_keeps_its_rows(text: bytes, rows: dict[int, str], message: tuple[int, str]) -> None:
    result = read(text, "upload.json")
    assert {row: cells[1] for row, cells in result.rows.items()} == rows
    assert [(f[0], f[4]) for f in result.failures] == [message]


@pytest.mark.parametrize(
    "item",
    [
        '{"email":"a@b.co","city":1e309}',
        '{"email":"a@b.co","city":"\\ud800"}',
        '{"email":"a@b.co","city":NaN}',
        '{"email":"a@b.co","city":' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
    ids=["a number beyond a double", "half a character", "no number", "too deep"],
)
def test_strange_elements_side_by_side_stay_apart(item: str) -> None:
    """They are no sign of a lost quote or bracket, after which the parser would search for the next object."""
    good = '{"email":"z@z.zz"}'
    result = read(as_array(item, item, good), "upload.json")
    assert list(result.raw.values()) == [item.encode(), item.encode(), good.encode()]
    assert result.rows[3][1] == "z@z.zz"
    assert not [failure for failure in result.failures if "missing" in failure[4]]


def test_rows_between_two_lost_quotes_are_kept() -> None:
    """By brackets and quotes alone, all rows between them are one string."""
    items = [f'{{"email":"user{number}@example.com","city":"Rome, {{Lazio}}"}}' for number in range(3000)]
    for broken in (500, 2500):
        items[broken] = items[broken].replace('"city', "city")
    result = read(as_array(*items), "upload.json")
    assert list(result.raw.values()) == [item.encode() for item in items]
    assert [failure[0] for failure in result.failures] == [501, 2501]
    assert {failure[3] for failure in result.failures} == {MALFORMED}


def test_an_empty_array_has_no_rows() -> None:
    for text in (b"[]", b" [ \n ] \n"):
        result = read(text, "upload.json")
        assert (result.rows, result.failures, result.warnings) == ({}, [], ["the file has no rows"])


@pytest.mark.parametrize("name", ["upload.json", "upload.ndjson", "upload.jsonl", "upload"])
@pytest.mark.parametrize("write", [as_ndjson, as_array])
def test_the_name_does_not_decide_between_lines_and_array(name: str, write: Callable[..., bytes]) -> None:
    result = read(write('{"email": "a@b.co"}', '{"email": "c@d.ef"}'), name)
    assert (result.column("email"), result.warnings) == (["a@b.co", "c@d.ef"], [])
    assert result.dialect.format == ("ndjson" if write is as_ndjson else "json")


@pytest.mark.parametrize("piece", [1, 5, 64])
@pytest.mark.parametrize("write", [as_ndjson, as_array])
def test_pieces_do_not_matter(piece: int, write: Callable[..., bytes]) -> None:
    items = [json.dumps({"email": f"u{i}@b.co", "city": 'é"\\],{'}) for i in range(50)]
    result = read(write(*items), "upload.json", piece=piece)
    assert (len(result.rows), result.failures) == (50, [])


def test_a_10_mb_value_is_read_and_a_line_above_the_limit_stops_the_file() -> None:
    text = json.dumps({"email": "a@b.co", "city": "x" * (10 << 20)})
    for write in (as_ndjson, as_array):
        result = read(write(text, '{"email": "b"}'), "upload.json")
        assert [len(city or "") for city in result.column("city")] == [10 << 20, 0]
    with pytest.raises(FileError, match="a line is longer than 1,000,000 bytes"):
        read(as_ndjson(text), "upload.ndjson", limits=Limits(row_bytes=1_000_000))


def test_without_a_table_all_keys_are_columns() -> None:
    result = read(b'{"a":1,"b":[1.50,"x"]}\n{"c d":{"e":null},"a":null}\n', "upload.ndjson", table=None)
    assert (result.columns, result.cells) == (
        ("a", "b", "c d"),
        [("1", '[1.50,"x"]', None), (None, None, '{"e":null}')],
    )


def test_objects_may_be_wide_but_not_share_nothing() -> None:
    wide = json.dumps({f"k{i}": i for i in range(10_000)})
    assert len(read(as_ndjson(wide, wide), "x.ndjson", table=None).columns) == 10_000
    with pytest.raises(FileError, match="more than 1,000 different keys: they are not rows of one table"):
        read(as_ndjson(*[f'{{"k{i}": 1}}' for i in range(1001)]), "x.ndjson", table=None)


@pytest.mark.parametrize("name", ["x.ndjson", "x.json"])
def test_an_array_per_line_is_refused_with_the_expected_form(name: str) -> None:
    for text in (b'["a@b.co","Rome"]\n["b@b.co","Oslo"]\n', b"[1]\r\n\n[2]"):
        with pytest.raises(FileError, match="one JSON array per line; expected one array of objects"):
            read(text, name)


@pytest.mark.parametrize("write", [as_ndjson, as_array])
def test_objects_without_one_column_of_the_table_are_refused_with_both_sides(
    write: Callable[..., bytes],
) -> None:
    with pytest.raises(
        FileError, match="no key is a column: found data, meta; expected columns of customers: id,"
    ):
        read(write('{"data":{"email":"a@b.co"},"meta":1}', '{"data":{}}'), "x.json")
    result = read(write('{"data":{}}', '{"email":"a@b.co"}'), "x.json")
    assert (result.column("email"), result.failures) == ([None, "a@b.co"], [])


def test_a_byte_that_is_no_text_may_stand_where_a_value_is_expected() -> None:
    result = read(b'{"email": \xff}\n{"email": "a@b.co"}\n', "x.ndjson")
    assert [failure[:4] for failure in result.failures] == [(1, 1, None, MALFORMED)]
    assert result.column("email") == ["a@b.co"]
