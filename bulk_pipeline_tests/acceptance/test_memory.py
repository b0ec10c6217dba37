"""The processes of a run take at most 600 MB together, however large its file is, with default settings."""

import gzip
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from uuid import UUID

import orjson
import psycopg
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from bulk_pipeline.bench.harness import Rig, rig
from bulk_pipeline.bench.imports import import_file
from bulk_pipeline.bench.memory import watching
from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.stages.counts import Counts

ROWS, ROWS_AT_ONCE = 500_000, 20_000
"""Articles of 2 KB: 1 GB of content."""
PEAK_BYTES = 600_000_000
AUTHOR = str(UUID(int=1))
BODY = " ".join(f"word{number}" for number in range(1, 245))


@pytest.fixture(scope="module")
def stack_of_its_own() -> Iterator[Rig]:
    with rig() as running:
        yield running


@pytest.mark.long
@pytest.mark.parametrize("format", ["csv", "csv.gz", "ndjson", "json", "parquet"])
def test_a_file_with_a_gigabyte_of_content_takes_at_most_600_mb_of_memory(
    stack_of_its_own: Rig, format: str
) -> None:
    start(stack_of_its_own)
    file = stack_of_its_own.folder / f"articles.{format}"
    write(file, format)
    with watching(stack_of_its_own.service("code_server")) as watch:
        done = import_file(stack_of_its_own, f"articles/large.{format}", file, rows=ROWS)
    file.unlink()
    assert (done.job.status, done.counts) == (Status.COMPLETED, Counts(total=ROWS, inserted=ROWS))
    assert 0 < watch.peak.rss_bytes <= PEAK_BYTES


def start(running: Rig) -> None:
    with psycopg.connect(running.url) as connection:
        connection.execute("TRUNCATE users CASCADE")
        connection.execute(
            "INSERT INTO users (id, email, name, role) VALUES (%s, 'a@example.com', 'Ada', 'admin')", [AUTHOR]
        )


def write(path: Path, format: str) -> None:
    if format == "parquet":
        with parquet.ParquetWriter(
            path, articles(0).schema, compression="none", use_dictionary=False
        ) as file:
            for first in range(0, ROWS, ROWS_AT_ONCE):
                file.write_batch(articles(first))
        return
    with gzip.open(path, "wb", compresslevel=1) if format.endswith(".gz") else path.open("wb") as stream:
        if format.startswith("csv"):
            _write_csv(stream)
        else:
            _write_json(stream, is_array=format == "json")


def articles(first: int) -> pa.RecordBatch:
    numbers = range(first + 1, first + 1 + ROWS_AT_ONCE)
    return pa.record_batch(
        {
            "id": [str(UUID(int=number)) for number in numbers],
            "slug": [f"article-{number}" for number in numbers],
            "title": [f"Article {number}" for number in numbers],
            "body": [f"{number} {BODY}" for number in numbers],
            "author_id": [AUTHOR] * ROWS_AT_ONCE,
            "status": ["draft"] * ROWS_AT_ONCE,
        }
    )


def _write_csv(stream: BufferedIOBase) -> None:
    with csv.CSVWriter(stream, articles(0).schema) as file:
        for first in range(0, ROWS, ROWS_AT_ONCE):
            file.write_batch(articles(first))


def _write_json(stream: BufferedIOBase, *, is_array: bool) -> None:
    separator = b",\n" if is_array else b"\n"
    for first in range(0, ROWS, ROWS_AT_ONCE):
        if is_array:
            stream.write(b"," if first else b"[")
        stream.write(separator.join(orjson.dumps(article) for article in articles(first).to_pylist()))
        stream.write(b"\n")
    if is_array:
        stream.write(b"]")
