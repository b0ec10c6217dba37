"""JSON documents that are not rows are read if the key of the rows is declared, else refused with the remedy."""

import json
from typing import Any

import pytest

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import UploadFormat
from bulk_pipeline.stages.parse import Limits
from bulk_pipeline_tests.unit.stages.parse.reading import read

ROWS: list[dict[str, Any]] = [{"email": f"{name}@b.co", "city": 'x], "data": [{'} for name in "abc"]
OTHER = [{"email": "no@b.co"}]
BIG = {"notes": ["]}" * 100_000, {"deep": [{"x": '"' * 100}] * 10_000}], "text": "\\" * 200_001}


def refused(document: object, records: str | None = None, table: str | None = "customers") -> str:
    with pytest.raises(FileError) as caught:
        read(json.dumps(document).encode(), "x.json", table, declared=UploadFormat(records=records))
    assert caught.value.code == "unsupported_format"
    return str(caught.value)


def emails(document: object, records: str, **options: Any) -> list[str | None]:
    text = document if isinstance(document, bytes) else json.dumps(document, **options).encode()
    result = read(text, "x.json", declared=UploadFormat(records=records))
    assert (result.failures, set(result.lines.values()) - {None}) == ([], set())
    assert list(result.raw) == list(range(1, len(result.raw) + 1))
    assert result.dialect.format == "json"
    return result.column("email")


@pytest.mark.parametrize(
    ("document", "records"),
    [
        ({"data": ROWS}, "data"),
        ({"data": ROWS, "included": OTHER, "meta": {"data": OTHER}}, "data"),
        ({"meta": {"data": OTHER, "n": 1.5e3}, "ok": True, "none": None, "": [], "data": ROWS}, "data"),
        ({"result": {"other": OTHER, "data": ROWS, "data2": OTHER}, "data": OTHER}, "result.data"),
        ({"a": {"b": {"c": {"d": ROWS}}}}, "a.b.c.d"),
        ({"result.data": ROWS}, "result.data"),
        ({"dätä": ROWS}, "dätä"),
        (BIG | {"data": ROWS} | {"after": BIG}, "data"),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_the_rows_under_a_declared_key_are_read(document: object, records: str, indent: int | None) -> None:
    assert emails(document, records, indent=indent) == ["a@b.co", "b@b.co", "c@b.co"]


@pytest.mark.parametrize("piece", [1, 10])
def test_pieces_do_not_matter(piece: int) -> None:
    text = json.dumps({"meta": {"s": 'a\\"]}', "n": [1, {}]}, "data": ROWS, "end": "\\\\"}).encode()
    result = read(text, "x.json", declared=UploadFormat(records="data"), piece=piece)
    assert (result.column("email"), result.failures) == (["a@b.co", "b@b.co", "c@b.co"], [])


def test_documents_one_after_the_other_are_all_read() -> None:
    text = b"\n".join(json.dumps({"page": page, "data": ROWS}).encode() for page in range(500))
    assert emails(text, "data") == ["a@b.co", "b@b.co", "c@b.co"] * 500


def test_an_empty_array_under_the_key_has_no_rows() -> None:
    assert emails({"data": [], "included": OTHER}, "data") == []


def test_megabytes_before_and_after_the_rows_are_passed_over() -> None:
    rows = [{"email": f"u{number}@b.co"} for number in range(30_000)]
    assert emails({**BIG, "data": rows, "after": [BIG] * 3}, "data") == [row["email"] for row in rows]


@pytest.mark.parametrize(
    ("document", "records", "words"),
    [
        (
            {"data": ROWS, "meta": {"x": 1}, "n": 1, "s": "", "t": True, "z": None, "e": [], "m": [[1]], "v": [1]},
            "rows",
            "records: rows is declared, and the JSON document has no such key: found 'data' (an array of objects), "
            "'meta' (an object), 'n' (a number), 's' (a string), 't' (a boolean), 'z' (null), 'e' (an empty array), "
            "'m' (an array of arrays), 'v' (an array)",
        ),
        ({"result": {"items": ROWS}}, "result.data", "no such key: found 'result.items' (an array of objects)"),
        ({"meta": {"data": ROWS}}, "data", "no such key: found 'meta' (an object)"),
        ({}, "data", "no such key: found none"),
        ({"data": {"x": 1}}, "data", "the JSON document holds an object there; expected an array of objects"),
        ({"data": [1, 2]}, "data", "the JSON document holds an array there; expected an array of objects"),
        ({"data": [["a"]]}, "data", "the JSON document holds an array of arrays there"),
        ({"data": "x"}, "data", "the JSON document holds a string there"),
        (ROWS, "data", "records: data is declared, and the JSON document is an array, not an object with keys"),
    ],
)  # fmt: skip
def test_a_declared_key_without_rows_is_refused_with_the_keys_found(
    document: object, records: str, words: str
) -> None:
    assert words in refused(document, records)


def test_a_second_document_without_the_key_stops_the_file() -> None:
    text = json.dumps({"data": ROWS}) + json.dumps({"error": "timeout"})
    with pytest.raises(FileError, match="no such key: found 'error'"):
        read(text.encode(), "x.json", declared=UploadFormat(records="data"))
    with pytest.raises(FileError, match="the JSON document has the key 'data' twice"):
        read(b'{"data":[],"data":[]}', "x.json", declared=UploadFormat(records="data"))


def test_damage_in_a_wrapped_array_never_leads_to_rows_under_another_key() -> None:
    text = b'{"data":[{"email":"a@b.co"},{"email":"b@b.co},{"email":"c@b.co"}],"other":[{"x":1},{"email":"no@b.co"}]}'
    with pytest.raises(FileError) as caught:
        read(text, "x.json", declared=UploadFormat(records="data"))
    assert "the array under 'data' is damaged: a quote or bracket is missing" in str(caught.value)
    text = b'{"data":[{"email":"a@b.co"},{"email":},{"email":"c@b.co"}],"other":1}'
    result = read(text, "x.json", declared=UploadFormat(records="data"))
    assert (result.column("email"), result.places) == (
        ["a@b.co", "c@b.co"],
        [(2, None, None, "malformed_row")],
    )


@pytest.mark.parametrize(
    ("end", "what"),
    [
        (b'],"meta":{"x"', "document"),
        (b"]", "document"),
        (b'],"meta', "document"),
        (b"", "array"),
        (b',{"em', "array"),
    ],
)
def test_a_wrapped_array_that_is_cut_short_keeps_its_rows_and_says_so(end: bytes, what: str) -> None:
    text = b'{"data":[' + b",".join(json.dumps(row).encode() for row in ROWS) + end
    result = read(text, "x.json", declared=UploadFormat(records="data"))
    assert result.column("email") == ["a@b.co", "b@b.co", "c@b.co"]
    sentence = f"the JSON {what} is not closed after this: the file may be cut short"
    assert result.failures == [(4, None, None, "malformed_row", sentence)]


@pytest.mark.parametrize(
    "text",
    [b'{"data":[{"email":"a@b.co"}],x:1}', b'{"data":[{"email":"a@b.co"}],"x" 1}', b'{"x":,"data":[]}'],
)
def test_broken_json_around_the_rows_stops_the_file(text: bytes) -> None:
    with pytest.raises(FileError, match="the JSON document is broken: expected"):
        read(text, "x.json", declared=UploadFormat(records="data"))


def test_rejected_rows_of_a_document_can_be_imported_under_the_same_declaration() -> None:
    report = b'{"_row":2,"_line":null,"_errors":"x","email":"a@b.co"}\n'
    result = read(report, "rejected.ndjson", declared=UploadFormat(records="data"))
    assert (result.column("email"), result.failures, result.warnings) == (["a@b.co"], [], [])


def test_records_say_nothing_about_files_that_are_no_json() -> None:
    assert len(read(b"email\na@b.co\n", declared=UploadFormat(records="data")).rows) == 1


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (
            {"data": ROWS, "meta": 1},
            "the rows of this JSON document seem to stand under 'data': declare records: data (on the command line "
            "--records data); found the keys data, meta",
        ),
        ({"result": {"items": ROWS}, "ok": True}, "seem to stand under 'result.items': declare records: result.items"),
        (
            {"data": ROWS, "included": OTHER},
            "this JSON document holds arrays of objects under 'data' and 'included': declare the one with the rows, "
            "like records: data (on the command line --records data)",
        ),
        ({"type": "FeatureCollection", "features": [{"type": "Feature"}]}, "seem to stand under 'features'"),
        ({"data": [{"email": f"u{n}@b.co"} for n in range(60_000)]}, "seem to stand under 'data'"),
        ({"notes": "x" * 10_000, "result": {"data": [{"a": "x" * 2_000_000}]}}, "seem to stand under 'result.data'"),
        (
            {"email": ["a@b.co", "b@b.co"], "city": ["x", "y"]},
            "this is a JSON object of columns (email, city), each with the values of all rows; expected an object per "
            "row, in pandas to_json(orient='records')",
        ),
        ({"email": {"0": "a@b.co", "1": "b@b.co"}, "city": {"0": "x", "1": "y"}}, "this is a JSON object of columns"),
        ({"email": [f"user{n}@b.co" for n in range(100_000)]}, "this is a JSON object of columns (email)"),
        (
            {"0": {"email": "a@b.co"}, "1": {"email": "b@b.co"}},
            "this is a JSON object that holds each row under a key ('0', '1'); expected an array of the rows, in pandas "
            "to_json(orient='records')",
        ),
        ({"columns": ["email"], "index": [0], "data": [["a@b.co"]]}, "holds an array of arrays under 'data'"),
        ([["email", "city"], ["a@b.co", "x"]], "this is a JSON array of arrays; expected an array of objects"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("indent", [None, 2])
def test_a_document_that_is_no_row_is_refused_with_the_remedy(
    document: object, words: str, indent: int | None
) -> None:
    with pytest.raises(FileError) as caught:
        read(json.dumps(document, indent=indent).encode(), "x.json")
    assert words in str(caught.value)


def test_a_wrapper_over_several_documents_is_refused_too() -> None:
    text = b"\n".join(json.dumps({"data": ROWS}).encode() for _ in range(3))
    with pytest.raises(FileError, match="seem to stand under 'data'"):
        read(text, "x.ndjson")


@pytest.mark.parametrize(
    "document",
    [
        {"email": "a@b.co", "orders": [{"x": 1}]},
        {"E-Mail": "a@b.co", "orders": [{"x": 1}, {"y": 2}]},
        {"email": "a@b.co", "meta": {"data": [{"x": 1}]}},
    ],
)
def test_an_object_with_a_column_of_the_table_is_a_row(document: object) -> None:
    for indent in (None, 2):
        result = read(json.dumps(document, indent=indent).encode(), "x.json")
        assert (result.column("email"), result.lines) == (["a@b.co"], {1: 1})


def test_a_first_object_without_columns_does_not_stop_a_file_of_rows() -> None:
    text = b'{"meta":[{"x":1}]}\n{"email":"a@b.co"}\n'
    assert read(text, "x.ndjson").column("email") == [None, "a@b.co"]


def test_an_article_of_one_tag_is_no_object_of_columns() -> None:
    assert read(b'{"tags":["a","b"]}', "x.json", "articles").column("tags") == ['["a","b"]']


def test_without_a_table_a_wrapper_is_refused_if_it_stands_alone() -> None:
    assert "seem to stand under 'b'" in refused({"a": 1, "b": [{"c": 1}]}, table=None)
    assert len(read(b'{"a":1,"b":[{"c":1}]}\n{"a":2}', "x.ndjson", table=None).rows) == 2
    result = read(b'{"a":1,"b":[{"c":1}]}', "x.json", table=None, declared=UploadFormat(records="b"))
    assert result.column("c") == ["1"]


def test_a_key_without_end_stops_the_file() -> None:
    text = b'{"' + b"x" * 2_000_000 + b'":1,"data":[]}'
    with pytest.raises(FileError, match="the JSON document is broken: expected a key"):
        read(text, "x.json", declared=UploadFormat(records="data"), limits=Limits(), piece=1000)
