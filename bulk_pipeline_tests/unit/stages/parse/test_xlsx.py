"""The first sheet of an .xlsx file."""

import gzip
import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime

import pytest

from bulk_pipeline.errors import FileError
from bulk_pipeline.stages.parse import Limits
from bulk_pipeline_tests.unit.stages.parse.reading import read
from bulk_pipeline_tests.unit.stages.parse.workbook import Value, workbook


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" Rome ", "Rome"),
        ("", None),
        (None, None),
        (12, "12"),
        (12.5, "12.5"),
        (1e15, "1000000000000000"),
        (1e300, "1e+300"),
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


def test_rows_are_numbered_without_blank_ones_and_have_no_lines() -> None:
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
    assert result.failures == [(2, None, None, "malformed_row", "has 3 cells, expected 2")]
    assert result.raw == {
        1: b'{"Email":"a@b.co","City":"Rome"}',
        2: b'{"Email":"b@b.co","City":"x","column_3":"y"}',
    }
    assert (result.dialect.format, result.dialect.header_line, result.dialect.skipped_lines) == ("xlsx", 3, 2)
    assert result.warnings == ["the header is in row 3 of the sheet: the rows before it were not used"]


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


def repacked(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            text = source.read(name)
            target.writestr(name, change(text) if "sheet1" in name else text)
    return out.getvalue()
