"""Delimiter, quote and header row as declared: used as they are, or the file is refused and says what it has."""

import pytest

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import UploadFormat
from bulk_pipeline_tests.unit.stages.parse.reading import Result, read
from bulk_pipeline_tests.unit.stages.parse.workbook import Tab, Value, workbook, workbook_of

ROWS = [("a@b.co", "Rome"), ("b@b.co", "Oslo")]
ABOVE = b"c@b.co,Bern\nemail,city\nReport\n"
"""Lines that would be rejected as records, or taken for the header."""
SHEET: list[list[Value]] = [["c@b.co", "Bern"], [], ["email", "city"], ["a@b.co", "Rome"]]
TABLES = pytest.mark.parametrize("table", ["customers", None])


def refusal(data: bytes, name: str = "a.csv", table: str | None = "customers", **declared: object) -> str:
    with pytest.raises(FileError) as refused:
        read(data, name, table, declared=UploadFormat(**declared))  # pyright: ignore[reportArgumentType]
    assert refused.value.code == "bad_declaration"
    return str(refused.value)


@TABLES
@pytest.mark.parametrize("delimiter", ["!", "%", "\t", " ", "\x02", "§", "!!"])
def test_a_declared_delimiter_separates_cells(delimiter: str, table: str | None) -> None:
    text = "\n".join(delimiter.join(cells) for cells in [("email", "city"), *ROWS])
    result = read(text.encode(), table=table, declared=UploadFormat(delimiter=delimiter))
    assert (result.dialect.delimiter, result.cells, result.failures) == (delimiter, ROWS, [])


@TABLES
@pytest.mark.parametrize("quote", ["'", "|", "~", "`"])
def test_a_declared_quote_stands_around_cells(quote: str, table: str | None) -> None:
    text = f'email,city\na@b.co,{quote}Rome, "{quote * 2}"\nOslo{quote}\nb@b.co,"Bern"\n'
    result = read(text.encode(), table=table, declared=UploadFormat(quote=quote))
    cells = [("a@b.co", f'Rome, "{quote}"\nOslo'), ("b@b.co", '"Bern"')]
    assert (result.dialect.quote, result.cells, result.failures) == (quote, cells, [])


@TABLES
def test_without_quotes_every_line_is_a_record_and_every_quote_is_text(table: str | None) -> None:
    text = b'email\tcity\na@b.co\t"Rome\nb@b.co\t"a"" ""b"\nc@b.co\t\'Bern\'\nd@b.co\t""\n'
    result = read(text, table=table, declared=UploadFormat(quote=""))
    assert (result.dialect.quote, result.failures) == (None, [])
    assert [city for _, city in result.cells] == ['"Rome', '"a"" ""b"', "'Bern'", '""']


@TABLES
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("piece", [1, 1 << 20])
def test_lines_above_a_declared_header_are_titles_whatever_they_hold(
    end: bytes, piece: int, table: str | None
) -> None:
    text = (ABOVE + b"email,city\na@b.co,Rome\nb@b.co,Oslo\n").replace(b"\n", end)
    result = read(text, table=table, piece=piece, declared=UploadFormat(header_row=4))
    assert (result.cells, result.lines, result.failures) == (ROWS, {1: 5, 2: 6}, [])
    assert (result.dialect.header_line, result.dialect.skipped_lines) == (4, 3)
    assert result.warnings == ["the header is in line 4: the 3 lines before it were not used"]


def test_a_declared_header_may_stand_below_any_number_of_lines() -> None:
    text = b"title of any length\n" * 200_000 + b"email,city\na@b.co,Rome\n"
    result = read(text, declared=UploadFormat(header_row=200_001))
    assert (result.rows, result.lines) == ({1: ("a@b.co", "Rome")}, {1: 200_002})


@TABLES
def test_rows_of_a_sheet_above_a_declared_header_are_titles(table: str | None) -> None:
    result = read(workbook(SHEET), "a.xlsx", table, declared=UploadFormat(header_row=3))
    assert (result.cells, result.lines, result.failures) == ([("a@b.co", "Rome")], {1: 4}, [])
    assert (result.dialect.header_line, result.dialect.skipped_lines) == (3, 2)
    assert result.warnings == ["the header is in row 3 of the sheet: the rows before it were not used"]


def test_the_sheet_with_the_declared_header_is_chosen() -> None:
    other: list[list[Value]] = [["email", "city"], ["b@b.co", "Oslo"], ["c@b.co", "Bern"]]
    book = workbook_of(Tab("Old", other), Tab("New", SHEET))
    assert read(book, "a.xlsx", declared=UploadFormat(header_row=3)).cells == [("a@b.co", "Rome")]
    assert "no sheet has cells in that row: found 'Old', 'New'" in refusal(book, "a.xlsx", header_row=9)


@pytest.mark.parametrize(
    ("header_row", "message"),
    [
        (1, "no usable header: found 'c@b.co', Bern; expected columns of customers: id, email, "),
        (5, "header_row: 5 is declared, and this line is blank: found 'email,city' in line 6"),
        (9, "header_row: 9 is declared, and the file has only 7 lines: found 'c@b.co,Bern' in line 1"),
    ],
)
def test_a_file_without_the_declared_header_is_refused(header_row: int, message: str) -> None:
    text = ABOVE + b"\n\nemail,city\na@b.co,Rome"
    said = refusal(text, header_row=header_row)
    assert message in said
    assert said.endswith("declare the row that holds the names of columns (header_row, --header-row)")


@pytest.mark.parametrize(
    ("header_row", "message"),
    [
        (1, "no usable header: found 'c@b.co', Bern; expected columns of customers: id, email, "),
        (
            2,
            "header_row: 2 is declared, and row 2 of the sheet 'First' is empty: found its last cells in row 4",
        ),
    ],
)
def test_a_sheet_without_the_declared_header_is_refused(header_row: int, message: str) -> None:
    said = refusal(workbook(SHEET), "a.xlsx", header_row=header_row)
    assert message in said
    assert said.endswith("declare the row that holds the names of columns (header_row, --header-row)")


@TABLES
def test_a_file_without_the_declared_delimiter_is_refused(table: str | None) -> None:
    said = refusal(b"email,city\na@b.co,Rome\n", table=table, delimiter="\t")
    assert said == (
        "delimiter: tab is declared, and the file does not have it: found 'email,city' in line 1; expected cells with it "
        "between them; declare delimiter: , (--delimiter ,)"
    )
    one = read(b"email\na@b.co\n", table=table, declared=UploadFormat(delimiter="\t"))
    assert (one.cells, one.failures) == ([("a@b.co",)], [])


def test_rows_without_a_header_need_the_declared_delimiter_too() -> None:
    said = refusal(b"a@b.co;A;B;1;Rome\n", delimiter=",", no_header=True)
    assert said.endswith("declare delimiter: ; (--delimiter ';')")


@pytest.mark.parametrize("quote", ["'", ""])
def test_a_header_in_other_quotes_than_the_declared_is_refused(quote: str) -> None:
    said = refusal(b'"email","city"\n"a@b.co","Rome"\n', quote=quote)
    assert 'names in the header (line 1) stand between ": found \'"email"\', \'"city"\'' in said


SHEET_REPORT = b'\xef\xbb\xbf_row,_line,_errors,email,city\n1,4,"wrong, so",a@b.co,"Rome, It"\n'
CSV_REPORT = b'_row;_line;_errors;email;city\n1;4;wrong so;a@b.co;"Rome\n'


@pytest.mark.parametrize(
    ("report", "quote", "city"),
    [(SHEET_REPORT, "'", "Rome, It"), (SHEET_REPORT, None, "Rome, It"), (CSV_REPORT, "", '"Rome')],
)
def test_a_report_of_rejected_rows_has_its_own_header_and_delimiter(
    report: bytes, quote: str | None, city: str
) -> None:
    declared = UploadFormat(delimiter=";", quote=quote, header_row=3)
    result: Result = read(report, declared=declared)
    assert (result.column("city"), result.failures) == ([city], [])


def test_a_report_has_a_header_also_where_files_have_none() -> None:
    result = read(CSV_REPORT.replace(b'"Rome', b"Rome"), declared=UploadFormat(no_header=True))
    assert (result.rows, result.failures) == ({1: ("a@b.co", "Rome")}, [])


def test_json_has_neither_header_nor_delimiter() -> None:
    declared = UploadFormat(delimiter=";", quote="'", header_row=3)
    assert read(b'{"email":"a@b.co"}\n', "a.ndjson", declared=declared).column("email") == ["a@b.co"]
