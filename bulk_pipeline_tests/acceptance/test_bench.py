"""`bulk-pipeline bench`, on the stack it starts. Results must be complete and right; times are not tested."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

STEPS = {"parse", "validate", "split", "load", "emit"}


def bench(*words: str) -> dict[str, Any]:
    """Return the document that `bulk-pipeline bench` prints."""
    command = [str(Path(sys.executable).with_name("bulk-pipeline")), "bench", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.long
def test_a_load_is_one_document_with_everything_a_result_needs() -> None:
    document = bench("load", "--rows", "2000", "--bad", "5%", "--pairs", "1")

    assert set(document) == {
        *("bench", "machine", "versions", "settings"),
        *("workload", "parents", "file_bytes", "floor", "pairs", "summary"),
    }
    assert document["workload"] == {
        "table": "customers", "rows": 2000, "mode": "insert_only", "bad": "1/20", "format": "csv", "seed": 1,
    }  # fmt: skip
    assert set(document["versions"]) >= {
        "python",
        "postgres",
        "dagster",
        "pyarrow",
        "pandas",
        "pandera",
        "psycopg",
    }
    assert document["settings"]["fsync"] == "on"
    assert {"bulk_batch_rows", "shared_buffers"} <= set(document["settings"])
    (pair,) = document["pairs"]
    ours = pair["ours"]
    assert (ours["status"], ours["rows"], pair["floor"]["rows"]) == ("completed_with_errors", 2000, 1900)
    assert ours["counts"] == {
        "total": 2000, "inserted": 1900, "updated": 0, "unchanged": 0, "superseded": 0, "rejected": 100,
        "rejected_again": 0, "fixed": 0, "open": 100,
    }  # fmt: skip
    assert sum(ours["failures"].values()) == 100
    assert set(ours["step_seconds"]) == STEPS
    assert ours["peak_rss_bytes"] > ours["peak_private_bytes"] > 0
    assert min(ours["wal_bytes"], pair["floor"]["wal_bytes"], pair["floor_random_ids"]["wal_bytes"]) > 0
    assert set(document["summary"]) >= {"ratio", "ratio_with_claim", "ratio_to_random_ids", "seconds"}
    assert document["summary"]["ratio"] == dict.fromkeys(("median", "low", "high"), pair["ratio"])


@pytest.mark.long
def test_exports_are_one_document_too() -> None:
    document = bench("export", "--table", "articles", "--rows", "2000", "--pairs", "1")

    assert set(document) == {
        *("bench", "machine", "versions", "settings"),
        *("table", "rows", "floor_seconds", "ways"),
    }
    assert (document["table"], document["rows"]) == ("articles", 2000)
    assert set(document["ways"]) == {"csv", "ndjson", "parquet (zstd)", "csv, a job into S3"}
    for name, way in document["ways"].items():
        assert min(way["ratio"]["median"], way["bytes"], way["peak_rss_bytes"], way["rows_per_second"]) > 0
        assert (way["first_byte_seconds"] is None) == (name == "csv, a job into S3")


@pytest.mark.long
def test_small_files_are_one_document_too() -> None:
    document = bench("small-files", "--files", "5", "--rows", "20")
    assert (document["files"], document["statuses"]) == (5, {"completed": 5})
    assert 0 < document["put_seconds"] < document["seconds"]


@pytest.mark.long
def test_http_is_one_document_too() -> None:
    document = bench("http", "--posts", "2", "--clients", "5", "--rows", "20000", "--upload", "1e6")
    assert document["posts"]["p50"] > 0
    assert document["polled"]["polls"] >= document["polled"]["clients"] == 5
    assert document["uploaded"]["bytes"] == 1_000_000
    assert document["uploaded"]["peak_rss_bytes"] > document["rss_bytes_at_rest"] / 2 > 0


@pytest.mark.long
@pytest.mark.parametrize("by", ["bucket", "post", "cli"])
def test_latencies_are_one_document_too_and_their_parts_sum_up(by: str) -> None:
    document = bench("latency", "--files", "3", "--arrivals", "poisson", "--every", "0.5s", "--by", by)
    assert document["plan"]["arrivals"] == "poisson"
    assert len(document["arrivals"]) == document["plan"]["files"] == 3
    for arrival in document["arrivals"]:
        assert sum(arrival["parts"].values()) == pytest.approx(arrival["seconds"], abs=0.01)
