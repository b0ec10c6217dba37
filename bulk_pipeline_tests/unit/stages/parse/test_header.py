"""How a header is found and matched, and which headers stop a file."""

import io
import json
from time import process_time

import pyarrow as pa
import pytest
from pyarrow import parquet

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import Mode
from bulk_pipeline_tests.unit.stages.parse.reading import read
from bulk_pipeline_tests.unit.stages.parse.workbook import workbook


@pytest.mark.parametrize(
    "header",
    ["email,first_name", "Email,First Name", " EMAIL ,first-name", '"email","First_Name"', "E-Mail,x"],
)
def test_names_match_whatever_their_case_blanks_and_hyphens(header: str) -> None:
    if header.startswith("E-Mail"):
        with pytest.raises(FileError, match="no usable header"):
            read(f"{header}\n1,2\n".encode())
    else:
        assert read(f"{header}\na@b.co,Ana\n".encode()).columns == ("email", "first_name")


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
        ("email,notes,notes\n", "duplicate_header", "the header names 'notes' twice (cells 2 and 3)"),
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
    assert (result.columns, result.lines) == (("email", "city"), {1: 3})


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


def test_a_second_table_in_the_file_does_not_hide_the_first() -> None:
    result = read(b"email,city\na@b.co,Rome\nb@b.co,Oslo\nemail,city,phone\nc@b.co,Bern,1\n")
    assert result.rows == {1: ("a@b.co", "Rome"), 2: ("b@b.co", "Oslo")}
    assert result.places == [(3, 4, None, "malformed_row"), (4, 5, None, "malformed_row")]


OURS = ("row", "line", "column", "code", "value", "message", "raw")
"""What reports call their own columns."""


@pytest.mark.parametrize("is_damaged", [False, True], ids=["sound", "damaged"])
@pytest.mark.parametrize(
    "name", ["upload.csv", "upload.ndjson", "upload.json", "upload.parquet", "upload.xlsx"]
)
def test_a_file_may_call_its_columns_what_reports_call_theirs(name: str, is_damaged: bool) -> None:
    rows = [[f"{column} {number}" for column in OURS] for number in range(3)]
    result = read(written(name, rows, is_damaged), name, table=None)
    assert (result.columns, result.cells) == (OURS, [tuple(row) for row in rows])


def written(name: str, rows: list[list[str]], is_damaged: bool) -> bytes:
    """A file of the rows; a damaged text has something in it that has to be read with care."""
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
