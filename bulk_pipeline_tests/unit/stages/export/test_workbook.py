"""Workbooks: what a spreadsheet program sees in their cells, and what an import reads."""

import datetime as dt
import gc
import io
import zipfile
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from bulk_pipeline.errors import SelectionError, UnwritableValueError
from bulk_pipeline.schema import Column, ColumnType, Table, column_type
from bulk_pipeline.stages.export import workbook
from bulk_pipeline.stages.export.formats import Compression, Format
from bulk_pipeline.stages.export.layout import Layout
from bulk_pipeline.stages.export.parts import write_file
from bulk_pipeline_tests.unit.stages.export.rows import COLUMNS, batch, layout
from bulk_pipeline_tests.unit.stages.parse.reading import read

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def written(rows: pa.RecordBatch, *columns: Column, **how: Any) -> bytes:
    out = io.BytesIO()
    write_file([rows], Layout(columns or COLUMNS, Format.XLSX, **how), out)
    return out.getvalue()


def seen(content: bytes) -> list[tuple[Any, ...]]:
    """Return the rows below the header, as openpyxl reads them."""
    _, *rows = load_workbook(io.BytesIO(content)).worksheets[0].iter_rows()
    return rows


def column_of(type_: str, *values: object, **options: Any) -> list[tuple[object, str]]:
    """Return the values that a spreadsheet has in a column of the type, each with the kind of its cell."""
    column = Column(name="x", type=column_type.parse(type_), **options)
    rows = batch((column,), *({"x": value} for value in values))
    return [(cell.value, cell.data_type) for (cell,) in seen(written(rows, column))]


def test_whole_numbers_are_numbers_up_to_the_digits_that_a_spreadsheet_keeps() -> None:
    assert column_of("integer", -5, 2**31 - 1) == [(-5, "n"), (2**31 - 1, "n")]
    least, most = -(10**15) + 1, 10**15 - 1
    assert column_of("bigint", least, most, 10**15, -(10**15), 2**63 - 1) == [
        (least, "n"),
        (most, "n"),
        ("1000000000000000", "s"),
        ("-1000000000000000", "s"),
        ("9223372036854775807", "s"),
    ]


def test_decimals_are_numbers_if_every_digit_is_kept() -> None:
    assert column_of("numeric(12,2)", Decimal("1.50"), Decimal("-9999999999.99")) == [
        (1.5, "n"),
        (-9999999999.99, "n"),
    ]
    assert column_of("numeric(20,2)", Decimal("9999999999999.99"), Decimal("10000000000000.00")) == [
        (9999999999999.99, "n"),
        ("10000000000000.00", "s"),
    ]
    assert column_of("numeric", "1.5", "1.50", "100", "0.0000000000000001") == [
        (1.5, "n"),
        ("1.50", "s"),
        (100, "n"),
        ("0.0000000000000001", "s"),
    ]


def test_floats_are_numbers_but_for_values_that_a_spreadsheet_lacks() -> None:
    values = (0.1 + 0.2, -1e-300, 1e15, -0.0, float("nan"), float("-inf"))
    assert column_of("double precision", *values, not_finite=True) == [
        (0.30000000000000004, "n"),
        (-1e-300, "n"),
        ("1e+15", "s"),
        ("-0", "s"),
        ("NaN", "s"),
        ("-Infinity", "s"),
    ]


def test_booleans_dates_and_local_times_are_values() -> None:
    assert column_of("boolean", True, False) == [(True, "b"), (False, "b")]
    assert column_of("date", dt.date(1900, 3, 1), dt.date(9999, 12, 31)) == [
        (dt.datetime(1900, 3, 1), "d"),
        (dt.datetime(9999, 12, 31), "d"),
    ]
    moment = dt.datetime(2026, 1, 31, 23, 59, 59, 999_000)
    assert column_of("timestamp without time zone", moment) == [(moment, "d")]


def test_days_that_spreadsheets_count_wrong_and_times_that_are_too_fine_are_texts() -> None:
    assert column_of("date", dt.date(1900, 2, 28), dt.date(1, 1, 1)) == [
        ("1900-02-28", "s"),
        ("0001-01-01", "s"),
    ]
    fine, early = dt.datetime(2026, 1, 31, 12, 0, 0, 1), dt.datetime(1900, 2, 28, 12)
    assert column_of("timestamp without time zone", fine, early) == [
        ("2026-01-31T12:00:00.000001", "s"),
        ("1900-02-28T12:00:00.000000", "s"),
    ]


def test_an_instant_is_the_same_text_as_in_csv_because_spreadsheets_have_no_time_zones() -> None:
    instant = dt.datetime(2026, 1, 31, 12, 30, tzinfo=dt.UTC)
    assert column_of("timestamp with time zone", instant) == [("2026-01-31T12:30:00.000000Z", "s")]


@pytest.mark.parametrize("text", ["=1+1", "+46", "-1", "@a", "0123", "1e5", "TRUE", "2026-01-31", "#N/A"])
def test_texts_are_texts_whatever_they_look_like(text: str) -> None:
    column = Column(name="x")
    ((cell,),) = seen(written(batch((column,), {"x": text}), column))
    assert (cell.value, cell.number_format, cell.data_type in ("s", "inlineStr")) == (text, "@", True)


def test_null_is_no_cell_and_an_empty_text_is_one() -> None:
    columns = (Column(name="a"), Column(name="b", type=ColumnType.BOOLEAN), Column(name="c"))
    content = written(batch(columns, {"a": "", "c": "x"}, {"b": True}), *columns)
    sheet = zipfile.ZipFile(io.BytesIO(content)).read("xl/worksheets/sheet1.xml").decode()
    assert [f'r="{place}"' in sheet for place in ("A2", "B2", "C2", "A3", "B3", "C3")] == [
        *(True, False, True),
        *(False, True, False),
    ]


@given(st.lists(st.tuples(TEXTS | st.none(), st.sampled_from(["", " x ", "\r\n", "_x0041_", "_x_x005F_"]))))
def test_any_text_is_read_back_as_it_was(found: list[tuple[str | None, str]]) -> None:
    columns = (Column(name="a"), Column(name="b"))
    result = read(
        written(batch(columns, *({"a": a, "b": b} for a, b in found)), *columns),
        "t.xlsx",
        Table(name="t", columns=columns),
    )
    assert [*result.rows.values()] == found
    assert result.failures == []


def test_a_text_is_exact_after_a_spreadsheet_program_has_saved_the_file_too() -> None:
    columns = (Column(name="a"), Column(name="b"))
    book = load_workbook(io.BytesIO(written(batch(columns, {"a": " x ", "b": "y"}), *columns)))
    book.worksheets[0]["B2"].value = " typed "
    saved = io.BytesIO()
    book.save(saved)
    result = read(saved.getvalue(), "t.xlsx", Table(name="t", columns=columns))
    assert [*result.rows.values()] == [(" x ", "typed")]


def test_a_foreign_workbook_has_blanks_around_its_texts_removed_as_before() -> None:
    book, saved = Workbook(), io.BytesIO()
    book.worksheets[0].append(["a", "b"])
    book.worksheets[0].append([" x ", "y"])
    book.save(saved)
    columns = (Column(name="a"), Column(name="b"))
    result = read(saved.getvalue(), "t.xlsx", Table(name="t", columns=columns))
    assert [*result.rows.values()] == [("x", "y")]


def test_the_header_is_bold_and_stays_in_view_with_a_filter_over_all_rows() -> None:
    content = written(batch(COLUMNS, {"id": 1}, {"id": 2}), sheet="R&D's <rows>")
    book = load_workbook(io.BytesIO(content))
    sheet = book.worksheets[0]
    assert sheet.title == "R&D's <rows>"
    assert [cell.value for cell in sheet[1]] == [column.name for column in COLUMNS]
    assert {cell.font.b for cell in sheet[1]} == {True}
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", "A1:F3")
    assert sheet.column_dimensions["A"].width == 38


def test_a_full_sheet_is_followed_by_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MOST_ROWS", 4)
    column = Column(name="n", type=column_type.parse("integer"))
    content = written(batch((column,), *({"n": n} for n in range(7))), column, sheet="numbers")
    book = load_workbook(io.BytesIO(content))
    assert [(sheet.title, [*sheet.values], sheet.auto_filter.ref) for sheet in book.worksheets] == [
        ("numbers", [("n",), (0,), (1,), (2,)], "A1:A4"),
        ("numbers (2)", [("n",), (3,), (4,), (5,)], "A1:A4"),
        ("numbers (3)", [("n",), (6,)], "A1:A2"),
    ]


def test_a_sheet_of_many_bytes_is_full_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "_SHEET_BYTES", 1)
    monkeypatch.setattr(workbook, "_ROWS", 1)
    column = Column(name="n", type=column_type.parse("integer"))
    content = written(batch((column,), {"n": 1}, {"n": 2}), column)
    assert load_workbook(io.BytesIO(content)).sheetnames == ["rows", "rows (2)"]


def test_the_same_rows_are_the_same_bytes_and_no_date_is_in_them() -> None:
    rows = batch(COLUMNS, {"id": 1, "name": "Ann"})
    content = written(rows)
    assert content == written(rows)
    assert {part.date_time for part in zipfile.ZipFile(io.BytesIO(content)).infolist()} == {
        (1980, 1, 1, 0, 0, 0)
    }


@pytest.mark.parametrize("text", ["x" * 32_768, "𝔘" * 16_384])
def test_a_text_that_no_cell_holds_is_refused_with_a_remedy(text: str) -> None:
    column = Column(name="notes")
    assert len(seen(written(batch((column,), {"notes": text[1:]}), column))) == 1
    with pytest.raises(
        UnwritableValueError,
        match=r"notes holds a text of 32,768 characters, and a cell of a spreadsheet holds 32,767: export to csv",
    ):
        written(batch((column,), {"notes": text}), column)


def test_a_row_of_nulls_is_refused_where_an_import_would_miss_it() -> None:
    column = Column(name="a")
    with pytest.raises(UnwritableValueError, match="a row has no value in any column"):
        written(batch((column,), {"a": "x"}, {}), column, has_empty_rows=True)


def test_a_workbook_has_no_other_compression_than_its_own() -> None:
    with pytest.raises(SelectionError, match="xlsx is compressed inside its file, not with gzip"):
        layout(Format.XLSX, compression=Compression.GZIP)


def test_nothing_is_written_after_an_export_has_failed() -> None:
    column, out = Column(name="notes"), io.BytesIO()
    rows = batch((column,), {"notes": "x" * 32_768})
    with pytest.raises(UnwritableValueError):
        write_file([rows], Layout((column,), Format.XLSX), out)
    content = out.getvalue()
    gc.collect()
    assert out.getvalue() == content
    assert not zipfile.is_zipfile(out)
