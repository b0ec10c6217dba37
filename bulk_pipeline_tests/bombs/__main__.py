"""`make bombs`: drops each kind of bomb in each format on a running stack, with a small job of another table.

Prints a table row for each: the cost of its run, and its result. Exits with 1 if a run used more than 700 MB of memory,
its files more than twice the limit of reports, or the small job more than 10 seconds.
"""

import argparse
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import psutil

from bulk_pipeline.bench.harness import Rig, rig
from bulk_pipeline.bench.memory import run_processes
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.samples.formats import Format
from bulk_pipeline.samples.sample import Sample
from bulk_pipeline.schema import Mode
from bulk_pipeline.tables import users
from bulk_pipeline_tests.bombs import csv_bombs, json_bombs, packed_bombs, parquet_bombs, sheet_bombs
from bulk_pipeline_tests.bombs.bomb import Bomb
from bulk_pipeline_tests.faults.workload import drop_of
from bulk_pipeline_tests.rigs.plain_s3 import plain_client

BOMBS = [
    *csv_bombs.BOMBS,
    *packed_bombs.BOMBS,
    *json_bombs.BOMBS,
    *sheet_bombs.BOMBS,
    *parquet_bombs.BOMBS,
]
MOST_MEMORY_BYTES, MOST_BESIDE_SECONDS = 700_000_000, 10.0
_SMALL_ROWS = 20
_LOOK_SECONDS = 0.1
_BOMB_SECONDS = 900.0
_HEAD = "| format | excess | upload | memory of the run | disk | s | small job, s | verdict |"


@dataclass
class Use:
    """Peak memory of runs, and peak disk space of a job's work files."""

    memory_bytes: int = 0
    work_bytes: int = 0


@dataclass(frozen=True)
class Outcome:
    """`disk_bytes`: work files and reports. `beside_seconds`: from the drop of the small file to the end of its job."""

    bomb: Bomb
    upload_bytes: int
    memory_bytes: int
    disk_bytes: int
    seconds: float
    beside_seconds: float
    verdict: str

    def row(self) -> str:
        """Return a row of the table in docs/reliability.md."""
        cells = [
            self.bomb.format,
            self.bomb.kind,
            _size(self.upload_bytes),
            _size(self.memory_bytes),
            _size(self.disk_bytes),
            f"{self.seconds:.1f}",
            f"{self.beside_seconds:.1f}",
            self.verdict,
        ]
        return f"| {' | '.join(cells)} |"

    def excesses(self, most_disk_bytes: int) -> list[str]:
        """Return the names of exceeded limits."""
        exceeded = {
            "memory": self.memory_bytes > MOST_MEMORY_BYTES,
            "disk": self.disk_bytes > most_disk_bytes,
            "the small job": self.beside_seconds > MOST_BESIDE_SECONDS,
        }
        return [name for name, is_exceeded in exceeded.items() if is_exceeded]


def explode(running: Rig, client: Any, bomb: Bomb, number: int) -> Outcome:
    """Drop a bomb and, once its run is requested, a small file; wait for the end of both."""
    data, key = bomb.make(), f"customers/{number}/{bomb.name}"
    beside = drop_of(
        Sample(users.TABLE, _SMALL_ROWS, number + 1, Fraction(0)),
        Mode.INSERT_ONLY,
        Format.CSV,
        key.replace("/", "-"),
    )
    with _watching(running) as use:
        started = time.monotonic()
        client.put_object(Bucket="uploads", Key=key, Body=data)
        _wait(running, key, lambda job: job.run_id is not None or job.status.is_final)
        dropped = time.monotonic()
        client.put_object(Bucket="uploads", Key=beside.key, Body=beside.content)
        _wait(running, beside.key, lambda job: job.status.is_final)
        beside_seconds = time.monotonic() - dropped
        job = _wait(running, key, lambda job: job.status.is_final)
        seconds = time.monotonic() - started
        time.sleep(2 * _LOOK_SECONDS)
    page = client.get_paginator("list_objects_v2").paginate(Bucket="reports", Prefix=f"{job.id}/")
    reports = sum(entry["Size"] for part in page for entry in part.get("Contents", ()))
    disk = use.work_bytes + reports
    return Outcome(bomb, len(data), use.memory_bytes, disk, seconds, beside_seconds, _verdict(running, job))


def _wait(running: Rig, key: str, is_over: Any) -> ImportJob:
    until = time.monotonic() + _BOMB_SECONDS
    while time.monotonic() < until:
        job = running.stores.ledger.newest_of_object("uploads", key)
        if job is not None and is_over(job):
            return job
        time.sleep(_LOOK_SECONDS)
    raise TimeoutError(f"{key} is not finished after {_BOMB_SECONDS:.0f} s")


def _verdict(running: Rig, job: ImportJob) -> str:
    if job.error:
        return f"{job.status}: {job.error_code or ''} {job.error[:150]}".replace("|", "\\|").replace(
            "\n", " "
        )
    counts = running.stores.ledger.counts([job.id])[job.id]
    return f"{job.status}: {counts.total or 0:,} rows, {counts.rejected:,} rejected"


@contextmanager
def _watching(running: Rig) -> Iterator[Use]:
    """Sample in a thread, ten times a second."""
    use, over = Use(), threading.Event()

    def watch() -> None:
        while not over.wait(_LOOK_SECONDS):
            peaks = map(_peak, run_processes(running.service("code_server")))
            use.memory_bytes = max(use.memory_bytes, *peaks, 0)
            use.work_bytes = max(use.work_bytes, _files(running.stores.work.folder))

    thread = threading.Thread(target=watch, name="bomb", daemon=True)
    thread.start()
    try:
        yield use
    finally:
        over.set()
        thread.join()


def _peak(process: psutil.Process) -> int:
    """Return `VmHWM`, the peak of a process, which includes the time between two samples."""
    with suppress(OSError, IndexError):
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    return 0


def _files(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):  # files and folders may disappear meanwhile
        for name in names:
            with suppress(OSError):
                total += (Path(place) / name).stat().st_blocks * 512
    return total


def _size(count: int) -> str:
    return (
        f"{count / 1e6:,.0f} MB"
        if count >= 10_000_000
        else f"{count / 1e6:.1f} MB"
        if count >= 100_000
        else f"{count / 1e3:.1f} kB"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="only bombs whose name matches this regular expression")
    options = parser.parse_args()
    chosen = [bomb for bomb in BOMBS if re.search(options.only, bomb.name)]
    if not chosen:
        parser.error(f"no name matches {options.only!r}; the first one is {BOMBS[0].name!r}")
    exceeded: list[str] = []
    with rig() as running:
        settings = running.settings_given
        client = plain_client(
            settings["s3_endpoint_url"], settings["s3_access_key"], settings["s3_secret_key"]
        )
        most_disk_bytes = 2 * running.stores.settings.bulk_max_report_bytes
        sys.stdout.write(f"{_HEAD}\n|---|---|---|---|---|---|---|---|\n")
        for number, bomb in enumerate(chosen):
            outcome = explode(running, client, bomb, number)
            sys.stdout.write(outcome.row() + "\n")
            sys.stdout.flush()
            exceeded += [f"{bomb.name}: {limit}" for limit in outcome.excesses(most_disk_bytes)]
        client.close()
    sys.stdout.write("".join(f"limit exceeded: {limit}\n" for limit in exceeded))
    return int(bool(exceeded))


if __name__ == "__main__":
    sys.exit(main())
