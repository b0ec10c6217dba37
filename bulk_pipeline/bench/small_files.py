"""`small-files`: many files at once into the bucket, until every one has its own finished job."""

import io
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

from bulk_pipeline import tables
from bulk_pipeline.bench import database
from bulk_pipeline.bench.imports import between
from bulk_pipeline.bench.outcome import Outcome, check, outcome
from bulk_pipeline.bench.rig import Rig
from bulk_pipeline.bench.workload import Workload
from bulk_pipeline.errors import StackError, WrongResultError
from bulk_pipeline.samples.sample import Sample
from bulk_pipeline.stores.jobs import ImportJob

_PUTTERS = 4
_POLL_SECONDS = 0.5
_PREFIX = "small-"


@dataclass(frozen=True, kw_only=True)
class SmallFiles:
    """`seconds`: from the first upload to the last finished job. `put_seconds`: what the uploads took of it.

    `with_reports`: jobs that have all three.
    """

    table: str
    files: int
    rows_per_file: int
    bad: Fraction
    seconds: float
    put_seconds: float
    files_per_second: float
    rows_per_second: int
    runs: int
    statuses: Mapping[str, int]
    with_reports: int


@dataclass(frozen=True)
class _File:
    content: bytes
    wanted: Outcome


def run(rig: Rig, table: str, files: int, rows: int, bad: Fraction) -> SmallFiles:
    """Every job is checked; `WrongResultError` for the first that did not come to what it must come to."""
    made = {f"{table}/{_PREFIX}{seed:06}.csv": _file(table, rows, seed, bad) for seed in range(1, files + 1)}
    started_at = datetime.now(UTC)
    put(rig, {key: file.content for key, file in made.items()})
    put_at = datetime.now(UTC)
    _wait(rig, table, files)
    jobs = {job.key: job for job in rig.stores.ledger.newest(table=table, limit=files)}
    _check(rig, jobs, made)
    seconds = between(started_at, max(job.finished_at or started_at for job in jobs.values()))
    return SmallFiles(
        table=table,
        files=files,
        rows_per_file=rows,
        bad=bad,
        seconds=seconds,
        put_seconds=between(started_at, put_at),
        files_per_second=round(files / seconds, 2),
        rows_per_second=round(files * rows / seconds),
        runs=len({job.run_id for job in jobs.values()}),
        statuses=dict(Counter(str(job.status) for job in jobs.values())),
        with_reports=sum(len(job.reports) == 3 for job in jobs.values()),
    )


def _file(table: str, rows: int, seed: int, bad: Fraction) -> _File:
    """Keys differ from one seed to the other, so that every file's rows are new."""
    content = io.BytesIO()
    workload = Workload(table=table, rows=rows, bad=bad, seed=seed)
    expected = Sample(tables.get(table), rows, seed, bad).write(content)[workload.mode.mode]
    return _File(content.getvalue(), outcome(workload, expected))


def put(rig: Rig, contents: Mapping[str, bytes]) -> None:
    """Drop files, several at a time; `contents` by key."""
    bucket = rig.stores.settings.s3_bucket_uploads
    with ThreadPoolExecutor(_PUTTERS) as putters:
        list(putters.map(lambda key: rig.stores.objects.put(bucket, key, contents[key]), contents))


def _wait(rig: Rig, table: str, files: int) -> None:
    deadline = time.monotonic() + 300 + files
    while (done := finished(rig, f"{table}/{_PREFIX}")) < files:
        if time.monotonic() > deadline:
            raise StackError(f"{done} of {files} jobs are finished {300 + files} s after the last upload")
        time.sleep(_POLL_SECONDS)


def finished(rig: Rig, prefix: str) -> int:
    """How many jobs are, of the objects whose keys begin so."""
    query = "SELECT count(*) FROM bulk.import_jobs WHERE key LIKE %s AND finished_at IS NOT NULL"
    return database.rows(rig.url, query, f"{prefix}%")[0][0]


def _check(rig: Rig, jobs: Mapping[str, ImportJob], made: Mapping[str, _File]) -> None:
    counts = rig.stores.ledger.counts(job.id for job in jobs.values())
    for key, file in made.items():
        if key not in jobs:
            raise WrongResultError(f"{key} has no job of its own")
        check(jobs[key], counts[jobs[key].id], file.wanted)
    table = next(iter(jobs.values())).table
    found = database.count(rig.url, f"public.{table}")
    wanted = sum(file.wanted.counts.inserted for file in made.values())
    if found != wanted:
        raise WrongResultError(f"table {table} has {found} rows, must have {wanted}")
