"""Search and matching of headers, and headers for which a file is refused."""

import io
import json
from time import process_time

import pyarrow as pa
import pytest
from pyarrow import parquet

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import Mode, UploadFormat
from bulk_pipeline.stages.parse import header_match as header_module
from bulk_pipeline_tests.unit.stages.parse.reading import read
from bulk_pipeline_tests.unit.stages.parse.workbook import workbook

NAMES_OF_FORMATS = ("upload.csv", "upload.ndjson", "upload.json", "upload.parquet", "upload.xlsx")


def table_of(name: str, names: list[str], row: list[str]) -> bytes:
    """Return a file of one row below these names."""
    match name.rpartition(".")[2]:
        case "csv":
            return f"{','.join(names)}\n{','.join(row)}\n".encode()
        case "parquet":
            return packed(pa.table({column: [cell] for column, cell in zip(names, row, strict=True)}))
        case "xlsx":
            return workbook([names, row])
    text = json.dumps(dict(zip(names, row, strict=True)))
    return (text if name.endswith("ndjson") else f"[{text}]").encode()


@pytest.mark.parametrize(
    "header",
    [
        "email,first_name",
        "Email,First Name",
        " EMAIL ,first-name",
        '"email","First_Name"',
        "E-Mail,FirstName",
        "e mail,firstName",
        "E_MAIL,FIRST\u00a0NAME",
        "\ufeffé-mail,first\u2011name",
        "e\u200bmail\u200e,fir\u00adst_name",
        "[email],`first_name`",
    ],
)
def test_names_match_however_they_are_spelt(header: str) -> None:
    for name in NAMES_OF_FORMATS:
        result = read(table_of(name, header.split(","), ["a@b.co", "Ana"]), name)
        assert (result.upload.columns, result.failures) == (("email", "first_name"), [])
        assert (result.column("email"), result.column("first_name")) == (["a@b.co"], ["Ana"])


@pytest.mark.parametrize("other", ["First Name", "firstname", "FIRST_NAME", "Fírst name"])
def test_two_names_for_one_column_are_refused_and_both_are_shown(other: str) -> None:
    for name in ("upload.csv", "upload.parquet", "upload.xlsx"):
        with pytest.raises(FileError, match="names 'first_name' twice") as caught:
            read(table_of(name, ["first_name", "email", other], ["A", "a@b.co", "B"]), name)
        assert f"(cells 1 and 3): first_name, {header_module.listed([other])};" in str(caught.value)
    result = read(table_of("a.json", ["first_name", "email", other], ["A", "a@b.co", "B"]), "a.json")
    assert result.places == [(1, None, None, "malformed_row")]


NEAR = {
    "fone": None,
    "phne": "phone",
    "Phone Number": "phone",
    "telephone": "phone",
    "mobile_phone": "phone",
    "phone2": "phone",
    "fist_name": "first_name",
    "lastname_": None,  # which is the column itself
    "Citty": "city",
    "home city": "city",
    "updated": "updated_at",
    "creaetdAt": "created_at",
    "country": None,
    "capacity": None,
    "created_by": None,
    "createdon": None,
    "customer_id": None,
    "notes": None,
}


@pytest.mark.parametrize("name", NEAR)
def test_an_unknown_name_fails_the_file_if_it_is_near_a_column_that_is_missing(name: str) -> None:
    for file in NAMES_OF_FORMATS:
        data = table_of(file, ["email", name], ["a@b.co", "x"])
        if NEAR[name] is None:
            assert read(data, file).column("email") == ["a@b.co"]
            continue
        with pytest.raises(FileError, match=f"{name}: did you mean {NEAR[name]}?") as caught:
            read(data, file)
        assert caught.value.code == "unknown_column"
        assert f"columns: {name}={NEAR[name]}" in str(caught.value)


def test_a_name_near_a_column_that_is_there_is_ignored_with_a_warning() -> None:
    for file in NAMES_OF_FORMATS:
        result = read(table_of(file, ["email", "phone", "phone2"], ["a@b.co", "1", "2"]), file)
        assert (result.column("phone"), result.failures) == (["1"], [])
        assert "columns that customers does not have are ignored: phone2" in result.warnings


def test_a_header_in_another_language_is_refused_with_guesses() -> None:
    names = ["E-Mail", "Nachname", "Vorname", "Ort"]
    for file in NAMES_OF_FORMATS:
        with pytest.raises(
            FileError, match="most names are not columns of customers: found 'E-Mail', Nachname"
        ) as caught:
            read(table_of(file, names, ["a@b.co", "Müller", "Anna", "Köln"]), file)
        assert "Nachname: did you mean last_name?; Vorname: did you mean first_name?" in str(caught.value)


def test_declared_names_stand_for_columns() -> None:
    names = ["Mail", "Nachname", "Vorname", "Ort", "Fon", "phone 2"]
    columns = (("mail", "email"), ("Nachname", "last_name"), ("Vorname", "first_name"), ("ORT", "city"))
    declared = UploadFormat(columns=(*columns, ("Fon", "-"), ("phone 2", "-"), ("Tel", "phone")))
    for file in NAMES_OF_FORMATS:
        data = table_of(file, names, ["a@b.co", "Müller", "Anna", "Köln", "1", "2"])
        result = read(data, file, declared=declared)
        assert result.upload.columns == ("email", "first_name", "last_name", "city")
        row = [result.column(column) for column in result.upload.columns]
        assert row == [["a@b.co"], ["Anna"], ["Müller"], ["Köln"]]
        assert result.warnings == ["declared for columns, but not in the file: Tel"]


def test_declared_names_go_before_the_names_of_columns() -> None:
    declared = UploadFormat(columns=(("first_name", "last_name"), ("last_name", "first_name")))
    for file in NAMES_OF_FORMATS:
        data = table_of(file, ["email", "first_name", "last_name"], ["a@b.co", "Lee", "Ann"])
        result = read(data, file, declared=declared)
        assert (result.column("first_name"), result.column("last_name")) == (["Ann"], ["Lee"])


def test_a_name_declared_for_a_column_that_is_none_is_refused() -> None:
    for file in NAMES_OF_FORMATS:
        data = table_of(file, ["email", "Ort"], ["a@b.co", "Rome"])
        with pytest.raises(
            FileError, match="'Ort' is declared to stand for town, which is not a column of customers"
        ):
            read(data, file, declared=UploadFormat(columns=(("Ort", "town"),)))


UUID_1, UUID_2 = "0190f4a2-7c1e-7d3a-9b5e-000000000001", "0190f4a2-7c1e-7d3a-9b5e-000000000002"


def test_columns_are_matched_by_position_if_no_header_is_declared() -> None:
    none = UploadFormat(no_header=True)
    result = read(b"x@y.zz,Ana,Lee,1,Rome\nemail,first_name,last_name,phone,city\n", declared=none)
    columns = ("email", "first_name", "last_name", "phone", "city")
    assert (result.columns, result.rows) == (columns, {1: ("x@y.zz", "Ana", "Lee", "1", "Rome")})
    assert result.failures == [(2, 2, None, "malformed_row", "the header is repeated here")]
    assert result.warnings == [
        f"the file has no header: the columns were taken by their position, as {', '.join(columns)}"
    ]
    of_six = read(f"{UUID_1},x@y.zz,Ana,Lee,1,Rome\n".encode(), declared=none)
    assert of_six.columns == ("id", *columns)
    with pytest.raises(
        FileError, match="most rows have 2 cells: no order has as many; expected columns of customers"
    ):
        read(b"x@y.zz,Ana\n", declared=none)
    with pytest.raises(
        FileError, match="most rows have 6 cells: their cells do not tell which order they have"
    ):
        read(b"a,b,c,d,e,f\n", declared=none)
    assert read(b"1,2\n3,4\n", table=None, declared=none).cells == [("1", "2"), ("3", "4")]


@pytest.mark.parametrize(
    "header",
    [
        "mail,name,role,active",
        "id,mail,name,role,newsletter",
        "nr,mail,name,role,active,born",
        "published,a,b,c",
    ],
)
def test_a_line_of_names_is_never_a_row_and_never_passed_over(header: str) -> None:
    rows = f"{UUID_1},a@b.co,N1,reader,0,1980-05-01\n{UUID_2},b@b.co,N2,reader,0,1981-05-01\n"
    width = header.count(",") + 1
    text = "".join(",".join(row.split(",")[6 - width :]) + "\n" for row in rows.splitlines())
    for title in ("", "Export\n", "Export,2024-05-01\n"):
        with pytest.raises(FileError) as caught:
            read(f"{title}{header}\n{text}".encode(), table="users")
        assert "expected columns of users" in str(caught.value)


def test_columns_come_in_the_order_of_the_table_and_unknown_ones_are_named_once() -> None:
    result = read(b"city,shoe size,email,shoes\nRome,42,a@b.co,2\n")
    assert (result.columns, result.cells) == (("email", "city"), [("a@b.co", "Rome")])
    assert result.warnings == ["columns that customers does not have are ignored: 'shoe size', shoes"]


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("", "empty_file", "the file is empty (0 bytes)"),
        ("\n \n", "no_header", "no usable header: found nothing; expected columns of customers: id, email, "),
        (
            "a,b\n1,2\n",
            "no_header",
            "no usable header: found a, b; expected columns of customers: id, email, ",
        ),
        ("x@y.zz,Ana\n", "no_header", "no usable header: found 'x@y.zz', Ana; expected columns"),
        ("city,phone\n1,2\n", "missing_column", "required column email missing: found city, phone; expected"),
        ("email,city,Email\n", "duplicate_header", "the header names 'email' twice (cells 1 and 3)"),
        (
            "fon,Mail\n",
            "no_header",
            "no usable header: found fon, Mail; expected columns of customers: id, email, ",
        ),
    ],
)
def test_a_header_that_cannot_be_used_stops_the_file(text: str, code: str, message: str) -> None:
    with pytest.raises(FileError) as caught:
        read(text.encode())
    assert (caught.value.code, str(caught.value)[: len(message)]) == (code, message)


def test_the_mode_says_which_columns_are_required() -> None:
    text = b"email,name,role\na@b.co,Ana,admin\n"
    assert read(text, table="users", mode=Mode.UPSERT).columns == ("email", "name", "role")
    with pytest.raises(FileError, match="required column id missing"):
        read(text, table="users", mode=Mode.INSERT_ONLY)


def test_header_only_has_no_rows_and_a_warning() -> None:
    for text in (b"email,city", b"email,city\n", b"email,city\r\n\r\n"):
        result = read(text)
        assert (result.rows, result.columns, result.warnings) == (
            {},
            ("email", "city"),
            ["the file has no rows"],
        )


def test_lines_before_the_header_are_skipped_and_shown() -> None:
    result = read(b"Export of 3 May\n# all customers\n\nemail;city\na@b.co;Rome\n")
    assert result.cells == [("a@b.co", "Rome")]
    assert result.lines == {1: 5}
    dialect = result.dialect
    assert (dialect.delimiter, dialect.header, dialect.header_line, dialect.skipped_lines) == (
        ";",
        ("email", "city"),
        4,
        3,
    )
    assert result.warnings == ["the header is in line 4: the 3 lines before it were not used"]


def test_half_a_million_blank_lines_before_the_header_take_no_time() -> None:
    started = process_time()
    with pytest.raises(FileError, match="no usable header: found x"):
        read(b" \r\n" * 250_000 + b"x\n" + b"\n" * 250_000)
    assert process_time() - started < 0.5
    result = read(b" \r\n\r" * 100_000 + b" email,city\n\n a@b.co,Rome\n")
    assert (result.dialect.header_line, result.lines) == (200_001, {1: 200_003})


def test_a_delimited_preamble_is_skipped_too() -> None:
    result = read(b"Customers,,\n,,\nemail,city,phone\na@b.co,Rome,1\n")
    assert (result.dialect.header_line, result.cells) == (3, [("a@b.co", "1", "Rome")])


def test_a_header_over_two_lines_is_one_header() -> None:
    result = read(b'email,"First\nName",city\na@b.co,Ana,Rome\n')
    assert (result.columns, result.lines) == (("email", "first_name", "city"), {1: 3})


def test_a_column_without_a_name_is_ignored() -> None:
    result = read(b"email,,city,\na@b.co,x,Rome,y\n")
    assert (result.columns, result.cells) == (("email", "city"), [("a@b.co", "Rome")])


def test_the_dialect_as_a_dict_is_plain_json() -> None:
    assert read(b"email\na@b.co\n").dialect.as_dict() == {
        "format": "csv",
        "compression": None,
        "encoding": "utf-8",
        "delimiter": ",",
        "quote": '"',
        "escape": None,
        "header": ["email"],
        "header_line": 1,
        "skipped_lines": 0,
        "record_end": "LF",
        "byte_order_mark": False,
    }


def test_an_unknown_name_may_occur_twice() -> None:
    result = read(b"email,notes,notes,city\na@b.co,1,2,Rome\n")
    assert result.cells == [("a@b.co", "Rome")]
    assert result.warnings == ["columns that customers does not have are ignored: notes"]


ABOVE = {
    "records as wide as the rows": (b"mail,vorname,ort\na@b.co,A,Rome\nb@b.co,B,\n", 3),
    "a header of its own and narrower rows": (b"first_name,city\nA,Rome\nB,\n", 3),
    "a narrower table with names of its own": (b"Vorname,Ort\nA,Rome\nB,Rome\n", 3),
    "an address in a line of its own": (b"Export\na@b.co\n", 1),
    "a title and records": (b"Export of May\n# for Ann\nmail,vorname,ort\nA,B,C\n", 2),
}


@pytest.mark.parametrize("what", ABOVE)
def test_records_above_the_header_are_rejected(what: str) -> None:
    above, count = ABOVE[what]
    result = read(above + b"email,first_name,city\nw@b.co,W,Oslo\n")
    line = above.count(b"\n") + 1
    assert result.rows == {count + 1: ("w@b.co", "W", "Oslo")}
    assert result.lines[count + 1] == line + 1
    lines = above.splitlines()
    assert [result.raw[row] for row in range(1, count + 1)] == lines[len(lines) - count :]
    assert [failure[4] for failure in result.failures] == [
        f"stands above the header, which is in line {line}"
    ] * count
    assert any(f"the header is in line {line}" in warning for warning in result.warnings)


def test_the_first_header_that_has_what_is_required_is_the_header_whatever_its_delimiter() -> None:
    result = read(b"email;first_name\na@b.co;A\nemail,first_name,city,phone\nb@b.co,B,Oslo,1\nc@b.co;C\n")
    assert (result.dialect.delimiter, result.dialect.header_line) == (";", 1)
    assert result.rows == {1: ("a@b.co", "A"), 4: ("c@b.co", "C")}
    assert [(failure[0], failure[4]) for failure in result.failures] == [
        (2, "is a header with other columns than the file's"),
        (3, "has 1 cell, expected 2"),
    ]


@pytest.mark.parametrize(
    "again",
    [
        b"email,first_name,city",
        b'"email","first_name","city"',
        b" E-Mail , First Name,CITY",
        b"email;first_name;city",
        "\u200bemail,\u00a0firstName,city".encode(),
    ],
)
def test_the_header_is_known_again_however_it_is_spelt(again: bytes) -> None:
    result = read(b"email,first_name,city\na@b.co,A,Rome\n" + again + b"\nb@b.co,B,Oslo\n")
    assert result.rows == {1: ("a@b.co", "A", "Rome"), 3: ("b@b.co", "B", "Oslo")}
    assert result.failures == [(2, 3, None, "malformed_row", "the header is repeated here")]


@pytest.mark.parametrize("is_alike", [True, False], ids=["of one shape", "of several shapes"])
def test_an_object_whose_key_is_near_a_column_that_it_lacks_is_rejected(is_alike: bool) -> None:
    objects = [
        {"email": "a@b.co", "phone": "1", "phoen": "5"},
        {"email": "b@b.co", "phoen": "2"},
        {"email": "c@b.co", "phoen": "3", "phone": "4"},
        {"email": "d@b.co", "phoen": None},
    ]
    for name, between, ends in (("a.ndjson", "\n", ("", "")), ("a.json", ",", "[]")):
        texts = list(map(json.dumps, objects if is_alike else [*objects, {"email": "e@b.co", "x": 1.5}]))
        result = read(f"{ends[0]}{between.join(texts)}{ends[1]}".encode(), name)
        assert result.column("email")[:3] == ["a@b.co", "c@b.co", "d@b.co"]
        assert result.column("phone")[:3] == ["1", "4", None]
        message = "has keys that are not columns: phoen: did you mean phone?"
        assert [(failure[0], *failure[3:]) for failure in result.failures] == [(2, "malformed_row", message)]


def test_a_second_table_in_the_file_does_not_hide_the_first() -> None:
    result = read(b"email,city\na@b.co,Rome\nb@b.co,Oslo\nemail,city,phone\nc@b.co,Bern,1\n")
    assert result.rows == {1: ("a@b.co", "Rome"), 2: ("b@b.co", "Oslo")}
    assert result.places == [(3, 4, None, "malformed_row"), (4, 5, None, "malformed_row")]


OURS = ("row", "line", "column", "code", "value", "message", "raw")
"""Names of columns in reports."""


@pytest.mark.parametrize("is_damaged", [False, True], ids=["sound", "damaged"])
@pytest.mark.parametrize(
    "name", ["upload.csv", "upload.ndjson", "upload.json", "upload.parquet", "upload.xlsx"]
)
def test_a_file_may_call_its_columns_what_reports_call_theirs(name: str, is_damaged: bool) -> None:
    rows = [[f"{column} {number}" for column in OURS] for number in range(3)]
    result = read(written(name, rows, is_damaged), name, table=None)
    assert (result.columns, result.cells) == (OURS, [tuple(row) for row in rows])


def written(name: str, rows: list[list[str]], is_damaged: bool) -> bytes:
    """Return a file of the rows; a damaged text needs the tolerant reader."""
    match name.rpartition(".")[2]:
        case "csv":
            end = " \r\n" if is_damaged else "\n"
            return "".join(",".join(row) + end for row in [OURS, *rows]).encode()
        case "parquet":
            return packed(pa.table({column: list(cells) for column, *cells in zip(OURS, *rows, strict=True)}))
        case "xlsx":
            return workbook([OURS, *rows])
    objects = [json.dumps(dict(zip(OURS, row, strict=True))) for row in rows]
    between = "\n\n" if is_damaged else "\n"
    return (between.join(objects) if name.endswith("ndjson") else f"[{','.join(objects)}]").encode()


def packed(rows: pa.Table) -> bytes:
    out = io.BytesIO()
    parquet.write_table(rows, out)
    return out.getvalue()
