"""Templates: the names, formats, drop-downs and notes that they have, and rows that are filled in and read."""

import io
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from bulk_pipeline import tables
from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema import NOTHING_DECLARED, Table
from bulk_pipeline.schema.table_files import read_table
from bulk_pipeline.stages.parse import open_upload
from bulk_pipeline.stages.templates import columns, csv_template, header, workbook_template
from bulk_pipeline_tests.unit.stages.validate.test_notation import read

ORDERS = """\
name: orders
columns:
  id: {type: bigint, identity: by default}
  order_no:
    type: text
    required: true
    max_length: 20
    pattern: '[A-Z]-\\d+'
    pattern_name: an order number like A-1234
  state: {type: text, required: true, choices: [open, paid, sent]}
  paid: {type: boolean}
  carrier: {type: text, choices: ["Post, Zurich", DHL]}
  shelf: {type: smallint}
  pieces: {type: integer, required: true}
  ean: {type: bigint}
  price: {type: "numeric(12,2)"}
  serial: {type: "numeric(30,0)"}
  weight: {type: double precision}
  ordered_on: {type: date}
  call_at: {type: time}
  paid_at: {type: timestamptz}
  created_at: {type: timestamptz, generated: default}
  changed_at: {type: timestamptz}
  total: {type: numeric, generated: always}
primary_key: [id]
unique_keys: [[order_no]]
default_mode: upsert
touch: [changed_at]
upload_format:
  columns: {Nr: order_no, Bestellnr.: order_no, Notiz: '-', Stück: pieces}
  sheet: Aufträge
  true_words: [ja, j]
  false_words: [nein]
  date_format: DD.MM.YYYY
  time_zone: Europe/Berlin
"""
NAMES = [
    "Nr", "state", "paid", "carrier", "shelf", "Stück", "ean", "price", "serial", "weight", "ordered_on", "call_at",
    "paid_at",
]  # fmt: skip


def orders(text: str = ORDERS) -> Table:
    return read_table(text, "orders.yaml")


def sheet_of(table: Table) -> Worksheet:
    book = openpyxl.load_workbook(io.BytesIO(workbook_template(table)))
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    return sheet


def test_the_header_has_the_names_of_the_upload_format_without_columns_that_the_database_makes() -> None:
    assert csv_template(orders()).decode("utf-8-sig") == ",".join(NAMES) + "\n"
    sheet = sheet_of(orders())
    assert [[cell.value for cell in row] for row in sheet.rows] == [NAMES]
    assert (sheet.title, sheet.freeze_panes) == ("Aufträge", "A2")


def test_a_column_with_a_default_that_people_may_fill_in_is_optional() -> None:
    """Unlike ids and times that the database makes."""
    table = orders(
        "name: orders\ncolumns:\n"
        "  code: {type: text, generated: default}\n"
        "  token: {type: uuid, generated: default}\n"
        "  name: {type: text, required: true}\n"
        "  status: {type: shop.status, generated: default, choices: [new, paid]}\n"
        "  due_on: {type: date, generated: default}\n"
        "  sent_at: {type: timestamp, generated: default}\n"
        "  changed_on: {type: date, generated: default}\n"
        "primary_key: [code]\ntouch: [changed_on]\n"
    )
    assert header(table) == ("name", "status", "due_on")
    sheet = sheet_of(table)
    assert [cell.value for cell in sheet[1] if cell.font.bold] == ["name"]
    (rule,) = sheet.data_validations.dataValidation
    assert (str(rule.sqref), rule.formula1) == ("B2:B1048576", '"new,paid"')
    assert [cell.comment.text for cell in sheet[1] if cell.comment][1].endswith(
        "\nset by the database when empty"
    )


def test_names_of_required_columns_are_bold() -> None:
    assert [cell.value for cell in sheet_of(orders())[1] if cell.font.bold] == ["Nr", "state", "Stück"]


def test_columns_have_the_format_of_their_type() -> None:
    sheet = sheet_of(orders())
    formats = [
        sheet.column_dimensions[get_column_letter(at)].number_format for at in range(1, len(NAMES) + 1)
    ]
    assert dict(zip(NAMES, formats, strict=True)) == {
        **dict.fromkeys(["Nr", "state", "paid", "carrier", "ean", "serial"], "@"),
        **dict.fromkeys(["shelf", "Stück"], "0"),
        "price": "0.00",
        "weight": "General",
        "ordered_on": "yyyy-mm-dd",
        "call_at": "hh:mm:ss",
        "paid_at": "yyyy-mm-dd hh:mm:ss",
    }


def test_choices_are_drop_downs_of_all_rows() -> None:
    rules = {str(rule.sqref): rule for rule in sheet_of(orders()).data_validations.dataValidation}
    assert {at: (rule.type, rule.formula1, rule.showErrorMessage) for at, rule in rules.items()} == {
        "B2:B1048576": ("list", '"open,paid,sent"', True),
        "C2:C1048576": ("list", '"ja,nein"', False),
        "D2:D1048576": ("list", "_choices!$D$1:$D$2", True),
    }
    choices = openpyxl.load_workbook(io.BytesIO(workbook_template(orders())))["_choices"]
    assert [cell.value for cell in choices["D"]] == ["Post, Zurich", "DHL"]
    assert choices.sheet_state == "hidden"


def test_rules_are_notes_on_the_names() -> None:
    notes = {str(cell.value): cell.comment.text.split("\n") for cell in sheet_of(orders())[1] if cell.comment}
    assert list(notes) == NAMES
    assert notes["Nr"] == ["text", "required", "an order number like A-1234", "at most 20 characters"]
    assert notes["price"] == ["number with up to 2 decimals"]
    assert notes["paid_at"] == ["date and time", "in the time zone Europe/Berlin"]
    article = {
        str(cell.value): cell.comment.text for cell in sheet_of(tables.get("articles"))[1] if cell.comment
    }
    assert "id of users" in article["author_id"]
    assert "a draft has no published_at" in article["status"]


def test_a_filled_in_template_is_read_as_it_is() -> None:
    book = openpyxl.load_workbook(io.BytesIO(workbook_template(orders())))
    filled = [
        "A-7", "open", "ja", "DHL", 3, 2, "00012345678901234", 12.5, "123456789012345678901234567890", 0.25,
        date(2026, 1, 31), time(8, 15), datetime(2026, 7, 1, 12, 0),
    ]  # fmt: skip
    for at, value in enumerate(filled, 1):
        book["Aufträge"].cell(2, at, value)
    saved = io.BytesIO()
    book.save(saved)
    rows, failed = read(saved.getvalue(), orders(), NOTHING_DECLARED, "orders.xlsx")
    assert failed == []
    assert rows == [
        ("A-7", "open", True, "DHL", 3, 2, 12345678901234, Decimal("12.50"), Decimal(filled[8]), 0.25,
         date(2026, 1, 31), "08:15:00", datetime(2026, 7, 1, 10, 0, tzinfo=UTC))
    ]  # fmt: skip


@pytest.mark.parametrize(
    "table", [orders(), *map(tables.get, ("users", "customers", "articles", "comments"))]
)
def test_a_template_that_nobody_filled_in_has_no_rows(table: Table) -> None:
    for name, content in (("t.csv", csv_template(table)), ("t.xlsx", workbook_template(table))):
        upload = open_upload(io.BytesIO(content), name, table=table, mode=table.default_mode)
        assert [chunk.records.num_rows for chunk in upload] == [0]
        assert upload.columns == tuple(column.name for column in columns(table))


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"default_mode: upsert": "default_mode: insert_only"}, NAMES),
        ({"unique_keys: [[order_no]]\n": ""}, ["id", *NAMES]),
        ({"default_mode: upsert": "default_mode: insert_only", "unique_keys: [[order_no]]\n": ""}, NAMES),
        ({"by default}": "by default, required_in: [upsert]}"}, ["id", *NAMES]),
    ],
)
def test_made_columns_are_there_if_rows_cannot_be_known_without_them(
    changes: dict[str, str], names: list[str]
) -> None:
    text = ORDERS
    for old, new in changes.items():
        text = text.replace(old, new)
    assert list(header(orders(text))) == names


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("delimiter: ;", b'id;"a;b";c\n'),
        ("delimiter: '||'\n  quote: none", b"id||a;b||c\n"),
        ('delimiter: ;\n  quote: "\'"', b"id;'a;b';c\n"),
        ("header_row: 3", b"\n\nid,a;b,c\n"),
    ],
)
def test_a_template_is_in_the_format_of_the_table_s_files(declared: str, expected: bytes) -> None:
    text = f"name: t\ncolumns:\n  id: {{type: integer}}\n  'a;b': {{}}\n  c: {{}}\nupload_format:\n  {declared}\n"
    table = orders(text)
    assert csv_template(table) == expected
    assert [chunk.records.num_rows for chunk in open_upload(io.BytesIO(expected), "t.csv", table=table)] == [
        0
    ]
    rows, failed = read(
        expected + expected.strip(b"\n").replace(b"id", b"1") + b"\n", table, NOTHING_DECLARED
    )
    assert (rows, failed) == ([(1, "a;b", "c")], [])
    upload = open_upload(io.BytesIO(workbook_template(table)), "t.xlsx", table=table)
    assert ([chunk.records.num_rows for chunk in upload], upload.columns) == ([0], ("id", "a;b", "c"))


def test_a_table_without_headers_has_no_template() -> None:
    with pytest.raises(DeclarationError, match="orders declares header: none"):
        csv_template(orders(ORDERS.replace("  sheet:", "  header: none\n  sheet:")))


@pytest.mark.parametrize(
    ("name", "title"), [("history", "rows"), ("a" * 40, "a" * 31)], ids=["kept by Excel", "too long"]
)
def test_a_sheet_has_a_name_that_excel_takes(name: str, title: str) -> None:
    declared: dict[str, Any] = {"name": name, "columns": tables.get("users").columns}
    assert sheet_of(Table(**declared)).title == title
