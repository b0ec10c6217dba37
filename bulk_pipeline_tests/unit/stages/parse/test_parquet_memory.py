"""A small Parquet file whose rows become large is read in slices, in a bounded amount of memory."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from bulk_pipeline.limits import Limits
from bulk_pipeline_tests.unit.stages.parse.reading import opened

SCRIPT = """
import sys
from pathlib import Path
from bulk_pipeline import tables
from bulk_pipeline.errors import FileError
from bulk_pipeline.stages.parse import open_upload

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) >> 10

before, rows = peak(), 0
table = tables.get("customers") if sys.argv[2] == "customers" else None
try:
    with open(sys.argv[1], "rb") as file:
        for parsed in open_upload(file, "upload.parquet", table=table):
            rows += parsed.raw.num_rows
except FileError as error:  # the ratio of decoded to uploaded bytes, once 100 MB have been read
    assert error.code == "too_large", error
print(rows, peak() - before)
"""


def shared_text(rows: int) -> pa.Table:
    emails = [f"user{number}@example.com" for number in range(rows)]
    return pa.table({"email": emails, "last_name": pa.array(["x" * 60_000] * rows)})


def wide_names(columns: int, rows: int) -> pa.Table:
    nulls = pa.nulls(rows, pa.string())
    return pa.table({f"c{number}".ljust(200, "x"): nulls for number in range(columns)})


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("shared", 4096),
        ("names", 512),
        pytest.param("shared", 16_384, marks=pytest.mark.long),
        pytest.param("names", 8192, marks=pytest.mark.long),
    ],
)
def test_a_small_parquet_file_of_large_rows_takes_little_memory(tmp_path: Path, kind: str, rows: int) -> None:
    path = tmp_path / "upload.parquet"
    parquet.write_table(
        shared_text(rows) if kind == "shared" else wide_names(1500, rows), path, compression="zstd"
    )
    table = "customers" if kind == "shared" else ""
    command = [sys.executable, "-c", SCRIPT, str(path), table]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert int(found[1]) < 350


def test_slices_keep_rows_and_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "upload.parquet"
    emails = [f"user{number}@example.com" for number in range(10)]
    names = [None if number % 3 == 0 else "é" * 400 for number in range(10)]
    parquet.write_table(pa.table({"email": emails, "last_name": names}), path)
    chunks = list(opened(path.read_bytes(), "upload.parquet", limits=Limits(batch_bytes=2000)))
    assert len(chunks) == 3
    records = pa.Table.from_batches([chunk.records for chunk in chunks])
    assert records["email"].to_pylist() == emails
    assert records["last_name"].to_pylist() == names
    numbers = pa.Table.from_batches([chunk.raw for chunk in chunks]).column(0).to_pylist()
    assert numbers == list(range(1, 11))
