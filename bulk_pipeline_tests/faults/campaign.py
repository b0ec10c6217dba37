"""Epochs of faults: a workload, faults during it, a wait until all is finished, a check. All depends on the seed."""

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from botocore.exceptions import BotoCoreError, ClientError

from bulk_pipeline.schema import Table
from bulk_pipeline.tables import in_load_order
from bulk_pipeline_tests.faults import evidence
from bulk_pipeline_tests.faults.checker import violations
from bulk_pipeline_tests.faults.kinds import KINDS, MissedError, Strike
from bulk_pipeline_tests.faults.rig import Rig
from bulk_pipeline_tests.faults.workload import Workload
from bulk_pipeline_tests.faults.wreckage import keep

FAULTS_PER_EPOCH = 10
_BUSY_JOBS = 8
_STRIKE_SECONDS = 180
_DRAIN_SECONDS = 300

Record = dict[str, Any]


class UnstruckError(Exception):
    """A kind of fault has had no target for a long time."""


@dataclass(frozen=True)
class Campaign:
    """`rows`: size of the largest file. `pause_seconds`: pause of a stopped process. `into`: the tables, parents before
    their children. `wreckage`: folder for the data of an epoch with violations."""

    rig: Rig
    rows: int = 3000
    pause_seconds: float = 30
    into: Sequence[Table] = field(default_factory=in_load_order)
    wreckage: Path | None = None

    def epoch(self, seed: int, kinds: list[str], tell: Callable[[str], None]) -> Iterator[Record]:
        """Inject each kind in turn. Return one record per fault, then one with the violations.

        `unjudged`: why an epoch does not count although nothing was found wrong.
        """
        self.rig.forget()
        started, unjudged = time.monotonic(), None
        chance = random.Random(seed)
        work = Workload(self.rig, seed, self.rows, self.into)
        struck: list[Record] = []
        try:
            for kind in kinds:
                struck.append(self._strike(seed, kind, chance, work))
                tell(f"{seed}: {kind}: {struck[-1]['detail']}, beside {len(struck[-1]['jobs'])} jobs")
        except UnstruckError as error:
            unjudged = str(error)
        problems = self._drained(work)
        if not problems:
            problems = violations(evidence.read(self.rig.places()), work.drops)
        if problems and self.wreckage:
            keep(self.rig, work.drops, self.wreckage / str(seed))
        ends = self._ends() if not problems else {}
        for record in struck:
            yield record | {"recovery_seconds": _recovery(record, ends)}
        yield {
            "record": "epoch",
            "seed": seed,
            "faults": len(struck),
            "uploads": len(work.drops),
            "rows": sum(drop.rows for drop in work.drops),
            "seconds": round(time.monotonic() - started, 1),
            "load": round(os.getloadavg()[1], 1),
            "violations": problems,
            "unjudged": unjudged,
        }

    def _strike(self, seed: int, kind: str, chance: random.Random, work: Workload) -> Record:
        """Inject the fault after a short random wait, once jobs are running."""
        deadline = time.monotonic() + _STRIKE_SECONDS
        while time.monotonic() < deadline:
            try:
                if self.rig.open_jobs() < _BUSY_JOBS:
                    work.feed()
                if not self.rig.processing():
                    time.sleep(0.05)
                    continue
                time.sleep(chance.uniform(0, 0.5))
                if not (jobs := self.rig.processing()):
                    continue
                at, detail = time.time(), KINDS[kind](Strike(self.rig, jobs, chance, self.pause_seconds))
            except (MissedError, psycopg.OperationalError):
                time.sleep(0.1)
                continue
            return {
                "record": "fault",
                "seed": seed,
                "kind": kind,
                "detail": detail,
                "at": _iso(at),
                "seconds": round(time.time() - at, 2),
                "ended_at": _iso(time.time()),
                "jobs": [{**job, "status": "processing"} for job in jobs],
            }
        raise UnstruckError(f"nothing to strike with {kind!r} in {_STRIKE_SECONDS} s")

    def _drained(self, work: Workload) -> list[str]:
        """Wait until all jobs are finished. Return those still open after a long time."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        while open_ := self._open(work):
            if time.monotonic() > deadline:
                return [f"stuck: {what}" for what in open_]
            time.sleep(0.3)
        while (run_id := self.rig.clean_up()) is None:
            if time.monotonic() > deadline + 60:
                return ["stuck: the nightly cleaning does not start"]
            time.sleep(0.5)
        while (status := self.rig.run_status(run_id)) != "SUCCESS":
            if status == "FAILURE" or time.monotonic() > deadline + 60:
                return [f"stuck: the nightly cleaning is {status}"]
            time.sleep(0.2)
        return []

    def _open(self, work: Workload) -> list[str]:
        try:
            lying = self.rig.client.list_objects_v2(Bucket="uploads").get("Contents", ())
            jobs = self.rig.query("""
                SELECT 'import ' || key || ' is ' || status || ', attempt ' || attempt || ': ' || coalesce(error, '')
                FROM bulk.import_jobs WHERE status IN ('pending', 'processing')
                UNION ALL
                SELECT 'export ' || id || ' is ' || status || ', attempt ' || attempt || ': ' || coalesce(error, '')
                FROM bulk.export_jobs WHERE status IN ('pending', 'processing')
            """)
            known = {key for (key,) in self.rig.query("SELECT key FROM bulk.import_jobs")}
            health = [] if self.rig.is_healthy() else ["the stack is not healthy"]
        except (psycopg.OperationalError, BotoCoreError, ClientError) as error:
            return [str(error)]
        return [
            *(f"in the inbox: {found['Key']}" for found in lying),
            *(told for (told,) in jobs),
            *(f"no job for {d.key}" for d in work.drops if d.is_acknowledged and d.key not in known),
            *health,
        ]

    def _ends(self) -> dict[str, datetime]:
        return dict(
            self.rig.query("""
                SELECT id::text, finished_at FROM bulk.import_jobs
                UNION ALL
                SELECT id::text, finished_at FROM bulk.export_jobs
            """)
        )


def kinds_of(seed: int, count: int = FAULTS_PER_EPOCH) -> list[str]:
    """Return the kinds of an epoch in random order. Consecutive seeds use each kind equally often."""
    names = list(KINDS)
    chosen = [names[(seed * count + n) % len(names)] for n in range(count)]
    random.Random(seed).shuffle(chosen)
    return chosen


def _recovery(record: Record, ends: dict[str, datetime]) -> float | None:
    """Return the seconds from the end of the fault until the jobs that were running then had finished."""
    finished = [ends[job["id"]] for job in record["jobs"] if job["id"] in ends]
    if not finished:
        return None
    return round(max(0.0, (max(finished) - datetime.fromisoformat(record["ended_at"])).total_seconds()), 2)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
