"""`http`: waiting times of clients of the API, and the memory of its process."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil

from bulk_pipeline.bench.harness import Rig
from bulk_pipeline.bench.idle import cpu_seconds_of
from bulk_pipeline.bench.latency import Percentiles, percentiles
from bulk_pipeline.bench.memory import watching_service
from bulk_pipeline.bench.paired import percentile
from bulk_pipeline.bench.polling import poll
from bulk_pipeline.bench.sending import post
from bulk_pipeline.errors import WrongResultError
from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.samples.sample import Sample
from bulk_pipeline.tables import customers

Tell = Callable[[str], None]

_FINISHED = frozenset(str(status) for status in Status if status.is_final)
_POST_ROWS = 10
_POLL_SECONDS = 0.1
_WAIT_SECONDS = 600.0
_LINE = b"a line of a file that is no table, as long as lines of files usually are\n"


@dataclass(frozen=True, kw_only=True)
class PollFigures:
    """Polls during one import. `growing`: number of polls of one client at which more rows had been processed."""

    clients: int
    rows: int
    import_seconds: float
    polls: int
    seconds: Percentiles
    p99_seconds: float
    api_cpu_seconds_per_poll: float
    growing: int


@dataclass(frozen=True)
class Uploaded:
    """A large file sent by POST. `peak_rss_bytes`: memory of the API's process meanwhile."""

    bytes: int
    seconds: float
    peak_rss_bytes: int


@dataclass(frozen=True, kw_only=True)
class Http:
    """`posts`: time from the POST of a small file until a poll shows it as finished. `rss_bytes_…`: memory of the API's
    process after its start, and at the end."""

    posts: Percentiles
    polled: PollFigures
    uploaded: Uploaded | None
    rss_bytes_at_rest: int
    rss_bytes_at_end: int


def run(rig: Rig, *, posts: int, clients: int, rows: int, upload_bytes: int, say: Tell) -> Http:
    """Measure the small files, then the polling clients, then the large file if `upload_bytes` is not 0.

    Raises `WrongResultError` for a wrong answer or count.
    """
    process = rig.service("api")
    at_rest = process.memory_info().rss
    with httpx2.Client(base_url=rig.api_url, timeout=_WAIT_SECONDS, trust_env=False) as client:
        durations = []
        for number in range(posts + 1):  # the first one warms up
            durations.append(_posted(client, rig.folder, number))
            say(f"small file {number} of {posts}: {durations[-1]:.2f} s")
        polled = _polled(client, rig, process, clients, rows)
        say(f"{polled.polls:,} polls: p95 {polled.seconds.p95 * 1000:.0f} ms")
        uploaded = _uploaded(client, rig.folder, process, upload_bytes) if upload_bytes else None
    return Http(
        posts=percentiles(durations[1:]),
        polled=polled,
        uploaded=uploaded,
        rss_bytes_at_rest=at_rest,
        rss_bytes_at_end=process.memory_info().rss,
    )


def _posted(client: httpx2.Client, folder: Path, number: int) -> float:
    """Return the seconds from the POST of some new rows until they are loaded."""
    file = _sample(folder, _POST_ROWS, seed=number)
    started = time.monotonic()
    job_id = post(client, "customers", file)
    state = _follow(client, job_id)
    _check(state, _POST_ROWS)
    return round(time.monotonic() - started, 4)


def _polled(client: httpx2.Client, rig: Rig, process: psutil.Process, clients: int, rows: int) -> PollFigures:
    job_id = post(client, "customers", _sample(rig.folder, rows, seed=1_000_000))
    before = cpu_seconds_of(process)
    polls = poll(f"{rig.api_url}/api/v1/imports/{job_id}", clients, _FINISHED, _WAIT_SECONDS)
    cpu_seconds = cpu_seconds_of(process) - before
    state = polls.states[-1]
    _check(state, rows)
    return PollFigures(
        clients=clients,
        rows=rows,
        import_seconds=round(rows / state["rows_per_second"], 2),
        polls=len(polls.seconds),
        seconds=percentiles(polls.seconds),
        p99_seconds=round(percentile(polls.seconds, 0.99), 4),
        api_cpu_seconds_per_poll=round(cpu_seconds / len(polls.seconds), 6),
        growing=len({state["processed_records"] for state in polls.states}) - 1,
    )


def _uploaded(client: httpx2.Client, folder: Path, process: psutil.Process, size: int) -> Uploaded:
    """Upload a file that holds no table, so that its import ends at the first line and only the upload costs time."""
    file = folder / "large.csv"
    block = _LINE * (1 << 14)
    with file.open("wb") as out:
        while out.tell() < size:
            out.write(block[: size - out.tell()])
    with watching_service(process) as watch:
        started = time.monotonic()
        job_id = post(client, "customers", file)
        seconds = time.monotonic() - started
    file.unlink()
    if (state := _follow(client, job_id))["status"] != "failed":
        raise WrongResultError(f"a file that holds no table: {state}")
    return Uploaded(size, round(seconds, 2), watch.peak.rss_bytes)


def _sample(folder: Path, rows: int, seed: int) -> Path:
    file = folder / f"http-{seed}.csv"
    with file.open("wb") as out:
        Sample(customers.TABLE, rows, seed).write(out)
    return file


def _follow(client: httpx2.Client, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + _WAIT_SECONDS
    while (state := _json(client.get(f"/api/v1/imports/{job_id}")))["status"] not in _FINISHED:
        if time.monotonic() > deadline:
            raise WrongResultError(f"not finished after {_WAIT_SECONDS:g} s: {state}")
        time.sleep(_POLL_SECONDS)
    return state


def _json(answer: httpx2.Response) -> dict[str, Any]:
    if answer.status_code != 200:
        raise WrongResultError(f"{answer.request.url}: {answer.status_code} {answer.text[:300]}")
    return answer.json()


def _check(state: dict[str, Any], rows: int) -> None:
    actual = (state["status"], state["total_records"], state["success_count"], state["failure_count"])
    if actual != ("completed", rows, rows, 0):
        raise WrongResultError(f"an import of {rows:,} good rows: {state}")
