"""`demo`: import sample files on a separate stack, and compare every count and each table's checksum."""

import gzip
import io
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from bulk_pipeline import stack, tables
from bulk_pipeline.cli import output
from bulk_pipeline.cli.connection import stores_of
from bulk_pipeline.cli.jobs import describe
from bulk_pipeline.errors import StackError
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.samples.checksum import MODULUS, checksum_sql
from bulk_pipeline.samples.formats import Format
from bulk_pipeline.samples.sample import Expected, Sample
from bulk_pipeline.schema import Mode
from bulk_pipeline.settings import NO_PROJECT
from bulk_pipeline.stack.graphql import ask

_WAIT_SECONDS = 180
_BAD = Fraction(1, 100)
_ERROR_LINES = 6


@dataclass(frozen=True)
class _File:
    """A file to drop, and the result its import must have."""

    key: str
    mode: Mode
    content: bytes
    expected: Expected


def run(home: Path, rows: int) -> bool:
    """Run the demo, print how it went, and return whether every result is right.

    `home`: folder of the demo's own stack; `rows`: records in the largest files.
    """
    started = time.monotonic()
    tables.serve(None)
    files = _files(rows)
    with _stack(home):
        stores = stores_of(home)
        output.say(
            f"stack ready after {time.monotonic() - started:.0f} s: Dagster UI at {stores.settings.dagster_url}"
        )
        for file in files:
            stores.objects.put(stores.settings.s3_bucket_uploads, file.key, file.content)
        output.say(
            f"dropped {len(files)} files for {len(tables.names())} tables into the bucket, all at once"
        )
        jobs = _finished(stores, files)
        documents = [describe(job, stores.ledger.counts([job.id])[job.id], stores.settings) for job in jobs]
        _show(stores, documents)
        problems = [
            *_problems(files, documents),
            *_table_problems(stores, files),
            *_run_problems(jobs, stores),
        ]
        stores.close()
    for problem in problems:
        output.say(f"WRONG: {problem}")
    if not problems:
        seconds = time.monotonic() - started
        output.say(f"all counts and checksums match the samples, after {seconds:.0f} s")
    return not problems


@contextmanager
def _stack(home: Path) -> Iterator[None]:
    """Run a stack in the folder, and remove it afterwards, also after an error."""
    stack.up(home, detach=True, environ={**os.environ, "BULK_PROJECT": NO_PROJECT})
    try:
        yield
    finally:
        stack.down(home, purge=True)


def _files(rows: int) -> list[_File]:
    """Return the files to drop, children first, so that the order does not help: CSV, NDJSON, gzip, both modes."""
    users, articles = rows // 2, rows // 4
    parents = {
        "users": Sample(tables.get("users"), users, 1, _BAD).good_rows,
        "articles": Sample(tables.get("articles"), articles, 1, _BAD).good_rows,
    }
    return [
        _file("comments/comments.csv.gz", rows, Format.CSV, parents=parents),
        _file("articles/articles.ndjson", articles, Format.NDJSON, parents=parents),
        _file("users/users.csv", users, Format.CSV),
        _file("customers/customers.csv", rows, Format.CSV),
        _file("customers/upsert/newcomers.ndjson.gz", rows // 4, Format.NDJSON, seed=2, mode=Mode.UPSERT),
    ]


def _file(
    key: str,
    rows: int,
    file_format: Format,
    *,
    seed: int = 1,
    mode: Mode = Mode.INSERT_ONLY,
    parents: dict[str, int] | None = None,
) -> _File:
    table = tables.get(key.partition("/")[0])
    own_parents = {name: count for name, count in (parents or {}).items() if name in table.parents}
    buffer = io.BytesIO()
    expected = Sample(table, rows, seed, _BAD, own_parents).write(buffer, file_format)[mode]
    content = buffer.getvalue()
    return _File(key, mode, gzip.compress(content, 1) if key.endswith(".gz") else content, expected)


def _finished(stores: Stores, files: list[_File]) -> list[ImportJob]:
    """Wait until the sensor has found all files and their jobs have ended; return the jobs."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        jobs = [stores.ledger.newest_of_object(stores.settings.s3_bucket_uploads, file.key) for file in files]
        final = [job for job in jobs if job is not None and job.status.is_final]
        if len(final) == len(files):
            return final
        if time.monotonic() > deadline:
            states = zip(files, jobs, strict=True)
            listed = ", ".join(f"{file.key} {job.status if job else 'unseen'}" for file, job in states)
            raise StackError(f"not finished after {_WAIT_SECONDS} s: {listed}")
        time.sleep(0.3)


def _show(stores: Stores, documents: list[dict[str, Any]]) -> None:
    names = (
        "table",
        "key",
        "mode",
        "total",
        "inserted",
        "updated",
        "superseded",
        "rejected",
        "seconds",
        "rows_per_second",
    )
    titles = ("table", "file", *names[2:-1], "rows/s", "status")
    output.say("")
    output.print_grid(
        titles, [[*(document[name] for name in names), document["status"]] for document in documents]
    )
    reported = next(document for document in documents if document["reports"])
    output.say("")
    output.say(f"first lines of the errors.csv of {reported['key']}:")
    key = reported["reports"]["errors.csv"].removeprefix(f"s3://{stores.settings.s3_bucket_reports}/")
    width = shutil.get_terminal_size((120, 24)).columns
    with stores.objects.open(stores.settings.s3_bucket_reports, key) as stream:
        for _ in range(_ERROR_LINES):
            line = stream.readline().decode("utf-8", "replace").rstrip("\n")
            output.say("  " + (line if len(line) <= width - 2 else line[: width - 3] + "…"))
    output.say("")


def _problems(files: list[_File], documents: list[dict[str, Any]]) -> Iterator[str]:
    for file, document in zip(files, documents, strict=True):
        expected = {
            "total": file.expected.rows,
            "inserted": file.expected.inserted,
            "superseded": file.expected.superseded,
            "rejected": file.expected.rejected,
            "unprocessed": 0,
            "failures": dict(file.expected.codes),
        }
        for name, value in expected.items():
            if document[name] != value:
                yield f"{file.key}: {name} is {document[name]}, must be {value}"


def _table_problems(stores: Stores, files: list[_File]) -> Iterator[str]:
    """Compare each table's number of rows and checksum with the sums over its files."""
    for table in tables.in_load_order():
        of_table = [file.expected for file in files if file.key.startswith(f"{table.upload_name}/")]
        rows = sum(expected.inserted for expected in of_table)
        checksum = sum(expected.checksum for expected in of_table) % MODULUS
        with stores.postgres.transaction() as connection:
            query = checksum_sql(table, of_table[0].checksum_columns)
            actual = connection.execute(query.encode()).fetchone()
        if actual != (rows, checksum):
            yield f"table {table.upload_name}: rows and checksum are {actual}, must be {(rows, checksum)}"


def _run_problems(jobs: list[ImportJob], stores: Stores) -> Iterator[str]:
    """Check that the sensor launched every run."""
    runs = Counter(job.run_id for job in jobs)
    for run_id in runs:
        query = f'{{ runOrError(runId: "{run_id}") {{ ... on Run {{ tags {{ key value }} }} }} }}'
        tags = {
            tag["key"]: tag["value"]
            for tag in ask(str(stores.settings.dagster_url), query)["runOrError"]["tags"]
        }
        if tags.get("dagster/sensor_name") != "upload_sensor":
            yield f"run {run_id} was not launched by the sensor"
