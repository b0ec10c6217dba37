"""`small-files`: many files put into the bucket at once, until the job of each has finished."""

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
from bulk_pipeline.bench.harness import Rig
from bulk_pipeline.bench.imports import between
from bulk_pipeline.bench.outcome import Outcome, check, outcome
from bulk_pipeline.bench.workload import Workload
from bulk_pipeline.errors import StackError, WrongResultError
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.samples.sample import Sample

_PUTTERS = 4
_POLL_SECONDS = 0.5
_PREFIX = "small-"


@dataclass(frozen=True, kw_only=True)
class SmallFiles:
    """`seconds`: from the first upload to the last finished job. `put_seconds`: the part of the uploads.

    `with_reports`: number of jobs with all three reports.
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
    """Measure. Every job is checked; raises `WrongResultError` for the first with a wrong result."""
    by_key = {f"{table}/{_PREFIX}{n:06}.csv": _file(table, rows, n, bad) for n in range(1, files + 1)}
    started_at = datetime.now(UTC)
    put(rig, {key: file.content for key, file in by_key.items()})
    put_at = datetime.now(UTC)
    _wait(rig, table, files)
    jobs = {job.key: job for job in rig.stores.ledger.newest(table=table, limit=files)}
    _check(rig, jobs, by_key)
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
    """Return a file; other seeds give other keys, so that every file's rows are new."""
    content = io.BytesIO()
    workload = Workload(table=table, rows=rows, bad=bad, seed=seed)
    expected = Sample(tables.get(table), rows, seed, bad).write(content)[workload.mode.mode]
    return _File(content.getvalue(), outcome(workload, expected))


def put(rig: Rig, contents: Mapping[str, bytes]) -> None:
    """Put files into the bucket, several at a time. `contents`: by key."""
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
    """Return the number of finished jobs of objects whose keys begin with the prefix."""
    query = "SELECT count(*) FROM bulk.import_jobs WHERE key LIKE %s AND finished_at IS NOT NULL"
    return database.rows(rig.url, query, f"{prefix}%")[0][0]


def _check(rig: Rig, jobs: Mapping[str, ImportJob], files: Mapping[str, _File]) -> None:
    counts = rig.stores.ledger.counts(job.id for job in jobs.values())
    for key, file in files.items():
        if key not in jobs:
            raise WrongResultError(f"{key} has no job")
        check(jobs[key], counts[jobs[key].id], file.wanted)
    table = next(iter(jobs.values())).table
    rows = database.count(rig.url, f"public.{table}")
    wanted = sum(file.wanted.counts.inserted for file in files.values())
    if rows != wanted:
        raise WrongResultError(f"table {table} has {rows} rows, must have {wanted}")
