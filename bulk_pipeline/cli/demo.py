"""`demo`: the whole way of a row on sample files, on servers of its own, checked to the last cell."""

import gzip
import io
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
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.samples.checksum import MODULUS, checksum_sql
from bulk_pipeline.samples.formats import Format
from bulk_pipeline.samples.sample import Expected, Sample
from bulk_pipeline.schema import Mode
from bulk_pipeline.stack.graphql import ask
from bulk_pipeline.stores.jobs import ImportJob

_WAIT_SECONDS = 180
_BAD = Fraction(1, 100)
_ERROR_LINES = 6


@dataclass(frozen=True)
class _File:
    """A file to drop, and what must come of it."""

    key: str
    mode: Mode
    content: bytes
    expected: Expected


def run(home: Path, rows: int) -> bool:
    """Say how it went, and give whether all is right. `home`: of the demo's own stack; `rows`: of the largest files."""
    started = time.monotonic()
    files = _files(rows)
    with _stack(home):
        at = stores_of(home)
        output.say(
            f"stack ready after {time.monotonic() - started:.0f} s: Dagster UI at {at.settings.dagster_url}"
        )
        for file in files:
            at.objects.put(at.settings.s3_bucket_uploads, file.key, file.content)
        output.say(
            f"dropped {len(files)} files for {len(tables.names())} tables into the bucket, all at once"
        )
        jobs = _finished(at, files)
        documents = [describe(job, at.ledger.counts([job.id])[job.id], at.settings) for job in jobs]
        _show(at, documents)
        problems = [*_problems(files, documents), *_table_problems(at, files), *_run_problems(jobs, at)]
        at.close()
    for problem in problems:
        output.say(f"WRONG: {problem}")
    if not problems:
        seconds = time.monotonic() - started
        output.say(f"every count and every table's checksum is what the samples say, after {seconds:.0f} s")
    return not problems


@contextmanager
def _stack(home: Path) -> Iterator[None]:
    """A stack of our own, which is stopped and removed whatever happens."""
    stack.up(home, detach=True)
    try:
        yield
    finally:
        stack.down(home, purge=True)


def _files(rows: int) -> list[_File]:
    """Children first, so that nothing depends on a friendly order; CSV, NDJSON and gzip; both modes."""
    users, articles = rows // 2, rows // 4
    known = {
        "users": Sample(tables.get("users"), users, 1, _BAD).good_rows,
        "articles": Sample(tables.get("articles"), articles, 1, _BAD).good_rows,
    }
    return [
        _file("comments/comments.csv.gz", rows, Format.CSV, parents=known),
        _file("articles/articles.ndjson", articles, Format.NDJSON, parents=known),
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
    known = {name: count for name, count in (parents or {}).items() if name in table.parents}
    written = io.BytesIO()
    expected = Sample(table, rows, seed, _BAD, known).write(written, file_format)[mode]
    content = written.getvalue()
    return _File(key, mode, gzip.compress(content, 1) if key.endswith(".gz") else content, expected)


def _finished(at: Stores, files: list[_File]) -> list[ImportJob]:
    """The files' jobs, once the sensor has found the files and their runs have ended."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        jobs = [at.ledger.newest_of_object(at.settings.s3_bucket_uploads, file.key) for file in files]
        final = [job for job in jobs if job is not None and job.status.is_final]
        if len(final) == len(files):
            return final
        if time.monotonic() > deadline:
            states = zip(files, jobs, strict=True)
            told = ", ".join(f"{file.key} {job.status if job else 'unseen'}" for file, job in states)
            raise StackError(f"not finished after {_WAIT_SECONDS} s: {told}")
        time.sleep(0.3)


def _show(at: Stores, documents: list[dict[str, Any]]) -> None:
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
    key = reported["reports"]["errors.csv"].removeprefix(f"s3://{at.settings.s3_bucket_reports}/")
    width = shutil.get_terminal_size((120, 24)).columns
    with at.objects.open(at.settings.s3_bucket_reports, key) as stream:
        for _ in range(_ERROR_LINES):
            line = stream.readline().decode("utf-8", "replace").rstrip("\n")
            output.say("  " + (line if len(line) <= width - 2 else line[: width - 3] + "…"))
    output.say("")


def _problems(files: list[_File], documents: list[dict[str, Any]]) -> Iterator[str]:
    for file, found in zip(files, documents, strict=True):
        expected = {
            "total": file.expected.rows,
            "inserted": file.expected.inserted,
            "superseded": file.expected.superseded,
            "rejected": file.expected.rejected,
            "unprocessed": 0,
            "failures": dict(file.expected.codes),
        }
        for name, value in expected.items():
            if found[name] != value:
                yield f"{file.key}: {name} is {found[name]}, must be {value}"


def _table_problems(at: Stores, files: list[_File]) -> Iterator[str]:
    """Compare number of rows and checksum of each table with the sums over its files."""
    for table in tables.in_load_order():
        mine = [file.expected for file in files if file.key.startswith(f"{table.name}/")]
        rows = sum(expected.inserted for expected in mine)
        checksum = sum(expected.checksum for expected in mine) % MODULUS
        with at.postgres.transaction() as connection:
            found = connection.execute(checksum_sql(table, mine[0].checksum_columns).encode()).fetchone()
        if found != (rows, checksum):
            yield f"table {table.name}: {found} rows and checksum, must be {(rows, checksum)}"


def _run_problems(jobs: list[ImportJob], at: Stores) -> Iterator[str]:
    """Whether the sensor has launched every run."""
    runs = Counter(job.run_id for job in jobs)
    for run_id in runs:
        query = f'{{ runOrError(runId: "{run_id}") {{ ... on Run {{ tags {{ key value }} }} }} }}'
        tags = {
            tag["key"]: tag["value"] for tag in ask(str(at.settings.dagster_url), query)["runOrError"]["tags"]
        }
        if tags.get("dagster/sensor_name") != "upload_sensor":
            yield f"run {run_id} was not launched by the sensor"
