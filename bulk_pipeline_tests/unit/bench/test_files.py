"""The files of a workload, and the script for psql."""

import csv
import io
from fractions import Fraction
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bulk_pipeline import tables
from bulk_pipeline.bench import lower_bound
from bulk_pipeline.bench.choices import FileFormat, LoadMode
from bulk_pipeline.bench.files import write_good, write_upload
from bulk_pipeline.bench.workload import Workload
from bulk_pipeline.schema import Mode
from bulk_pipeline.stages.parse.upload import open_upload
from bulk_pipeline.stages.validate import validate


def test_the_floor_gets_the_bytes_of_a_clean_file_of_customers(tmp_path: Path) -> None:
    workload = Workload(table="customers", rows=500)
    upload, _ = write_upload(workload, tmp_path)
    assert write_good(workload.sample, tmp_path / "good.csv").read_bytes() == upload.read_bytes()


@pytest.mark.parametrize("table", tables.names())
def test_the_floor_gets_the_good_rows_only(tmp_path: Path, table: str) -> None:
    sample = Workload(table=table, rows=500, bad=Fraction(1, 5)).sample
    rows = records(write_good(sample, tmp_path / "good.csv"))
    assert len(rows) == sample.good_rows == 400
    assert list(rows[0]) == [column.name for column in sample.columns]


def test_the_floor_gets_arrays_as_postgres_writes_them(tmp_path: Path) -> None:
    sample = Workload(table="articles", rows=200).sample
    tags = {row["tags"] for row in records(write_good(sample, tmp_path / "good.csv"))}
    assert {"", "{}"} < tags
    assert all(tag.startswith('{"') and tag.endswith('"}') for tag in tags - {"", "{}"})


@pytest.mark.parametrize("table", tables.names())
def test_parquet_holds_typed_rows_that_are_all_good(tmp_path: Path, table: str) -> None:
    workload = Workload(table=table, rows=300, format=FileFormat.PARQUET)
    upload, expected = write_upload(workload, tmp_path)
    assert pq.read_metadata(upload).num_rows == expected.inserted == 300
    result = [
        validate(chunk.records, chunk.failures, workload.declared, Mode.INSERT_ONLY).failures.num_rows
        for chunk in open_upload(io.BytesIO(upload.read_bytes()), upload.name, table=workload.declared)
    ]
    assert set(result) == {0}
    assert [file.name for file in tmp_path.iterdir()] == [upload.name]


@pytest.mark.parametrize(
    ("table", "mode", "ending"),
    [
        ("customers", Mode.INSERT_ONLY, "ON CONFLICT DO NOTHING;\nCOMMIT;\n"),
        (
            "customers",
            Mode.UPSERT,
            "ON CONFLICT (email) DO UPDATE SET city = EXCLUDED.city, updated_at = now();\nCOMMIT;\n",
        ),
    ],
)
def test_the_floor_merges_by_the_key_the_file_brings(table: str, mode: Mode, ending: str) -> None:
    script = lower_bound.merge("bench.t", tables.get(table), ["email", "city"], Path("good.csv"), mode)
    assert script.startswith("BEGIN;\nCREATE TEMPORARY TABLE staging ON COMMIT DROP AS SELECT email, city")
    assert script.endswith(ending)


def test_rows_that_are_to_be_changed_are_there_with_other_texts(tmp_path: Path) -> None:
    workload = Workload(table="users", rows=50, mode=LoadMode.UPSERT_EXISTING)
    before, after = (
        records(write_good(sample, tmp_path / "rows.csv")) for sample in (workload.base, workload.sample)
    )
    assert [row["id"] for row in before] == [row["id"] for row in after]
    assert all(old["name"] != new["name"] for old, new in zip(before, after, strict=True))


def records(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
