"""The rules for one row: the values that each table accepts, and the failures of others."""

import pyarrow as pa
import pytest

from bulk_pipeline import tables
from bulk_pipeline.schema import Mode
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline.stages import absence
from bulk_pipeline.stages.failures import FAILURES, MAX_VALUE_LENGTH, Code, none
from bulk_pipeline.stages.validate import ValidationResult, validate
from bulk_pipeline_tests.unit.stages.rows import GOOD, ID, OTHER_ID, failures, records

UUID_LIKE = "a UUID like 0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a70"
TIME_LIKE = "an ISO 8601 date or time like 2026-01-31 or 2026-01-31T23:59:59+02:00"


def check(
    table: str,
    *changes: dict[str, str | None],
    mode: Mode = Mode.INSERT_ONLY,
    found: pa.RecordBatch | None = None,
) -> ValidationResult:
    """Validate good rows of the table with some cells changed, one row for each of `changes`."""
    rows = [{**GOOD[table], **change} for change in changes]
    return validate(records(rows), none() if found is None else found, tables.get(table), mode)


def said(checked: ValidationResult) -> list[tuple[int, str | None, str, str]]:
    rows = checked.failures.to_pylist()
    return [(row["row"], row["column"], row["code"], row["message"]) for row in rows]


def places(checked: ValidationResult) -> list[tuple[int, str | None, str]]:
    return [(row, column, code) for row, column, code, _ in said(checked)]


def shortened(text: str | None) -> str | None:
    if text is None or len(text) <= MAX_VALUE_LENGTH:
        return text and text.replace("\0", "\ufffd")
    return text[: MAX_VALUE_LENGTH - 1] + "…"


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("name", tables.names())
def test_good_rows_have_no_failures_and_the_declared_types(name: str, mode: Mode) -> None:
    checked = check(name, {}, {}, mode=mode)

    assert checked.failures.num_rows == 0
    assert checked.failures.schema == FAILURES
    assert checked.rows.schema == pa.schema(
        [("_row", pa.int64()), ("_line", pa.int64())]
        + [(column, codec_of(tables.get(name).column(column)).arrow) for column in GOOD[name]]
    )


def test_values_are_typed_and_canonical() -> None:
    checked = check("articles", {"id": ID.upper(), "tags": '["a","b"]', "published_at": "2026-01-31 10:00"})

    row = checked.rows.to_pylist()[0]
    assert row["id"] == ID
    assert row["tags"] == ["a", "b"]
    assert row["published_at"].isoformat() == "2026-01-31T10:00:00+00:00"
    assert check("comments", {}).rows["id"].to_pylist() == [ID]


@pytest.mark.parametrize(
    ("table", "change", "column", "code", "message"),
    [
        ("users", {"name": None}, "name", "required", "name is required, but the cell is empty"),
        ("users", {"name": ""}, "name", "required", "name is required, but the cell is empty"),
        *(
            ("users", {"name": blank}, "name", "required", "name is required, but the cell is blank")
            for blank in (" ", "\t", "\u00a0", "\u200b", "\u3000", "\u3164", "\ufeff \n", "\x01")
        ),
        *(
            (
                "customers",
                {"email": email},
                "email",
                "bad_format",
                f"email '{shown or email}' holds an invisible character: {what}",
            )
            for email, what, shown in (
                ("a@b.co\u00a0", 'no-break space (U+00A0) after "b.co"', ""),
                ("\u00a0a@b.co", 'no-break space (U+00A0) before "a"', ""),
                ("a@b.co\u200b", 'zero width space (U+200B) after "b.co"', ""),
                ("a\u202e@b.co", 'right-to-left override (U+202E) after "a"', ""),
                ("al\u00adan@b.co", 'soft hyphen (U+00AD) after "al"', ""),
                ("a@b.co\x7f", 'delete character (U+007F) after "b.co"', "a@b.co "),
            )
        ),
        (
            "customers",
            {"email": "a@b.co "},
            "email",
            "bad_format",
            "email 'a@b.co ' is not an address like local@domain.tld: "
            "there is a blank or an invisible character before or behind it",
        ),
        (
            "users",
            {"role": "admin\u00a0"},
            "role",
            "bad_format",
            "role 'admin\u00a0' holds an invisible character: no-break space (U+00A0) after \"admin\"",
        ),
        (
            "users",
            {"id": f"{ID}\u200b"},
            "id",
            "bad_format",
            f"id '{ID}\u200b' holds an invisible character: zero width space (U+200B) after \"{ID[-24:]}\"",
        ),
        (
            "articles",
            {"slug": "on\u200b-tests"},
            "slug",
            "bad_format",
            "slug 'on\u200b-tests' holds an invisible character: zero width space (U+200B) after \"on\"",
        ),
        ("users", {"id": ""}, "id", "required", "id is required, but the cell is empty"),
        (
            "comments",
            {"body": " \u2003\n"},
            "body",
            "required",
            "body is required, but the cell is blank",
        ),
        ("users", {"id": "7"}, "id", "bad_type", f"id '7' is not {UUID_LIKE}"),
        (
            "comments",
            {"id": "cm_7"},
            "id",
            "bad_type",
            f"id 'cm_7' is not {UUID_LIKE}, with or without cm_ before it",
        ),
        ("comments", {"user_id": f"cm_{ID}"}, "user_id", "bad_type", f"user_id 'cm_{ID}' is not {UUID_LIKE}"),
        (
            "users",
            {"active": "maybe"},
            "active",
            "bad_type",
            "active 'maybe' is not a boolean: use true, false, 1, 0, yes or no",
        ),
        (
            "customers",
            {"created_at": "2024-02-30"},
            "created_at",
            "bad_type",
            "created_at '2024-02-30' is a day that does not exist: its month has 29 days",
        ),
        (
            "customers",
            {"created_at": "2026-01-31T10:00:00.1234567Z"},
            "created_at",
            "bad_type",
            "created_at '2026-01-31T10:00:00.1234567Z' is finer than a microsecond: use at most 6 digits",
        ),
        (
            "customers",
            {"created_at": "12026-01-31"},
            "created_at",
            "out_of_range",
            "created_at '12026-01-31' is outside the years 0001 to 9999",
        ),
        (
            "articles",
            {"tags": "a,b"},
            "tags",
            "bad_type",
            'tags \'a,b\' is not a JSON array of texts like ["a", "b"]',
        ),
        (
            "articles",
            {"tags": r'["\u0000"]'},
            "tags",
            "bad_encoding",
            "tags holds a NUL character, which cannot be stored: remove it",
        ),
        (
            "users",
            {"name": "A\0nn"},
            "name",
            "bad_encoding",
            "name holds a NUL character, which cannot be stored: remove it",
        ),
        (
            "users",
            {"email": "foo@bar"},
            "email",
            "bad_format",
            "email 'foo@bar' is not an address like local@domain.tld",
        ),
        (
            "articles",
            {"slug": "On Tests"},
            "slug",
            "bad_format",
            "slug 'On Tests' is not kebab-case (lower-case letters and digits, joined by single hyphens)",
        ),
        (
            "users",
            {"role": "boss"},
            "role",
            "not_allowed",
            "role 'boss' is not one of admin, author, editor, reader",
        ),
        (
            "customers",
            {"first_name": "ä" * 151},
            "first_name",
            "too_long",
            "first_name has 151 characters, at most 150 are allowed",
        ),
        ("comments", {"body": "w " * 501}, "body", "too_long", "body has 501 words, at most 500 are allowed"),
        (
            "comments",
            {"body": "w" * 10_001},
            "body",
            "too_long",
            "body has 10001 characters, at most 10000 are allowed",
        ),
        (
            "articles",
            {"status": "draft"},
            None,
            "rule:draft_is_unpublished",
            "a draft has no published_at",
        ),
    ],
)
def test_a_broken_rule_is_named_with_its_place_and_a_sentence(
    table: str, change: dict[str, str | None], column: str | None, code: str, message: str
) -> None:
    checked = check(table, {}, change, {})

    assert said(checked) == [(2, column, code, message)]
    failure = checked.failures.to_pylist()[0]
    assert failure["line"] == 3
    assert failure["value"] == (shortened(change[column]) if column else None)


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("users", {"active": None}),
        ("users", {"created_at": ""} | {"active": ""}),
        ("users", {"name": " x\u00a0"}),
        ("customers", {"first_name": "ä" * 150}),
        ("customers", {"first_name": "", "created_at": None}),
        ("comments", {"body": "w " * 500}),
        ("comments", {"body": "w" * 10_000}),
        ("comments", {"id": ID}),
        ("articles", {"status": "draft", "published_at": None}),
        ("articles", {"status": "draft", "published_at": ""}),
        ("articles", {"status": "archived"}),
        ("articles", {"tags": None}),
        ("articles", {"slug": "a-1-b"}),
    ],
)
def test_a_row_at_the_edge_of_a_rule_is_good(table: str, change: dict[str, str | None]) -> None:
    change = {name: text for name, text in change.items() if name in GOOD[table]}

    assert said(check(table, {}, change)) == []


@pytest.mark.parametrize(
    "email",
    [
        "a/b=c@x.com",
        "用户@例子.广告",
        "ann@उदाहरण.भारत",
        "ann@пример.рф",
        "ann@xn--mnchen-3ya.de",
        "ann_b@my_host.example.com",
        "a@b.co",
        "a.b+c@d-e.example.com",
        "ä@münchen.de",
        "o'brien@example.com",
        "a@" + "b" * 310 + ".com",
    ],
)
def test_an_address_is_local_at_domain_dot_tld(email: str) -> None:
    assert said(check("customers", {"email": email})) == []


@pytest.mark.parametrize(
    "email",
    [
        "foo@bar",
        "foo",
        "@b.com",
        "a@.com",
        "a@b..com",
        "a@b.c",
        "a b@c.de",
        "a@b@c.de",
        "a@b.com,c@d.com",
        "a@b.com\n",
        '"a"@b.com',
        "'a@b.com'",
        "“a@b.com”",
        "<a@b.com>",
        "Ann <a@b.com>",
        "(a@b.com)",
        "mailto:a@b.com",
        "http://a@b.com",
        "a@b.com/",
        "a@b.com.",
        "a@b.com,",
        "a@b.com;",
        "a@b.com，",
        "a@b.com。",
        "a@b.com?subject=x",
        "a@@b.com",
        "a@-b.com",
        "a@b.com\ufe0f",
    ],
)
def test_an_invalid_address_is_a_bad_format(email: str) -> None:
    assert places(check("customers", {"email": email})) == [(1, "email", "bad_format")]


def test_every_failure_of_a_row_is_reported_in_the_order_of_the_columns() -> None:
    bad = {"id": "7", "email": "x" * 321, "name": None, "role": "boss", "active": "maybe"}

    assert places(check("users", {}, bad)) == [
        (2, "id", "bad_type"),
        (2, "email", "too_long"),
        (2, "email", "bad_format"),
        (2, "name", "required"),
        (2, "role", "not_allowed"),
        (2, "active", "bad_type"),
    ]


def test_failures_come_in_row_order() -> None:
    checked = check("users", {"role": "x"}, {"email": "x"}, {"id": "x"}, {"role": "y"})

    assert [row for row, *_ in places(checked)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"email": None}, [(1, "email", "required")]),
        ({"email": ""}, [(1, "email", "required")]),
        ({"email": "\0"}, [(1, "email", "bad_encoding")]),
        ({"id": "7"}, [(1, "id", "bad_type")]),
        ({"role": ""}, [(1, "role", "required")]),
    ],
)
def test_a_cell_that_has_no_value_gets_one_failure_and_no_follow_ups(
    change: dict[str, str | None], expected: list[tuple[int, str, str]]
) -> None:
    assert places(check("users", change)) == expected


def test_a_cell_the_parser_has_failed_gets_no_second_failure() -> None:
    found = failures((2, "email", Code.BAD_ENCODING), (2, None, "whatever"), (99, "role", Code.BAD_TYPE))

    checked = check("users", {"email": None}, {"email": None, "role": "boss"}, {}, found=found)

    assert places(checked) == [(1, "email", "required"), (2, "role", "not_allowed")]


@pytest.mark.parametrize("change", [{"status": "drafty"}, {"published_at": "soon"}, {"status": None}])
def test_a_rule_keeps_quiet_where_one_of_its_cells_has_failed(change: dict[str, str | None]) -> None:
    assert [column for _, column, _ in places(check("articles", {"status": "draft", **change}))] == list(
        change
    )


def test_a_rule_keeps_quiet_where_the_parser_has_failed_one_of_its_cells() -> None:
    found = failures((1, "published_at", Code.BAD_TYPE))

    checked = check("articles", {"status": "draft"}, {"status": "draft"}, found=found)

    assert places(checked) == [(2, None, "rule:draft_is_unpublished")]


def test_cells_that_failed_are_null_and_all_rows_are_there() -> None:
    checked = check("users", {"email": "foo@bar"}, {}, {"id": "7", "name": "N\0"})

    assert checked.rows.select(["_row", "id", "email", "name"]).to_pylist() == [
        {"_row": 1, "id": ID, "email": None, "name": "Ann"},
        {"_row": 2, "id": ID, "email": "ann@example.com", "name": "Ann"},
        {"_row": 3, "id": None, "email": "ann@example.com", "name": None},
    ]


def test_a_row_rule_leaves_the_cells_as_they_are() -> None:
    assert check("articles", {"status": "draft"}).rows["status"].to_pylist() == ["draft"]


def test_a_default_stands_for_null_but_not_for_a_failed_cell() -> None:
    checked = check("users", {"active": None}, {"active": ""}, {"active": "no"}, {"active": "maybe"})

    assert checked.rows["active"].to_pylist() == [True, True, False, None]
    assert places(checked) == [(4, "active", "bad_type")]


def test_an_absent_column_stays_absent_whatever_its_default() -> None:
    assert "active" not in validate_one("users", without="active").rows.schema.names
    assert validate_one("articles", without="published_at").failures.num_rows == 0


def validate_one(table: str, without: str) -> ValidationResult:
    row = {name: text for name, text in GOOD[table].items() if name != without}
    return validate(records([row]), none(), tables.get(table), Mode.INSERT_ONLY)


@pytest.mark.parametrize(
    ("table", "mode", "codes"),
    [
        ("users", Mode.INSERT_ONLY, ["required"]),
        ("users", Mode.UPSERT, []),
        ("comments", Mode.UPSERT, ["required"]),
    ],
)
def test_an_id_is_required_as_the_mode_says(table: str, mode: Mode, codes: list[str]) -> None:
    assert [code for *_, code in places(check(table, {"id": None}, mode=mode))] == codes


def test_a_customer_needs_no_id_in_any_mode() -> None:
    assert said(check("customers", {"id": None} | {"email": "b@example.com"})) == []


def test_long_values_are_cut_and_shown_on_one_line() -> None:
    failure = check("users", {"role": "boss\n" * 1000}).failures.to_pylist()[0]

    assert failure["value"] == ("boss\n" * 1000)[: MAX_VALUE_LENGTH - 1] + "…"
    assert (
        failure["message"] == "role '" + "boss " * 15 + "boss…' is not one of admin, author, editor, reader"
    )


def test_rows_may_have_gaps_and_batches_may_be_slices() -> None:
    batch = records([{**GOOD["users"], "role": role} for role in ("admin", "boss", "x", "chief")])
    gaps = batch.take(pa.array([0, 1, 3]))

    checked = validate(gaps, none(), tables.get("users"), Mode.INSERT_ONLY)
    sliced = validate(batch.slice(3), none(), tables.get("users"), Mode.INSERT_ONLY)

    assert places(checked) == [(2, "role", "not_allowed"), (4, "role", "not_allowed")]
    assert places(sliced) == [(4, "role", "not_allowed")]


def test_no_rows_are_no_failures() -> None:
    empty = records([GOOD["articles"]]).slice(0, 0)

    checked = validate(empty, none(), tables.get("articles"), Mode.INSERT_ONLY)

    assert (checked.rows.num_rows, checked.failures.num_rows) == (0, 0)


def test_lines_are_unknown_where_the_format_has_none() -> None:
    batch = records([{**GOOD["users"], "author_id": OTHER_ID, "role": "boss"}]).drop_columns(["author_id"])
    unlined = batch.set_column(1, pa.field("_line", pa.int64()), pa.nulls(1, pa.int64()))

    checked = validate(unlined, none(), tables.get("users"), Mode.INSERT_ONLY)

    assert checked.failures["line"].to_pylist() == [None]


ABSENT = [
    pytest.param({"id": ID}, {"email", "name", "role"}, [], id="known by its id"),
    pytest.param({"email": "a@b.co"}, {"id", "name", "role"}, [], id="known by its natural key"),
    pytest.param({"email": "a@b.co", "name": None}, {"id", "role"}, ["name"], id="null is no value"),
    pytest.param({"role": "admin"}, {"id", "email", "name"}, ["email", "name"], id="known by nothing"),
    pytest.param({"id": "", "role": "admin"}, {"email", "name"}, ["email", "name"], id="by an empty id"),
    pytest.param({"id": ID, "email": None}, {"name", "role"}, ["email"], id="without its natural key"),
]


@pytest.mark.parametrize(("cells", "absent", "required"), ABSENT)
def test_an_absent_required_column_is_left_to_load_if_the_row_may_be_stored(
    cells: dict[str, str | None], absent: set[str], required: list[str]
) -> None:
    table = tables.get("users")
    names = ("id", "email", "name", "role", "active")
    batch = records([{name: cells.get(name) for name in names}])
    bits = absence.cells(table, 1, dict.fromkeys(absent, True))
    assert places(validate(batch, none(), table, Mode.UPSERT, bits)) == [
        (1, name, "required") for name in required
    ]


def test_a_default_is_not_made_where_a_stored_value_may_stand() -> None:
    checked = check("users", {"active": None}, {"active": ""}, {"active": "no"}, mode=Mode.UPSERT)
    assert checked.rows["active"].to_pylist() == [None, None, False]
    assert not checked.failures.num_rows
