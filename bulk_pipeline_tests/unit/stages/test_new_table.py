"""Tables that are proposed for files: types that change no cell, NOT NULL, keys and names, each with its evidence."""

import csv
import io
from datetime import date, datetime, time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import NOTHING_DECLARED, Table, TableName, UploadFormat
from bulk_pipeline.schema.table_files import read_table
from bulk_pipeline.stages.parse import Upload, open_upload
from bulk_pipeline.stages.proposals.new_table import NewTable, create_table, declaration, propose_table
from bulk_pipeline_tests.unit.stages.parse.workbook import workbook
from bulk_pipeline_tests.unit.stages.validate.test_notation import read

UNNAMED = "columns that have no name in the header are left out"


def proposed(data: bytes, name: str = "t.csv", declared: UploadFormat = NOTHING_DECLARED) -> NewTable:
    def open_(table: Table | None, format_: UploadFormat) -> Upload:
        return open_upload(io.BytesIO(data), name, table=table, declared=format_)

    with TemporaryDirectory() as folder:
        return propose_table(open_, TableName("shop", "items"), declared, name, Path(folder))


def of_cells(*columns: list[str]) -> NewTable:
    """Return the table for columns of a CSV file, called a, b, …"""
    out = io.StringIO()
    rows = csv.writer(out, delimiter=";", quoting=csv.QUOTE_ALL)
    rows.writerow("abcdef"[: len(columns)])
    rows.writerows(zip(*columns, strict=True))
    return proposed(out.getvalue().encode())


def type_of(*cells: str) -> tuple[str, str, dict[str, str]]:
    """Return the type of a column beside one of texts, the reason, and the notation that is declared."""
    new = of_cells([*cells], ["x"] * len(cells))
    assert new.undecided == ()
    return str(new.columns[0].column.type), new.columns[0].why_type, new.table.upload_format.texts()


@pytest.mark.parametrize(
    ("cells", "type_", "why"),
    [
        (["1", "-20"], "integer", "whole numbers from -20 to 1"),
        (["1", "2147483648"], "bigint", "whole numbers from 1 to 2147483648"),
        (["1", "9223372036854775808"], "numeric",
         "whole numbers; '9223372036854775808' (row 2) is more than bigint holds"),
        (["1.5", "-0.10"], "numeric", "numbers; '-0.10' (row 2) has the most decimals, 2"),
        (["007", "12"], "text", "'007' (row 1) would not stay as it is as a number"),
        (["+7", "12"], "text", "'+7' (row 1) would not stay as it is as a number"),
        (["1.50", "n/a", "2"], "text", "'n/a' (row 2) is no number, as most cells are"),
        (["1E5", "2"], "text", "'1E5' (row 1) is no number, as most cells are"),
        (["-0.0", "1.5"], "text", "'-0.0' (row 1) is no number, as most cells are"),
        (["1.234", "5.678"], "text", "'1.234' (row 1) may be 1.234 or 1234, and no cell shows which"),
        (["TRUE", "false"], "boolean", "each cell is true or false"),
        (["yes", "no"], "text", "texts of up to 3 characters, like 'yes' (row 1)"),
        (["0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a70"], "uuid", "each cell is a UUID"),
        (["2026-01-31"], "date", "each cell is a date like '2026-01-31' (row 1)"),
        (["2026-02-30", "2026-01-31"], "text", "'2026-02-30' (row 1) is no date, as most cells are"),
        (["01/02/2026", "03/04/2026"], "text",
         "'01/02/2026' (row 1) may be 2026-02-01 or 2026-01-02, and no cell shows which"),
        (["23:59", "08:00:01.5"], "time without time zone", "each cell is a time of day like '23:59' (row 1)"),
        (["2026-01-31T10:00Z", "2026-01-31 10:00:00+02"], "timestamp with time zone",
         "each cell is a time with its offset like '2026-01-31T10:00Z' (row 1)"),
        (["2026-01-31 10:00"], "timestamp without time zone",
         "each cell is a time without an offset like '2026-01-31 10:00' (row 1)"),
        (["2026-01-31T10:00", "2026-01-31T10:00Z"], "text", "'2026-01-31T10:00' (row 1) is no time, as most cells are"),
        (["2026-01-31T10:00:00.1234567"], "text", "texts of up to 27 characters, like '2026-01-31T10:00:00.1234567' (row 1)"),
        (["{}", "[1]"], "text", "texts of up to 3 characters, like '{}' (row 1)"),
        (["", ""], "text", "no cell has a value"),
        (["a\nb", "c"], "text", "texts of up to 3 characters, like 'a\\nb' (row 1)"),
    ],
)  # fmt: skip
def test_a_type_changes_no_cell(cells: list[str], type_: str, why: str) -> None:
    assert type_of(*cells) == (type_, why, {})


@pytest.mark.parametrize(
    ("cells", "type_", "why", "declared"),
    [
        (["1.234,50", "-7"], "numeric",
         "numbers; '1.234,50' (row 1) has the most decimals, 2; decimal: ',', thousands: '.'",
         {"decimal": ",", "thousands": "."}),
        (["1'234", "1"], "integer", "whole numbers from 1 to 1234; decimal: '.', thousands: '''",
         {"decimal": ".", "thousands": "'"}),
        (["1,234,567", "1"], "integer", "whole numbers from 1 to 1234567; decimal: '.', thousands: ','",
         {"decimal": ".", "thousands": ","}),
        (["31.12.2025", "01.02.2026"], "date",
         "each cell is a date like '31.12.2025' (row 1); date_format: DD.MM.YYYY", {"date_format": "DD.MM.YYYY"}),
        (["1/31/2026", "2/1/2026"], "date",
         "each cell is a date like '1/31/2026' (row 1); date_format: M/D/YYYY", {"date_format": "M/D/YYYY"}),
        (["8:15", "12:00"], "time without time zone",
         "each cell is a time of day like '8:15' (row 1); time_format: H:mm", {"time_format": "H:mm"}),
        (["31.12.2025 23:59"], "timestamp without time zone",
         "each cell is a time without an offset like '31.12.2025 23:59' (row 1); timestamp_format: DD.MM.YYYY HH:mm",
         {"timestamp_format": "DD.MM.YYYY HH:mm"}),
    ],
)  # fmt: skip
def test_a_notation_is_declared_if_there_is_no_other(
    cells: list[str], type_: str, why: str, declared: dict[str, str]
) -> None:
    assert type_of(*cells) == (type_, why, declared)


def types(new: NewTable) -> list[str]:
    return [str(column.column.type) for column in new.columns]


def test_numbers_of_a_file_have_the_notation_of_most_columns() -> None:
    new = of_cells(["1,5", "2"], ["1.234", "1"], ["1.234,5", "0"], ["1.5", "2.25"])
    assert types(new) == ["numeric", "integer", "numeric", "text"]
    assert new.table.upload_format.texts() == {"decimal": ",", "thousands": "."}


def test_dates_of_a_file_have_several_formats_unless_one_cell_would_have_two() -> None:
    new = of_cells(["31.12.2025"], ["2025-12-31"], ["31/01/2026"], ["01/31/2026"])
    assert types(new) == ["date", "date", "date", "date"]
    assert new.table.upload_format.date_formats == ("DD.MM.YYYY", "ISO", "DD/MM/YYYY", "MM/DD/YYYY")
    new = of_cells(["31/01/2026", "01/02/2026"], ["01/31/2026", "01/02/2026"])
    assert types(new) == ["date", "text"]


def test_a_column_without_an_empty_cell_is_not_null() -> None:
    new = of_cells(["x", "y", "z"], ["1", "", "3"], ["x", "  ", "z"])
    assert [(column.column.required, column.why_null) for column in new.columns] == [
        (True, "no cell is empty"),
        (False, "1 of 3 cells are empty"),
        (False, "1 of 3 cells are empty"),
    ]


@pytest.mark.parametrize(
    ("columns", "keys", "primary"),
    [
        ([["1", "2"], ["x", "y"], ["x", "x"]], [("a",), ("b",)], ("a",)),
        ([["1", "1", "2"], ["1", "2", "1"], ["x", "x", "x"]], [("a", "b")], ()),
        ([["1", "1", "2", "2"], ["x", "x", "x", "y"], ["1", "2", "1", "1"]], [("a", "b", "c")], ()),
        ([["1", ""], ["x", "x"]], [], ()),
        ([["1.5", "2.5"], ["true", "false"], ["2026-01-31", "2026-02-01"]], [], ()),
        ([["2026-01-31", "2026-01-31", "2026-02-01"], ["1", "2", "1"]], [("a", "b")], ()),
        ([["1"], ["x"]], [], ()),
        ([["x\u200b", "y"], ["x" * 201, "y"]], [], ()),
        ([["0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a70", "0190F4A2-7C1E-7D3A-9B5E-2F6C8D1E4A70"], ["x", "x"]], [], ()),
    ],
)  # fmt: skip
def test_keys_are_columns_that_are_complete_and_unique(
    columns: list[list[str]], keys: list[tuple[str, ...]], primary: tuple[str, ...]
) -> None:
    new = of_cells(*columns)
    assert ([*new.keys], new.table.primary_key) == (keys, primary)


def test_names_are_those_of_the_file_in_letters_and_underscores() -> None:
    new = proposed(b"Artikel-Nr.,First Name,first_name,Gr\xc3\xb6\xc3\x9fe (cm),orderNo,\nA,b,c,d,e,f\n")
    assert new.table.column_names == ("artikel_nr", "first_name", "first_name_2", "größe_cm", "order_no")
    assert new.undecided == (UNNAMED,)
    rows, failed = read(
        b"Artikel-Nr.,First Name,first_name,Gr\xc3\xb6\xc3\x9fe (cm),orderNo,\nA,b,c,d,e,f\n",
        new.table,
        NOTHING_DECLARED,
    )
    assert (rows, failed) == ([("A", "b", "c", "d", "e")], [])


def test_names_that_are_declared_stay() -> None:
    declared = UploadFormat(columns=(("Nr.", "order_no"), ("Notiz", "-"), ("Ort", "city")))
    new = proposed(b"Nr.,Notiz,x\n1,2,3\n", declared=declared)
    assert new.table.column_names == ("order_no", "x")
    assert new.table.upload_format.columns == (("Nr.", "order_no"), ("Notiz", "-"))


def test_a_column_of_a_sheet_without_a_name_is_left_out() -> None:
    new = proposed(workbook([["a", None, None, "b"], [1, 2, 3, 4], [2, 3, 4, 5]]), "t.xlsx")
    assert new.table.column_names == ("a", "b")
    assert new.undecided == (UNNAMED,)


def test_values_that_a_workbook_stores_have_no_notation() -> None:
    rows = [["n", "day", "mixed"], [1.234, date(2026, 1, 31), 1.5], [5.678, date(2026, 2, 1), "2,5"]]
    new = proposed(workbook(rows), "t.xlsx")
    assert types(new) == ["numeric", "date", "text"]
    assert new.columns[2].why_type == "some cells are stored as numbers or times, others as text"


def test_a_file_without_a_header_is_declared_so() -> None:
    new = proposed(b"1,2026-01-31,x\n2,2026-02-01,y\n")
    assert (new.table.column_names, new.table.upload_format) == (
        ("column_1", "column_2", "column_3"),
        UploadFormat(no_header=True),
    )


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(FileError, match="the header names 'a' twice"):
        proposed(b"a,a\n1,2\n")


def test_rows_that_an_import_would_reject_are_said() -> None:
    new = proposed(b"a,b\n1,2\n3\n\xff,4\n")
    assert new.rows == 2
    assert new.undecided == (
        "row 3 is not UTF-8, and no cell shows its code page: 'ÿ' in cp1252 is 'я' in cp1251: give --encoding",
        "an import would reject 2 of 3 rows; row 2: has 1 cell, expected 2",
    )


def test_the_files_have_the_evidence_as_comments() -> None:
    new = proposed(b"sku;price;a b\nA-1;1,50;--\nA-2;2;\n")
    text = declaration(new)
    assert read_table(text, "items.yaml") == new.table
    assert text.splitlines() == [
        "# yaml-language-server: $schema=../table.schema.json",
        "# Proposed from t.csv, 2 rows.",
        "schema: shop",
        "name: items",
        "columns:",
        "  sku: {type: text, required: true}  # texts of up to 3 characters, like 'A-1' (row 1); no cell is empty",
        "  price: {type: numeric, required: true}  # numbers; '1,50' (row 1) has the most decimals, 2; decimal: ','; "
        "no cell is empty",
        "  a_b: {type: text}  # texts of up to 2 characters, like '--' (row 1); 1 of 2 cells are empty",
        "primary_key: [sku]  # complete and unique in 2 rows",
        "upload_format:",
        '  decimal: ","',
    ]
    assert create_table(new).splitlines() == [
        "-- Proposed from t.csv, 2 rows.",
        'CREATE TABLE "shop"."items" (',
        "    \"sku\" text NOT NULL,  -- texts of up to 3 characters, like 'A-1' (row 1); no cell is empty",
        "    \"price\" numeric NOT NULL,  -- numbers; '1,50' (row 1) has the most decimals, 2; decimal: ','; no cell is empty",
        "    \"a_b\" text,  -- texts of up to 2 characters, like '--' (row 1); 1 of 2 cells are empty",
        '    PRIMARY KEY ("sku")  -- complete and unique in 2 rows',
        ");",
    ]


def test_further_keys_are_comments_that_only_need_their_sign_removed() -> None:
    text = (
        declaration(of_cells(["1", "2"], ["x", "y"]))
        .replace("# unique_keys:", "unique_keys:")
        .replace("#   -", "  -")
    )
    assert [*map(str, read_table(text, "items.yaml").keys)] == ["a", "b"]
    text = declaration(of_cells(["1", "1"], ["x", "y"], ["x", "x"]))
    assert "primary_key: [b]" in text


CELLS = st.sampled_from(
    ["", "0", "1", "-1", "007", "12345678901234567890", "1.5", "-0.10", "0.123", "1.234", "1,5", "1.234,5", "1,234.5",
     "1e5", "NaN", "true", "FALSE", "no", "2026-01-31", "31.12.2025", "01/02/2026", "13/02/2026", "10:00", "8:15",
     "2026-01-31T10:00", "2026-01-31T10:00+02:00", "x", " 1", "ä;\n\"b\"", "- # :"]
)  # fmt: skip
DATES = {"DD.MM.YYYY": "%d.%m.%Y", "DD/MM/YYYY": "%d/%m/%Y", "MM/DD/YYYY": "%m/%d/%Y", "ISO": "%Y-%m-%d"}


def written(value: Any, type_: str, cell: str, format_: UploadFormat) -> str:
    """Return the cell as it was in the file, if the value still tells it."""
    if value is None:
        return ""
    match type_:
        case "boolean":
            stays = str(value).lower() == cell.lower()
        case "integer" | "bigint" | "numeric":
            stays = str(value) == cell.replace(format_.thousands or "", "").replace(
                format_.decimal or ".", "."
            )
        case "date":
            stays = cell in [value.strftime(DATES[name]) for name in format_.date_formats or ("ISO",)]
        case "time without time zone":
            stays = time.fromisoformat(value) == time.fromisoformat(cell.rjust(5, "0"))
        case "timestamp with time zone" | "timestamp without time zone":
            stays = value == datetime.fromisoformat(cell)
        case _:
            stays = value == cell
    return cell if stays else repr(value)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=6))
def test_every_cell_stays_what_it_is(rows: list[tuple[str, ...]]) -> None:
    columns = [list(column) for column in zip(*rows, strict=True)]
    new = of_cells(*columns, [f"row {number}" for number in range(len(rows))])
    assert new.undecided == ()
    out = io.StringIO()
    file = csv.writer(out, delimiter=";", quoting=csv.QUOTE_ALL)
    file.writerows([new.table.column_names, *((*row, f"row {number}") for number, row in enumerate(rows))])
    found, failed = read(out.getvalue().encode(), new.table, NOTHING_DECLARED)
    assert failed == []
    format_ = new.table.upload_format
    assert [
        tuple(written(*cell, format_) for cell in zip(row, types(new)[:3], cells, strict=True))
        for row, cells in zip([row[:3] for row in found], rows, strict=True)
    ] == rows
