"""`latency`: time from the arrival of small files to their finished jobs, on an idle or a busy stack."""

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import assert_never

from bulk_pipeline import tables
from bulk_pipeline.bench import burst, imports
from bulk_pipeline.bench.choices import Arrivals, By
from bulk_pipeline.bench.harness import Rig
from bulk_pipeline.bench.imports import between
from bulk_pipeline.bench.outcome import Outcome, check, outcome
from bulk_pipeline.bench.paired import percentile
from bulk_pipeline.bench.sending import Sent, send
from bulk_pipeline.bench.workload import Workload
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.samples.sample import Sample

Tell = Callable[[str], None]

_QUIET_SECONDS = 1.0
_SENSOR_SECONDS = 5.0
_GOLDEN = 0.618_034
"""The fractional parts of its multiples fill an interval evenly."""
_SENDERS = 16
"""Files that can be sent at the same time: `bulk-pipeline import` ends with the job."""
_SEED = 1


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
class Plan:
    """`files` small files into one table. `every_seconds`: the mean pause of Poisson arrivals. `beside`: rows of the
    large file of a burst into another table meanwhile, 0 for an idle stack."""

    by: By
    arrivals: Arrivals
    every_seconds: float
    table: str
    rows_per_file: int
    files: int
    beside: int


@dataclass(frozen=True, kw_only=True)
class Latency:
    """`parts`: the parts of `seconds`. `left`: files of the burst that were unfinished at the end."""

    plan: Plan
    left: int
    seconds: Percentiles
    parts: Mapping[str, Percentiles]
    arrivals: Sequence[Arrival]


@dataclass(frozen=True)
class _File:
    path: Path
    rows: int
    wanted: Outcome


def run(rig: Rig, plan: Plan, say: Tell) -> Latency:
    """Send the files, after one that is not measured. Each job is checked; see `outcome.check`."""
    files = [_file(rig, plan, seed) for seed in range(plan.files + 1)]
    _sent_alone(rig, plan, files[0])
    other = burst.other_than(plan.table) if plan.beside else None
    if other:
        say(f"sending {plan.beside:,} rows and {burst.SMALL_FILES} small files of {other}")
        burst.send(rig, other, plan.beside)
    arrivals = []
    for arrival in _arrivals(rig, plan, files[1:]):
        arrivals.append(arrival)
        say(f"file {len(arrivals)} of {plan.files}: {arrival.seconds:.2f} s")
    return Latency(
        plan=plan,
        left=burst.still_there(rig, other) if other else 0,
        seconds=percentiles([arrival.seconds for arrival in arrivals]),
        parts={
            name: percentiles([arrival.parts[name] for arrival in arrivals]) for name in arrivals[0].parts
        },
        arrivals=arrivals,
    )


def percentiles(values: Sequence[float]) -> Percentiles:
    return Percentiles(percentile(values, 0.5), percentile(values, 0.95), max(values))


def due_seconds(every_seconds: float, count: int, seed: int = _SEED) -> list[float]:
    """Return the times of `count` arrivals of a Poisson process, from its start; the same seed gives the same times."""
    random, due, times = Random(seed), 0.0, list[float]()
    for _ in range(count):
        due += random.expovariate(1 / every_seconds)
        times.append(due)
    return times


def parts(job: ImportJob, sent: Sent) -> dict[str, float]:
    """Return the seconds from one step to the next."""
    first = "drop→claimed" if sent.left_at is None else "start→claimed"
    seconds = {
        first: between(sent.began_at, job.claimed_at),
        "claimed→requested": between(job.claimed_at, job.requested_at),
        "requested→started": between(job.requested_at, job.started_at),
        "started→finished": between(job.started_at, job.finished_at),
    }
    return (
        seconds
        if sent.left_at is None
        else seconds | {"finished→exit": between(job.finished_at, sent.left_at)}
    )


def _file(rig: Rig, plan: Plan, seed: int) -> _File:
    """Write a file; other seeds give other keys, so that every file's rows are new."""
    workload = Workload(table=plan.table, rows=plan.rows_per_file, seed=seed)
    content = io.BytesIO()
    expected = Sample(tables.get(plan.table), plan.rows_per_file, seed).write(content)[workload.mode.mode]
    path = rig.folder / f"latency-{seed}.csv"
    path.write_bytes(content.getvalue())
    return _File(path, plan.rows_per_file, outcome(workload, expected))


def _arrivals(rig: Rig, plan: Plan, files: Sequence[_File]) -> Iterator[Arrival]:
    match plan.arrivals:
        case Arrivals.SPREAD:
            for number, file in enumerate(files):
                time.sleep(_QUIET_SECONDS + _SENSOR_SECONDS * (number * _GOLDEN % 1))
                yield _sent_alone(rig, plan, file)
        case Arrivals.BACK_TO_BACK:
            for file in files:
                yield _arrival(rig, file, send(rig, plan.by, plan.table, file.path))[1]
        case Arrivals.POISSON:
            yield from _by_the_clock(rig, plan, files)
        case other:
            assert_never(other)


def _sent_alone(rig: Rig, plan: Plan, file: _File) -> Arrival:
    """Send a file, and wait for the end of its run, which would disturb the next measurement."""
    job, arrival = _arrival(rig, file, send(rig, plan.by, plan.table, file.path))
    imports.step_seconds(rig, job)
    return arrival


def _by_the_clock(rig: Rig, plan: Plan, files: Sequence[_File]) -> Iterator[Arrival]:
    """Send each file when it is due, however many are unfinished; nothing is polled meanwhile, except by commands."""
    began = time.monotonic()
    with ThreadPoolExecutor(_SENDERS) as senders:
        sending = []
        for due, file in zip(due_seconds(plan.every_seconds, len(files)), files, strict=True):
            time.sleep(max(0.0, began + due - time.monotonic()))
            sending.append(senders.submit(send, rig, plan.by, plan.table, file.path))
        sent = [future.result() for future in sending]
    for file, one in zip(files, sent, strict=True):
        yield _arrival(rig, file, one)[1]


def _arrival(rig: Rig, file: _File, sent: Sent) -> tuple[ImportJob, Arrival]:
    """Wait for the end of the job, and check it."""
    job = imports.finished(lambda: sent.find(rig), sent.name, rows=file.rows)
    check(job, rig.stores.ledger.counts([job.id])[job.id], file.wanted)
    return job, Arrival(between(sent.began_at, sent.left_at or job.finished_at), parts(job, sent))
