"""`latency`: time from the arrival of one small file to its finished job, on an idle or a busy stack."""

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bulk_pipeline import tables
from bulk_pipeline.bench import burst
from bulk_pipeline.bench.choices import By
from bulk_pipeline.bench.harness import Rig, without_servers
from bulk_pipeline.bench.imports import ImportTiming, between, follow
from bulk_pipeline.bench.outcome import check, outcome
from bulk_pipeline.bench.paired import percentile
from bulk_pipeline.bench.workload import Workload
from bulk_pipeline.errors import StackError
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.samples.sample import Sample

Tell = Callable[[str], None]
Bring = Callable[[Rig, str, Path, int], tuple[ImportTiming, datetime, datetime | None]]
"""Sends a file; returns its job, the start of sending and, for a command, the time of its exit."""

_QUIET_SECONDS = 1.0
_SENSOR_SECONDS = 5.0
_WARM_UP_SEED = 0
_GOLDEN = 0.618_034
"""The fractional parts of its multiples fill an interval evenly."""


@dataclass(frozen=True)
class Arrival:
    """One file. `seconds`: from the start of the upload to the finished job or, by cli, the duration of the command."""

    seconds: float
    parts: Mapping[str, float]


@dataclass(frozen=True)
class Percentiles:
    p50: float
    p95: float
    greatest: float


@dataclass(frozen=True, kw_only=True)
class Latency:
    """`parts`: the parts of `seconds`. `beside`: rows of the large file of a burst, 0 without one. `left`: files of the
    burst that were unfinished when the last measured file was finished."""

    by: By
    table: str
    rows_per_file: int
    files: int
    beside: int
    left: int
    seconds: Percentiles
    parts: Mapping[str, Percentiles]
    arrivals: Sequence[Arrival]


def run(rig: Rig, by: By, table: str, files: int, rows: int, beside: int, say: Tell) -> Latency:
    """Send files at times spread evenly over the sensor's interval, after one that is not measured.

    `beside`: rows of the large file of a burst into another table meanwhile; 0 for an idle stack. Each job is checked;
    see `outcome.check`.
    """
    bring = _by_bucket if by is By.BUCKET else _by_cli
    _arrival(rig, bring, table, rows, _WARM_UP_SEED)
    arrivals, other = [], burst.other_than(table) if beside else None
    if other:
        say(f"sending {beside:,} rows and {burst.SMALL_FILES} small files of {other}")
        burst.send(rig, other, beside)
    for number in range(files):
        time.sleep(_QUIET_SECONDS + _SENSOR_SECONDS * (number * _GOLDEN % 1))
        arrivals.append(_arrival(rig, bring, table, rows, number + 1))
        say(f"file {number + 1} of {files}: {arrivals[-1].seconds:.2f} s")
    names = list(arrivals[0].parts)
    return Latency(
        by=by,
        table=table,
        rows_per_file=rows,
        files=files,
        beside=beside,
        left=burst.still_there(rig, other) if other else 0,
        seconds=percentiles([arrival.seconds for arrival in arrivals]),
        parts={name: percentiles([arrival.parts[name] for arrival in arrivals]) for name in names},
        arrivals=arrivals,
    )


def percentiles(values: Sequence[float]) -> Percentiles:
    return Percentiles(percentile(values, 0.5), percentile(values, 0.95), max(values))


def _arrival(
    rig: Rig,
    bring: Bring,
    table: str,
    rows: int,
    seed: int,
) -> Arrival:
    workload = Workload(table=table, rows=rows, seed=seed)
    content = io.BytesIO()
    expected = Sample(tables.get(table), rows, seed).write(content)[workload.mode.mode]
    file = rig.folder / f"latency-{seed}.csv"
    file.write_bytes(content.getvalue())
    imported, began_at, left_at = bring(rig, table, file, rows)
    check(imported.job, imported.counts, outcome(workload, expected))
    end = left_at or imported.job.finished_at
    return Arrival(between(began_at, end), parts(imported.job, began_at, left_at))


def parts(job: ImportJob, began_at: datetime, left_at: datetime | None) -> dict[str, float]:
    """Return the seconds from one step to the next. `began_at`: start of upload or command; `left_at`: its end."""
    first = "drop→claimed" if left_at is None else "start→claimed"
    seconds = {
        first: between(began_at, job.claimed_at),
        "claimed→requested": between(job.claimed_at, job.requested_at),
        "requested→started": between(job.requested_at, job.started_at),
        "started→finished": between(job.started_at, job.finished_at),
    }
    return seconds if left_at is None else seconds | {"finished→exit": between(job.finished_at, left_at)}


def _by_bucket(rig: Rig, table: str, file: Path, rows: int) -> tuple[ImportTiming, datetime, None]:
    key, began_at = f"{table}/{file.name}", datetime.now(UTC)
    rig.stores.objects.put(rig.stores.settings.s3_bucket_uploads, key, file.read_bytes())
    return follow(rig, key, began_at, rows=rows), began_at, None


def _by_cli(rig: Rig, table: str, file: Path, rows: int) -> tuple[ImportTiming, datetime, datetime]:
    """Run `bulk-pipeline import`, from its start to its exit."""
    program = Path(sys.executable).with_name("bulk-pipeline")
    environ = without_servers(os.environ) | {"BULK_HOME": str(rig.home)}
    began_at = datetime.now(UTC)
    done = subprocess.run(
        [program, "import", file, "--table", table, "--json"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    left_at = datetime.now(UTC)
    if done.returncode:
        raise StackError(f"bulk-pipeline import: exit status {done.returncode}: {done.stderr.strip()}")
    (document,) = json.loads(done.stdout)
    return follow(rig, document["key"], began_at, rows=rows), began_at, left_at
