"""Outcomes of damaged NDJSON and JSON arrays.

Each damage is between two good objects (ann, bob). A failure is `row line column code`; elements of an array have no
line.
"""

import json

import pytest

from bulk_pipeline_tests.rigs.damage import Damage, drop, fails, loads, rejects
from bulk_pipeline_tests.rigs.pipeline import Pipeline


def ndjson(damage: bytes) -> bytes:
    """Return NDJSON with a line between two good ones: row 2 in line 2."""
    return b'{"email":"ann@x.co","city":"Rome"}\n' + damage + b'\n{"email":"bob@x.co","city":"Oslo"}\n'


def array(damage: bytes) -> bytes:
    """Return an array with an element between two good ones: row 2, without a line."""
    return b"[" + b",\n".join(ndjson(damage).splitlines()) + b"]"


OBJECTS = [
    damage
    for what, item, *codes in [
        ("garbage after an object", b'{"email":"no@x.co"} garbage', "- malformed_row"),
        ("an object cut short", b'{"email":"no@x.co"', "- malformed_row"),
        ("objects for values", b'{"email":{"a":1},"city":["x"]}', "email bad_type", "city bad_type"),
        ("a key twice", b'{"email":"no@x.co","city":"a","city":"b"}', "- malformed_row"),
        ("a key in two spellings", b'{"email":"no@x.co","city":"a","City":"b"}', "- malformed_row"),
        (
            "deep nesting",
            b'{"email":"no@x.co","city":' + b"[" * 90_000 + b"]" * 90_000 + b"}",
            "- malformed_row",
        ),
        ("half a surrogate pair", b'{"email":"no@x.co","city":"\\ud800"}', "city bad_encoding"),
        ("an escaped NUL", b'{"email":"no@x.co","city":"\\u0000"}', "city bad_encoding"),
        ("invalid UTF-8", b'{"email":"no@x.co","city":"\xff"}', "city bad_encoding"),
        ("NaN", b'{"email":"no@x.co","city":NaN}', "- malformed_row"),
        ("an array", b'["no@x.co"]', "- malformed_row"),
        ("null", b"null", "- malformed_row"),
        ("a number", b"42", "- malformed_row"),
        ("no keys", b"{}", "email required"),
        ("null for a value", b'{"email":null}', "email required"),
        ("a number for a text", b'{"email":42,"city":007}', "- malformed_row"),
        ("a number for an address", b'{"email":4.20}', "email bad_format"),
        ("a number for an id", b'{"email":"no@x.co","id":7}', "id bad_type"),
    ]
    for damage in (
        Damage(f"{what} (NDJSON)", ndjson(item), rejects(*(f"2 2 {code}" for code in codes)), "a.ndjson"),
        Damage(f"{what} (array)", array(item), rejects(*(f"2 - {code}" for code in codes)), "a.json"),
    )
]
FILES = [
    Damage("blank lines", ndjson(b"\n \n42\n"), rejects("2 4 - malformed_row"), "a.ndjson"),
    Damage(
        "a last line cut short", ndjson(b"")[:-5], rejects("2 3 - malformed_row", loaded="ann"), "a.ndjson"
    ),
    Damage(
        "garbage after the array",
        array(b"{}") + b" x",
        rejects("2 - email required", "4 - - malformed_row"),
        "a.json",
    ),
    Damage(
        "an array that is not closed",
        array(b"{}")[:-1],
        rejects("2 - email required", "4 - - malformed_row"),
        "a.json",
    ),
    Damage(
        "an array cut short",
        array(b"{}")[:-5],
        rejects("2 - email required", "3 - - malformed_row", loaded="ann"),
        "a.json",
    ),
    Damage("an empty array", b"[]", loads("", warning="the file has no rows"), "a.json"),
    Damage("an empty file of lines", b"", loads("", warning="the file has no rows"), "a.ndjson"),
    Damage("an empty file that should be JSON", b"", fails("the file is empty (0 bytes)"), "a.json"),
    Damage("no object", b'"x"', fails("no usable header: found"), "a.json"),
    Damage(
        "objects over lines",
        b'{\n"email":"ann@x.co"\n}\n{\n"email":\n}\n{\n"email":"bob@x.co"\n}',
        rejects("2 4 - malformed_row"),
        "a.json",
    ),
    Damage("objects side by side", b'{"email":"ann@x.co"}{"email":"bob@x.co"}', loads(), "a.json"),
    Damage(
        "two objects in a line",
        ndjson(b'{"email":"cat@x.co"}{"email":"dan@x.co"}\n42'),
        rejects("4 3 - malformed_row", loaded="ann bob cat dan"),
        "a.ndjson",
    ),
    Damage(
        "commas after objects",
        b'{"email":"ann@x.co"},\n{"email":"bob@x.co"},\n',
        loads(warning="objects are followed by commas"),
        "a.ndjson",
    ),
    Damage(
        "CR for a line end",
        b'{"email":"ann@x.co"}\r42\r{"email":"bob@x.co"}\r',
        rejects("2 2 - malformed_row"),
        "a.ndjson",
    ),
    Damage("record separators", b'\x1e{"email":"ann@x.co"}\n\x1e{"email":"bob@x.co"}\n', loads(), "a.json"),
    Damage(
        "UTF-16 without a mark",
        ndjson(b""),
        loads(warning="its first characters say utf-16-le"),
        "a.json",
        pack=lambda text: text.decode().encode("utf-16-le"),
    ),
    Damage(
        "a wrapper",
        b'{"data":' + array(b"{}") + b"}",
        fails("seem to stand under 'data': declare records: data"),
        "a.json",
    ),
    Damage(
        "an object of columns",
        b'{"email":["ann@x.co"],"city":["Rome"]}',
        fails("this is a JSON object of columns"),
        "a.json",
    ),
    Damage(
        "an array of arrays", b'[["email"],["ann@x.co"]]', fails("this is a JSON array of arrays"), "a.json"
    ),
    Damage(
        "a key near the one that is missing",
        b'{"email":"ann@x.co","phne":"1"}\n',
        fails("phne: did you mean phone?"),
        "a.ndjson",
    ),
    Damage(
        "a key near the one that its object lacks",
        b'[{"email":"ann@x.co","phone":"1"},{"email":"no@x.co","phne":"1"},{"email":"bob@x.co"}]',
        rejects("2 - - malformed_row", warning="are ignored: phne"),
        "a.json",
    ),
    Damage(
        "keys of other names, declared",
        b'[{"Mail":"ann@x.co","Ort":"Rome"},{"Mail":"bob@x.co"}]',
        loads(),
        "a.json",
        declared=(("columns", "Mail=email, Ort=city"),),
    ),
    Damage(
        "other keys",
        b'{"a":1}\n',
        fails("no key is a column: found a; expected columns of customers"),
        "a.ndjson",
    ),
]


@pytest.mark.parametrize("damages", [pytest.param(OBJECTS, id="objects"), pytest.param(FILES, id="files")])
def test_a_damage_costs_its_own_rows_and_says_so(
    pipeline: Pipeline, damages: list[Damage], subtests: pytest.Subtests
) -> None:
    for damage, outcome in drop(pipeline, damages):
        with subtests.test(damage.what):
            assert outcome == damage.expected


def test_rows_under_a_declared_key_are_imported_and_rejected_rows_can_be_imported_again(
    pipeline: Pipeline,
) -> None:
    rows = b'[{"email":"ann@x.co","city":"Rome"},\n{"email":"no","city":"Oslo"},{"email":"bob@x.co"}]'
    document = (
        b'{"meta":{"data":[{"email":"no@x.co"}]},"result":{"data":' + rows + b',"next":null},"ok":true}'
    )
    job = pipeline.load("customers/a.json", document, records="result.data")
    assert pipeline.query("SELECT email, city FROM customers ORDER BY email") == [
        ("ann@x.co", "Rome"),
        ("bob@x.co", None),
    ]
    rejected = pipeline.report(job, "rejected.ndjson")
    assert [json.loads(line)["_row"] for line in rejected.splitlines()] == [2]
    again = pipeline.load(
        "customers/b.ndjson", rejected.replace(b'"no"', b'"cat@x.co"'), records="result.data"
    )
    assert (again.status, pipeline.query("SELECT city FROM customers WHERE email = 'cat@x.co'")) == (
        "completed",
        [("Oslo",)],
    )
    other = pipeline.load("customers/c.json", document, records="data")
    assert (
        other.status,
        "no such key: found 'meta' (an object), 'result' (an object)" in str(other.error),
    ) == (
        "failed",
        True,
    )
    assert pipeline.query("SELECT count(*) FROM customers") == [(3,)]
