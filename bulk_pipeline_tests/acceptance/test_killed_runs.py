"""SIGKILL during a load: no row is lost or duplicated, and the job resumes by itself.

Every run loads the same rows in batches of 5,000 into a table that has 5% of them. It is killed within a batch: other
batches are committed, of this one some rows are written. Leases and waits are the defaults.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from uuid import UUID

import psutil
import pytest

from bulk_pipeline import tables
from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.samples.checksum import checksum_sql
from bulk_pipeline.stack.leftovers import wait_gone
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline_tests.rigs.origins import without_jobs
from bulk_pipeline_tests.rigs.running_stack import RunningStack, csv, unique, until
from bulk_pipeline_tests.seeds import SEEDS

ROWS, FEW_ROWS = 200_000, 50_000
BATCH_ROWS = 5_000
SECONDS = 90
COLUMNS = ("id", "email", "first_name", "last_name", "phone", "city")
PER_THOUSAND = {
    "insert_only": Counts(total=1000, inserted=899, rejected=101),
    "upsert": Counts(total=1000, inserted=899, updated=50, superseded=40, rejected=11),
}


@dataclass(frozen=True)
class Outcome:
    """The results of a job. `content`: number of rows and checksum of the table."""

    status: Status
    counts: Counts
    failures: dict[str, int]
    content: tuple[int, int]
    reports: dict[str, bytes]


@cache
def content(rows: int) -> bytes:
    return csv("id,email,first_name,last_name,phone,city", *(row(number) for number in range(1, rows + 1)))


@pytest.fixture(scope="module")
def unkilled(running: RunningStack) -> Callable[[str, int], Outcome]:
    """The outcome of an undisturbed run, by number of rows and mode."""

    @cache
    def outcome_in(mode: str, rows: int) -> Outcome:
        start(running, rows)
        result = outcome(running, running.load(key(), content(rows), mode=mode))
        assert result.counts == Counts(
            **{name: count * rows // 1000 for name, count in asdict(PER_THOUSAND[mode]).items()}
        )
        return result

    return outcome_in


def test_a_job_survives_the_death_of_run_daemon_and_code_server_together(
    world: RunningStack, unkilled: Callable[[str, int], Outcome]
) -> None:
    result = killed(world, FEW_ROWS, "insert_only", 2, run_daemon_and_code_server)
    assert result == unkilled("insert_only", FEW_ROWS)


def the_run(world: RunningStack, job: ImportJob) -> list[psutil.Process]:
    return [world.run_process(job)]


def run_daemon_and_code_server(world: RunningStack, job: ImportJob) -> list[psutil.Process]:
    return [world.run_process(job), world.service("daemon"), world.service("code_server")]


Victims = Callable[[RunningStack, ImportJob], Sequence[psutil.Process]]


@pytest.mark.long
@pytest.mark.parametrize("victims", [the_run, run_daemon_and_code_server])
@pytest.mark.parametrize(
    ("seed", "mode"), [(seed, ("insert_only", "upsert")[seed % 2]) for seed in range(SEEDS)]
)
def test_a_job_survives_any_death_at_any_time(
    world: RunningStack, unkilled: Callable[[str, int], Outcome], seed: int, mode: str, victims: Victims
) -> None:
    assert killed(world, ROWS, mode, seed, victims) == unkilled(mode, ROWS)


def killed(world: RunningStack, rows: int, mode: str, seed: int, victims: Victims) -> Outcome:
    """Return the outcome of a job whose processes are killed after a random number of batches."""
    batches = rows // BATCH_ROWS
    before_kill = random.Random(seed).randrange(1, batches)
    start(world, rows)
    # Two batches are written at a time: the first row of each waits, so that no later batch begins.
    with world.holding(*(email((before_kill + n) * BATCH_ROWS + 1) for n in (0, 1))):
        world.drop(name := key(), content(rows), mode=mode)
        job = world.job(name)
        until(lambda: world.batches(job) == before_kill, f"{before_kill} batches", seconds=120)
        until(world.waits_for_a_lock, "rows of the next batch are being written")
        job = world.job(name)
        kill(victims(world, job))
        killed_at = time.monotonic()
        assert 0 < world.batches(job) == before_kill < batches
        until(lambda: world.job(name).attempt == 2, "the next attempt", seconds=SECONDS)
    done = world.finished(name, seconds=SECONDS)
    assert time.monotonic() - killed_at < SECONDS
    assert (done.id, done.attempt, done.run_id != job.run_id) == (job.id, 2, True)
    assert world.ui.status(str(job.run_id)) == "FAILURE"
    return outcome(world, done)


def kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        process.kill()
    assert wait_gone(processes, 10) == []


def start(world: RunningStack, rows: int) -> None:
    """Insert every twentieth customer of the file."""
    world.execute(
        "TRUNCATE customers",
        f"""
        INSERT INTO customers (id, email, first_name)
        SELECT lpad(to_hex(number), 32, '0')::uuid, 'person' || number || '@example.com', 'There before'
        FROM generate_series(20, {rows}, 20) AS number
        """,
    )


def row(number: int) -> str:
    """Return rows: 1 in 25 has no id and the address of the row before it, 1 in 100 a bad address, 1 in 1000 an extra
    cell."""
    if number % 25 == 3:
        return f",{email(number - 1)},Double,{number},,Lund"
    if number % 100 == 7:
        return f"{UUID(int=number)},person{number},No,Address,,Lund"
    cells = f'{UUID(int=number)},{email(number)},"First, {number}",Läst,+46 {number},Malmö'
    return f"{cells},too much" if number % 1000 == 11 else cells


def email(number: int) -> str:
    return f"person{number}@example.com"


def key() -> str:
    return f"customers/{unique('killed')}.csv"


def outcome(world: RunningStack, job: ImportJob) -> Outcome:
    (content,) = world.query(checksum_sql(tables.get("customers"), COLUMNS).replace("%", "%%"))
    reports = without_jobs(world.reports(job))
    assert set(reports) == {"errors.csv", "errors.ndjson", "rejected.csv"}
    return Outcome(job.status, world.counts(job), job.failure_counts, content, reports)
