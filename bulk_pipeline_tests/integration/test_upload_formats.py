"""The declared format of a table's uploads, from the file to the table."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from bulk_pipeline import tables
from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.tables import registry
from bulk_pipeline_tests.rigs.pipeline import Pipeline

ORDERS = """\
name: orders
columns:
  order_no: {type: text, required: true}
  amount: {type: "numeric(12,2)"}
  paid: {type: boolean}
  ordered_on: {type: date}
  shipped_at: {type: timestamp with time zone}
primary_key: [order_no]
upload_format:
  null_words: [n/a]
  true_words: [ja]
  false_words: [nein]
  decimal: ","
  thousands: "."
  date_format: DD.MM.YYYY
  timestamp_format: DD.MM.YYYY HH:mm
  time_zone: Europe/Berlin
profiles:
  acme:
    true_words: ["yes"]
    decimal: "."
    thousands: none
    date_format: MM/DD/YYYY
    timestamp_format: ISO
  till:
    delimiter: "!"
    quote: none
    header_row: 3
"""
CREATE = """
CREATE TABLE public.orders (
    order_no text PRIMARY KEY, amount numeric(12,2), paid boolean, ordered_on date, shipped_at timestamptz
)"""


@pytest.fixture
def orders(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A pipeline that serves the table of a project."""
    monkeypatch.setattr(registry, "_served", None)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "orders.yaml").write_text(ORDERS)
    with psycopg.connect(pipeline.stores.database_url) as connection:
        connection.execute(CREATE)
    assert tables.serve(tmp_path).problems() == ()
    return pipeline


def test_cells_are_read_as_table_and_upload_declare_and_others_rejected(orders: Pipeline) -> None:
    german = (
        "order_no;amount;paid;ordered_on;shipped_at\n"
        "A-1;1.234,50;ja;01.02.2026;01.07.2026 12:00\n"
        "A-2;1234.50;yes;2026-02-01;29.03.2026 02:30\n"
        "A-3;n/a;nein;n/a;n/a\n"
    )
    english = "order_no,amount,paid,ordered_on,shipped_at\nB-1,1234.50,yes,02/28/2026,2026-07-01T12:00:00Z\n"

    of_table = orders.load("orders/german.csv", german.encode())
    in_metadata = {"decimal": ".", "thousands": "none", "date-format": "MM/DD/YYYY", "profile": "acme"}
    of_upload = orders.load("orders/english.csv", english.encode(), **in_metadata)
    of_profile = orders.load("orders/@acme/upsert/english.csv", english.replace("1234", "5678").encode())
    unknown = orders.load("orders/@acne/english.csv", english.encode())

    assert (of_profile.status, unknown.status) == (Status.COMPLETED, Status.FAILED)
    assert unknown.error == "orders has no profile 'acne': expected one of acme, till, export"
    assert (of_table.status, of_upload.status) == (Status.COMPLETED_WITH_ERRORS, Status.COMPLETED)
    assert orders.query("SELECT * FROM public.orders ORDER BY order_no") == [
        ("A-1", Decimal("1234.50"), True, date(2026, 2, 1), datetime(2026, 7, 1, 10, tzinfo=UTC)),
        ("A-3", None, False, None, None),
        ("B-1", Decimal("5678.50"), True, date(2026, 2, 28), datetime(2026, 7, 1, 12, tzinfo=UTC)),
    ]
    failures = [json.loads(line) for line in orders.report(of_table, "errors.ndjson").splitlines()]
    assert [(f["row"], f["line"], f["column"], f["code"], f["value"]) for f in failures] == [
        (2, 3, "amount", "bad_type", "1234.50"),
        (2, 3, "paid", "bad_type", "yes"),
        (2, 3, "ordered_on", "bad_type", "2026-02-01"),
        (2, 3, "shipped_at", "bad_type", "29.03.2026 02:30"),
    ]
    again = orders.report(of_table, "rejected.csv").replace(b"1234.50;yes;2026-02-01", b"1,5;ja;02.02.2026")
    fixed = orders.load("orders/fixed.csv", again.replace(b"02:30", b"03:30"))
    assert orders.counts(fixed).inserted == 1
    assert orders.query("SELECT amount, shipped_at FROM public.orders WHERE order_no = 'A-2'") == [
        (Decimal("1.50"), datetime(2026, 3, 29, 1, 30, tzinfo=UTC))
    ]


def test_the_rejected_rows_of_a_file_with_declared_titles_are_fixed_and_dropped_again(
    orders: Pipeline,
) -> None:
    text = 'order_no!amount\nno record!1,5\norder_no!amount\nC-1!1,5\n"C-2"!much\n'

    dropped = orders.load("orders/@till/sales.csv", text.encode())
    rejected = orders.report(dropped, "rejected.csv")
    fixed = orders.load("orders/@till/fixed.csv", rejected.replace(b"much", b"2,5"))

    assert (dropped.status, fixed.status) == (Status.COMPLETED_WITH_ERRORS, Status.COMPLETED)
    assert orders.query("SELECT order_no, amount FROM public.orders ORDER BY amount") == [
        ("C-1", Decimal("1.50")),
        ('"C-2"', Decimal("2.50")),
    ]
