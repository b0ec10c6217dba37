"""CHECK constraints as adopted limits and patterns: rows that break them are rejected with a sentence, the others loaded."""

import csv
import io
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bulk_pipeline import tables
from bulk_pipeline.pipeline.adoption import adopt
from bulk_pipeline.postgres.catalogue import tables_named
from bulk_pipeline.tables import registry
from bulk_pipeline_tests.rigs.pipeline import Pipeline

PRICES = """
CREATE TABLE public.prices (
    id     integer PRIMARY KEY CHECK (id > 0),
    code   text CHECK (code ~ '^[A-Z]{2}-[0-9]+$'),
    amount numeric(12, 2) CHECK (amount >= 0 AND amount < 1000),
    rate   numeric CHECK (rate BETWEEN 0 AND 0.5),
    since  date CHECK (since >= '2020-01-01'),
    level  integer CHECK (level > 0 OR level = -9)
)
"""
NAMES = ("id", "code", "amount", "rate", "since", "level")
ROWS = [
    (1, "AB-1", Decimal("0.00"), "0.5", date(2020, 1, 1), -9),
    (2, "AB-2", Decimal("-3.25"), "0.1", date(2020, 1, 2), 1),
    (3, "AB-3", Decimal("999.99"), None, date(2026, 1, 1), 1),
    (0, "ab-4", Decimal("1000.25"), "0.50000000000000000001", date(2019, 12, 31), 1),
    (5, None, None, "0", None, -1),
    (6, "AB-6", Decimal("1.50"), "0.25", None, None),
]
FAILED = [
    (2, "amount", "out_of_range", "amount '-3.25' is less than 0"),
    (4, "id", "out_of_range", "id '0' is not more than 0"),
    (4, "code", "bad_format", "code 'ab-4' is not a text that matches [A-Z]{2}-[0-9]+"),
    (4, "amount", "out_of_range", "amount '1000.25' is not less than 1000"),
    (4, "rate", "out_of_range", "rate '0.50000000000000000001' is more than 0.5"),
    (4, "since", "out_of_range", "since '2019-12-31' is before 2020-01-01"),
]


@pytest.fixture
def prices(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A pipeline of a project that has adopted the table."""
    monkeypatch.setattr(registry, "_served", None)
    (tmp_path / "tables").mkdir()
    with psycopg.connect(pipeline.stores.database_url) as connection:
        connection.execute(PRICES)
        (found,) = tables_named(connection, [("public", "prices")], connection.info.user)
        text = adopt(found, connection.info.user).text
    assert text is not None
    (tmp_path / "tables" / "prices.yaml").write_text(text)
    assert tables.serve(tmp_path).problems() == ()
    return pipeline


def as_csv() -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows([NAMES, *ROWS])
    return out.getvalue().encode()


def as_parquet() -> bytes:
    out = io.BytesIO()
    columns = zip(*ROWS, strict=True)
    pq.write_table(pa.table(dict(zip(NAMES, map(pa.array, columns), strict=True))), out)
    return out.getvalue()


@pytest.mark.parametrize(("suffix", "content"), [("csv", as_csv()), ("parquet", as_parquet())])
def test_a_row_outside_a_limit_is_named_and_its_neighbours_are_loaded(
    prices: Pipeline, suffix: str, content: bytes
) -> None:
    job = prices.load(f"prices/insert_only/prices.{suffix}", content)
    errors = map(json.loads, prices.report(job, "errors.ndjson").splitlines())
    failed = [(row["row"], row["column"], row["code"], row["message"]) for row in errors]
    assert failed[:-1] == FAILED
    assert failed[-1][:3] == (5, None, "constraint")
    assert prices.query("SELECT * FROM public.prices ORDER BY id") == [
        (1, "AB-1", Decimal("0.00"), Decimal("0.5"), date(2020, 1, 1), -9),
        (3, "AB-3", Decimal("999.99"), None, date(2026, 1, 1), 1),
        (6, "AB-6", Decimal("1.50"), Decimal("0.25"), None, None),
    ]
