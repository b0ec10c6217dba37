"""Tables that are proposed for files: what `propose` writes is applied as it is, and the file imports without a loss."""

import io
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from bulk_pipeline import tables
from bulk_pipeline.cli.app import app
from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.tables import registry
from bulk_pipeline_tests.rigs.pipeline import Pipeline

BIG = Decimal("12345678901234567890123")
SEEN = datetime(2026, 1, 31, 9, tzinfo=UTC)


def sheet(*rows: list[Any]) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    assert book.active is not None
    for row in rows:
        book.active.append(row)
    book.save(out)
    return out.getvalue()


def columns(**values: pa.Array) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.table(values), out)
    return out.getvalue()


FILES: dict[str, tuple[bytes, list[tuple[Any, ...]]]] = {
    "commas.csv": (
        b'No,ZIP,Big,Price,Day,Seen,At,Paid,Note\n'
        b'1,01067,12345678901234567890123,1.50,2026-01-31,2026-01-31T10:00:00+01:00,08:15:00.5,true,"a ""b"",\nc"\n'
        b"2,80331,1,-0.10,2026-02-01,2026-01-31T09:00:00Z,23:59,false,\n",
        [
            (1, "01067", BIG, Decimal("1.50"), date(2026, 1, 31), SEEN, time(8, 15, 0, 500000), True, 'a "b",\nc'),
            (2, "80331", Decimal(1), Decimal("-0.10"), date(2026, 2, 1), SEEN, time(23, 59), False, None),
        ],
    ),
    "german.csv": (
        "\ufeffBestell-Nr.;Größe;Menge;Angelegt am;Zeit\r\n"
        "A-1;1.234,50;1.000;31.12.2025;31.12.2025 23:59\r\nA-2;;2;01.02.2026;01.02.2026 00:00\r\n".encode(),
        [
            ("A-1", Decimal("1234.50"), 1000, date(2025, 12, 31), datetime(2025, 12, 31, 23, 59)),
            ("A-2", None, 2, date(2026, 2, 1), datetime(2026, 2, 1)),
        ],
    ),
    "cp1252.csv": (
        "Straße,Ort\nHauptstr. 1,Köln\n,Zürich\n".encode("cp1252"),
        [("Hauptstr. 1", "Köln"), (None, "Zürich")],
    ),
    "no_header.tsv": (b"1\t2026-01-31\tx\n2\t2026-02-01\ty\n",
                      [(1, date(2026, 1, 31), "x"), (2, date(2026, 2, 1), "y")]),
    "ambiguous.psv": (b"n|day|code\n1.234|01/02/2026|1E5\n5.678|03/04/2026|007\n",
                      [("1.234", "01/02/2026", "1E5"), ("5.678", "03/04/2026", "007")]),
    "book.xlsx": (
        sheet(
            ["No", "ZIP", "Price", "Day", "Paid", None, "Mixed"],
            [1, "01067", 1.234, date(2026, 1, 31), True, None, 1.5],
            [2, "80331", 0.1, date(2026, 2, 1), False, None, "2,5"],
        ),
        [
            (1, "01067", Decimal("1.234"), date(2026, 1, 31), True, "1.5"),
            (2, "80331", Decimal("0.1"), date(2026, 2, 1), False, "2,5"),
        ],
    ),
    "lines.ndjson": (
        b'{"_id": 7, "zip": "01067", "n": 1.50, "tags": ["a"], "at": "2026-01-31T09:00:00Z"}\n'
        b'{"_id": 8, "zip": "1", "n": 2, "tags": {"x": [1, null]}, "late": true}\n',
        [
            (7, "01067", Decimal("1.50"), ["a"], SEEN, None),
            (8, "1", Decimal(2), {"x": [1, None]}, None, True),
        ],
    ),
    "types.parquet": (
        columns(
            id=pa.array([1, 2**40]),
            price=pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
            ratio=pa.array([1e-7, 2.5]),
            code=pa.array(["007", "8"]),
            day=pa.array([date(2026, 1, 31), date(2026, 2, 1)]),
            seen=pa.array([SEEN, SEEN]),
            paid=pa.array([True, False]),
            tags=pa.array([["a", "b"], []]),
        ),
        [
            (1, Decimal("1.50"), Decimal("0.0000001"), "007", date(2026, 1, 31), SEEN, True, ["a", "b"]),
            (2**40, None, Decimal("2.5"), "8", date(2026, 2, 1), SEEN, False, []),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_proposed_table_takes_its_file_as_it_is(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    content, expected = FILES[name]
    monkeypatch.setattr(registry, "_served", None)
    (tmp_path / "tables").mkdir()
    (tmp_path / name).write_bytes(content)
    tables.serve(tmp_path)
    words = ["propose", str(tmp_path / name), "--new-table", "shop.items", "--write"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == (3 if name == "book.xlsx" else 0), done.output  # a column of it has no name
    with psycopg.connect(pipeline.stores.database_url) as connection:
        connection.execute("CREATE SCHEMA shop")
        connection.execute((tmp_path / "shop.items.sql").read_bytes())
    assert tables.serve(tmp_path).problems() == ()
    job = pipeline.load(f"shop.items/{name}", content)
    assert (job.status, job.error, job.failure_counts) == (Status.COMPLETED, None, {})
    assert pipeline.query("SELECT * FROM shop.items ORDER BY 1") == expected
