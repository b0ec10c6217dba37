"""The rows of a sheet, and damaged, hostile or unusual workbooks."""

import gzip
import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime

import pytest

from bulk_pipeline.errors import FileError
from bulk_pipeline.stages.parse import Limits
from bulk_pipeline.stages.parse.xlsx.header import labels
from bulk_pipeline_tests.unit.stages.parse.reading import opened, read
from bulk_pipeline_tests.unit.stages.parse.workbook import Tab, Value, shared, workbook, workbook_of


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" Rome ", "Rome"),
        ("", None),
        (None, None),
        (12, "12"),
        (12.5, "12.5"),
        (999999999999999.0, "999999999999999"),
        (0.1, "0.1"),
        (1e-7, "0.0000001"),
        (-0.0, "0"),
        (True, "true"),
        (date(2024, 5, 3), "2024-05-03"),
        (datetime(2024, 5, 3, 14, 30), "2024-05-03T14:30:00"),
        ("007", "007"),
        ("a & <b>", "a & <b>"),
        ("=1+1", "=1+1"),
    ],
)
def test_a_value_becomes_text(value: Value, text: str | None) -> None:
    result = read(workbook([["email", "city"], ["a@b.co", value], ["b@b.co", "end"]]), "upload.xlsx")
    assert (result.column("city"), result.failures, result.warnings) == ([text, "end"], [], [])


def test_rows_are_numbered_without_blank_ones_and_their_lines_are_the_rows_of_the_sheet() -> None:
    rows: list[list[Value]] = [
        ["Customers"],
        [],
        ["Email", "City"],
        ["a@b.co", "Rome"],
        [None, None],
        ["b@b.co", "x", "y"],
    ]
    result = read(workbook(rows), "upload.xlsx")
    assert result.rows == {1: ("a@b.co", "Rome")}
    assert result.lines == {1: 4, 2: 6}
    assert result.failures == [(2, 6, None, "malformed_row", "has 3 cells, expected 2")]
    assert result.raw == {
        1: b'{"Email":"a@b.co","City":"Rome"}',
        2: b'{"Email":"b@b.co","City":"x","column_3":"y"}',
    }
    assert (result.dialect.format, result.dialect.header_line, result.dialect.skipped_lines) == ("xlsx", 3, 2)
    assert result.warnings == ["the header is in row 3 of the sheet: the rows before it were not used"]


def test_records_above_the_header_are_rejected_and_titles_are_not() -> None:
    rows: list[list[Value]] = [
        ["Customers"],
        ["Made", "2024-05-03"],
        ["ann@x.co"],
        ["bob@x.co", "Bob", "Oslo"],
        ["Email", "Name", "City"],
        ["cat@x.co", "Cat", "Bonn"],
    ]
    result = read(workbook(rows), "upload.xlsx")
    assert result.rows == {3: ("cat@x.co", "Bonn")}
    assert result.failures == [
        (1, 3, None, "malformed_row", "stands above the header (row 5 of the sheet)"),
        (2, 4, None, "malformed_row", "stands above the header (row 5 of the sheet)"),
    ]
    assert result.warnings == [
        "columns that customers does not have are ignored: Name",
        "the header is in row 5 of the sheet: the rows before it were not used",
    ]


def test_rows_under_another_header_are_rejected_above_the_own_one_and_below() -> None:
    rows: list[list[Value]] = [
        ["City", "First name", "Remark", "More"],
        ["Oslo", "Bob"],
        ["Email", "City", "First name", "Remark"],
        ["ann@x.co", "Rome", "Ann"],
        ["EMAIL ", "City", "First name", "Remark"],
        ["bob@x.co", "Oslo", "Bob"],
        ["First name", "Email"],
        ["Cat", "cat@x.co"],
        ["Email", "City", "First Name", "Remark"],
        ["dan@x.co", "Bonn", "Dan"],
    ]
    result = read(workbook(rows), "upload.xlsx")
    assert list(result.rows) == [3, 5, 9]
    assert [cells[0] for cells in result.cells] == ["ann@x.co", "bob@x.co", "dan@x.co"]
    assert [(line, problem) for _, line, _, _, problem in result.failures] == [
        (1, "stands above the header (row 3 of the sheet)"),
        (2, "stands above the header (row 3 of the sheet)"),
        (5, "the header is repeated here"),
        (7, "is a header with other columns than the sheet's"),
        (8, "stands below a header with other columns (row 7 of the sheet)"),
        (9, "the header is repeated here"),
    ]


def test_cells_below_an_empty_header_cell_are_in_the_record() -> None:
    result = read(workbook([["email", None, "Note"], ["a@b.co", "x", "y"]]), "upload.xlsx")
    assert result.raw == {1: b'{"email":"a@b.co","column_2":"x","Note":"y"}'}
    assert result.dialect.header == ("email", "column_2", "Note")


def test_each_cell_of_a_record_has_a_name_of_its_own() -> None:
    assert labels(["a", "", "a", "column_2", "a_3"]) == ("a", "column_2", "a_3", "column_2_4", "a_3_5")


@pytest.mark.parametrize(
    ("rows", "cells"),
    [
        ('<row><c t="str"><v>email</v></c></row><row><c t="str"><v>a@b.co</v></c></row>', {1: 2}),
        (
            '<row><c r="A3" t="str"><v>email</v></c></row><row r="7"><c t="str"><v>a@b.co</v></c></row>',
            {1: 7},
        ),
        (
            '<row r="2"><c r="A2" t="str"><v>email</v></c></row><row r="9"><c r="A9" t="str"><v>a@b.co</v></c></row>',
            {1: 9},
        ),
    ],
)
def test_places_that_are_left_out_follow_those_before_them(rows: str, cells: dict[int, int]) -> None:
    result = read(workbook_of(Tab("A", rows)), "upload.xlsx")
    assert (result.cells, result.lines) == ([("a@b.co",)], cells)


def test_cells_out_of_order_keep_their_places() -> None:
    rows = '<row r="1"><c r="B1" t="str"><v>city</v></c><c r="A1" t="str"><v>email</v></c></row>'
    rows += '<row r="2"><c r="B2" t="str"><v>Rome</v></c><c r="A2" t="str"><v>a@b.co</v></c></row>'
    assert read(workbook_of(Tab("A", rows)), "upload.xlsx").cells == [("a@b.co", "Rome")]


def test_a_strict_workbook_is_read() -> None:
    strict = "http://purl.oclc.org/ooxml/spreadsheetml/main"
    data = workbook_of(Tab("A", [["email"], ["a@b.co"]]), main=strict)
    assert read(data, "upload.xlsx").cells == [("a@b.co",)]


def test_a_packed_workbook_is_read() -> None:
    assert read(gzip.compress(workbook([["email"], ["a@b.co"]])), "upload.xlsx.gz").cells == [("a@b.co",)]


def test_without_a_table_the_sheet_has_its_own_columns() -> None:
    assert read(workbook([["a", "b"], [1, None], [3, 4]]), "x.xlsx", table=None).cells == [
        ("1", None),
        ("3", "4"),
    ]
    named = read(workbook([[1, "2024-05-03"], [3, "2024-05-04"]]), "x.xlsx", table=None)
    assert (named.columns, len(named.rows)) == (("column_1", "column_2"), 2)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (workbook([["email"], ["a@b.co"]])[:-40], "unreadable_compression"),
        (
            workbook([["email"]]).replace(b"xl/worksheets/sheet1.xml", b"xl/worksheets/sheetX.xml"),
            "unreadable_file",
        ),
        (
            workbook_of(Tab("A", '<row r="1"><c r="A1"><v>1</v></c><c r="A1"><v>2</v></c></row>')),
            "unreadable_file",
        ),
        (workbook_of(Tab("A", '<row r="1"><c r="A2"><v>1</v></c></row>')), "unreadable_file"),
        (workbook_of(Tab("A", '<row r="0"><c r="A0"><v>1</v></c></row>')), "unreadable_file"),
        (workbook_of(Tab("A", '<row r="1"><c r="XFE1"><v>1</v></c></row>')), "unreadable_file"),
        (workbook_of(Tab("A", '<row r="1"><c r="A1">')), "unreadable_file"),
        (workbook([]), "no_header"),
        (workbook([["a"], ["b"]]), "no_header"),
    ],
)
def test_a_workbook_that_cannot_be_used_stops_the_file(data: bytes, code: str) -> None:
    with pytest.raises(FileError) as caught:
        read(data, "upload.xlsx")
    assert caught.value.code == code


def test_a_large_workbook_is_refused_with_the_remedy() -> None:
    data = workbook([["email"], *[[f"u{i}@b.co"] for i in range(1000)]])
    with pytest.raises(FileError, match="the limit is 10,000: save it as CSV"):
        read(data, "upload.xlsx", limits=Limits(sheet_bytes=10_000))


@pytest.mark.parametrize("quote", ['"', "'"])
def test_two_cells_in_opposite_corners_do_not_end_the_process(quote: str) -> None:
    data = repacked(
        workbook([["email", "city"], ["a@b.co", "x"]]),
        lambda xml: (
            xml.replace(b'"B2"', b'"XFD1048576"').replace(b'"', quote.encode()).replace(b"r=", b"r =")
        ),
    )
    with pytest.raises(
        FileError, match="reaches over 1,048,576 rows and 16,384 columns, the limit is 4,000,000 cells"
    ):
        read(data, "upload.xlsx")


@pytest.mark.parametrize(
    "spelling", ['<row x=">" r="1048576">', "<row\nr='1048576'\n>", '<row   r="1048576">']
)
def test_a_far_row_counts_however_it_is_written(spelling: str) -> None:
    cells = "".join(f'<c r="{column}1048576"><v>1</v></c>' for column in "ABCD")
    with pytest.raises(
        FileError, match="reaches over 1,048,576 rows and 4 columns, the limit is 4,000,000 cells"
    ):
        read(workbook_of(Tab("A", f"{spelling}{cells}</row>")), "upload.xlsx")


def test_a_sheet_of_cells_without_anything_in_them_takes_no_memory() -> None:
    far = '<row r="1048576"><c r="XFD1048576" s="1"/></row>'
    data = repacked(
        workbook([["email"], ["a@b.co"]]),
        lambda xml: xml.replace(b"</sheetData>", far.encode() + b"</sheetData>"),
    )
    assert read(data, "upload.xlsx").cells == [("a@b.co",)]


def test_a_long_text_that_very_many_cells_refer_to_is_refused() -> None:
    rows: list[list[Value]] = [["email", "city"], *[[f"u{i}@b.co", shared(0)] for i in range(1000)]]
    data = workbook_of(Tab("A", rows), strings=f"<si><t>{'x' * 100_000}</t></si>")
    with pytest.raises(FileError, match="looks like a compression bomb"):
        read(data, "upload.xlsx", limits=Limits(ratio_from_bytes=20_000_000))
    limits = Limits(ratio_from_bytes=300_000_000)
    assert {chunk.raw.num_rows for chunk in opened(data, "upload.xlsx", limits=limits)} < {*range(100)}


@pytest.mark.parametrize("part", ["sheet1", "sharedStrings", "styles", "workbook.xml", ".rels"])
def test_a_document_type_is_refused(part: str) -> None:
    entities = "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(8))
    bomb = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "{"x" * 100}">{entities}]>'.encode()
    data = repacked(
        workbook([["email"], ["a@b.co"]]), lambda xml: xml.replace(b'<?xml version="1.0"?>', bomb), part
    )
    with pytest.raises(FileError, match="its XML declares a document type"):
        read(data, "upload.xlsx")


def repacked(data: bytes, change: Callable[[bytes], bytes], part: str = "sheet1") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            text = source.read(name)
            target.writestr(name, change(text) if part in name else text)
    return out.getvalue()
