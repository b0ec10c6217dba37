"""The workload of a load, and its expected result."""

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pytest

from bulk_pipeline import tables
from bulk_pipeline.bench.choices import FileFormat, LoadMode, project_of
from bulk_pipeline.bench.files import write_upload
from bulk_pipeline.bench.outcome import Outcome, check, check_content, outcome
from bulk_pipeline.bench.workload import Workload
from bulk_pipeline.errors import WrongResultError
from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.samples.checksum import checksum
from bulk_pipeline.schema import NOTHING_DECLARED, Key, Mode, Table
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline.stages.parse.upload import open_upload
from bulk_pipeline.stages.validate import validate
from bulk_pipeline.tables import registry

BAD = Fraction(1, 5)


def wanted(mode: LoadMode, bad: Fraction = BAD, table: str = "users") -> Outcome:
    workload = Workload(table=table, rows=1000, mode=mode, bad=bad)
    return outcome(workload, workload.sample.write(BytesIO())[mode.mode])


@pytest.mark.parametrize("table", tables.names())
@pytest.mark.parametrize("mode", LoadMode)
def test_every_row_is_accounted_for(mode: LoadMode, table: str) -> None:
    counts = wanted(mode, table=table).counts
    assert (counts.total, counts.unprocessed) == (1000, 0)


@pytest.mark.parametrize(
    ("mode", "counts"),
    [
        (LoadMode.INSERT_ONLY, Counts(total=1000, inserted=1000)),
        (LoadMode.UPSERT, Counts(total=1000, inserted=1000)),
        (LoadMode.UPSERT_EXISTING, Counts(total=1000, updated=1000)),
        (LoadMode.REIMPORT, Counts(total=1000, rejected=1000)),
        (LoadMode.REIMPORT_UPSERT, Counts(total=1000, unchanged=1000)),
    ],
)
def test_clean_rows_all_have_the_same_fate(mode: LoadMode, counts: Counts) -> None:
    assert wanted(mode, Fraction(0)).counts == counts


def test_a_file_that_is_imported_again_has_its_old_failures_too() -> None:
    first, again = {**wanted(LoadMode.INSERT_ONLY).failures}, wanted(LoadMode.REIMPORT).failures
    repeated = first.pop("duplicate_in_file")
    assert repeated > 0
    assert again == {**first, "already_exists": 800 + repeated}


def test_children_get_a_tenth_as_many_parents_in_load_order() -> None:
    samples = Workload(table="comments", rows=5000).parent_samples()
    assert [(sample.table.name, sample.rows) for sample in samples] == [("users", 500), ("articles", 500)]
    assert Workload(table="customers", rows=5000).parent_samples() == []


def test_parquet_has_no_damaged_text() -> None:
    with pytest.raises(ValueError, match="Parquet"):
        Workload(table="users", rows=10, bad=BAD, format=FileFormat.PARQUET)


@pytest.mark.parametrize(
    ("change", "counts", "message"),
    [
        ({"status": Status.COMPLETED_WITH_ERRORS}, Counts(total=2, inserted=2), "must be completed"),
        ({"attempt": 2}, Counts(total=2, inserted=2), "attempt 2"),
        ({}, Counts(total=2, inserted=1, updated=1), "'updated': 1"),
        ({"failure_counts": {"required": 1}}, Counts(total=2, inserted=2), "required"),
    ],
)
def test_an_invalid_job_is_refused(change: dict[str, object], counts: Counts, message: str) -> None:
    right = Outcome(Counts(total=2, inserted=2), {})
    check(job(), right.counts, right)
    with pytest.raises(WrongResultError, match=message):
        check(replace(job(), **change), counts, right)  # pyright: ignore[reportArgumentType]  # fields by name


def test_a_table_with_another_content_is_refused() -> None:
    expected = Workload(table="users", rows=3).sample.write(BytesIO())[Mode.INSERT_ONLY]
    check_content("users", (3, expected.checksum), expected)
    with pytest.raises(WrongResultError, match="table users"):
        check_content("users", (3, expected.checksum + 1), expected)


def job() -> ImportJob:
    """Return a finished job."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    nothing = dict.fromkeys(
        ("idempotency_key", "archive_key", "claimed_at", "sha256", "first_job_id", "retry_of",
         "group_id", "run_id", "requested_at", "next_attempt_at", "cancel_requested_at", "batch_rows",
         "parser_version", "columns", "dialect", "total_rows", "error", "error_code", "started_at",
         "scope", "owner_id", "upload_name", "fingerprint", "request_id")
    )  # fmt: skip
    return ImportJob(
        id="1", table="users", mode=Mode.INSERT_ONLY, status=Status.COMPLETED, bucket="uploads", key="users/1.csv",
        etag="1", size_bytes=1, arrived_at=now, attempt=1, isolated=False, warnings=[], parents={}, failure_counts={},
        reports={}, upload_format=NOTHING_DECLARED, created_at=now, finished_at=now, updated_at=now, **nothing,
    )  # fmt: skip


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> Table:
    """The benchmark's own table, which this process serves."""
    monkeypatch.setattr(registry, "_served", None)
    tables.serve(project_of("orders"))
    return tables.get("orders")


def test_orders_have_the_types_and_the_key_that_the_sample_data_lacks(orders: Table) -> None:
    assert len(orders.columns) == 14
    assert orders.keys == (Key(("shop_id", "order_no")),)
    assert {str(column.type) for column in orders.columns} == {
        *("integer", "bigint", "text", "public.order_status", "numeric(12,2)"),
        *("date", "timestamp with time zone", "boolean", "jsonb", "text[]"),
    }
    assert project_of("users") is None


@pytest.mark.parametrize("format", [FileFormat.CSV, FileFormat.NDJSON, FileFormat.PARQUET])
def test_all_rows_of_orders_are_good(orders: Table, format: FileFormat, tmp_path: Path) -> None:
    workload = Workload(table="orders", rows=300, format=format)
    upload, expected = write_upload(workload, tmp_path)
    chunks = list(open_upload(BytesIO(upload.read_bytes()), upload.name, table=orders))
    checked = [validate(chunk.records, chunk.failures, orders, Mode.INSERT_ONLY) for chunk in chunks]
    rows = pa.concat_batches([part.rows for part in checked])

    assert [part.failures.num_rows for part in checked] == [0] * len(chunks)
    assert checksum(rows, orders.columns) == expected.checksum


def test_the_statement_that_creates_orders_names_its_columns_in_order(orders: Table) -> None:
    project = project_of("orders")
    assert project is not None
    body = (project / "orders.sql").read_text().partition("CREATE TABLE orders (")[2]
    words = [line.split()[0] for line in body.splitlines() if line.strip()]

    assert words == [*orders.column_names, "PRIMARY", ");"]
