"""`latency`: one small file at a time into an idle stack, or a busy one, until its job is finished."""

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
from bulk_pipeline.bench.imports import Imported, between, follow
from bulk_pipeline.bench.outcome import check, outcome
from bulk_pipeline.bench.pairs import percentile
from bulk_pipeline.bench.rig import Rig, without_servers
from bulk_pipeline.bench.workload import Workload
from bulk_pipeline.errors import StackError
from bulk_pipeline.samples.sample import Sample
from bulk_pipeline.stores.jobs import ImportJob

Tell = Callable[[str], None]
Bring = Callable[[Rig, str, Path, int], tuple[Imported, datetime, datetime | None]]
"""Bring a file in; gives its job, when that began and, for a command, when it exited."""

_QUIET_SECONDS = 1.0
_SENSOR_SECONDS = 5.0
_WARM_UP_SEED = 0
_GOLDEN = 0.618_034
"""Multiples of it, without their whole parts, fill an interval evenly."""


@dataclass(frozen=True)
class Arrival:
    """One file. `seconds`: by bucket, from the beginning of the upload to the finished job; by cli, the command."""

    seconds: float
    parts: Mapping[str, float]


@dataclass(frozen=True)
class Percentiles:
    p50: float
    p95: float
    greatest: float


@dataclass(frozen=True, kw_only=True)
class Latency:
    """`parts`: what `seconds` is the sum of. `beside`: rows of the large file of a burst, 0 without one. `left`: files
    of the burst that were not finished when the last of ours was."""

    by: By
    table: str
    rows_per_file: int
    files: int
    beside: int
    left: int
    seconds: Percentiles
    parts: Mapping[str, Percentiles]
    arrivals: Sequence[Arrival]


def run(rig: Rig, by: By, table: str, files: int, rows: int, beside: int, tell: Tell) -> Latency:
    """Files come at times that are spread evenly over the sensor's interval, after one that is not measured.

    `beside`: rows of the large file of a burst of another table, which is worked off meanwhile; 0 for an idle stack.
    Each job is checked; see `outcome.check`.
    """
    bring = _by_bucket if by is By.BUCKET else _by_cli
    _arrival(rig, bring, table, rows, _WARM_UP_SEED)
    arrivals, other = [], burst.other_than(table) if beside else None
    if other:
        tell(f"sending {beside:,} rows and {burst.SMALL_FILES} small files of {other}")
        burst.send(rig, other, beside)
    for number in range(files):
        time.sleep(_QUIET_SECONDS + _SENSOR_SECONDS * (number * _GOLDEN % 1))
        arrivals.append(_arrival(rig, bring, table, rows, number + 1))
        tell(f"file {number + 1} of {files}: {arrivals[-1].seconds:.2f} s")
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
    """Seconds from one step to the next. `began_at`: of the upload or the command; `left_at`: end of the command."""
    first = "drop→claimed" if left_at is None else "start→claimed"
    found = {
        first: between(began_at, job.claimed_at),
        "claimed→requested": between(job.claimed_at, job.requested_at),
        "requested→started": between(job.requested_at, job.started_at),
        "started→finished": between(job.started_at, job.finished_at),
    }
    return found if left_at is None else found | {"finished→exit": between(job.finished_at, left_at)}


def _by_bucket(rig: Rig, table: str, file: Path, rows: int) -> tuple[Imported, datetime, None]:
    key, began_at = f"{table}/{file.name}", datetime.now(UTC)
    rig.stores.objects.put(rig.stores.settings.s3_bucket_uploads, key, file.read_bytes())
    return follow(rig, key, began_at, rows=rows), began_at, None


def _by_cli(rig: Rig, table: str, file: Path, rows: int) -> tuple[Imported, datetime, datetime]:
    """The command as a person calls it, from its start to its exit."""
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
