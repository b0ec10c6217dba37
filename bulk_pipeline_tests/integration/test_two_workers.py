"""One job in two runs: a worker that is suspended, or cut off from the network, until another one has its job.

The first run is stopped at a call, with its heartbeat; its lease expires and is reaped, and the second run takes the
job. The first run resumes while the second is at work, or when it is done.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from bulk_pipeline.ledger.attempts import Attempts
from bulk_pipeline.ledger.heartbeat import Heartbeat
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.orchestration import reaper
from bulk_pipeline.pipeline import import_steps
from bulk_pipeline.rows.row_store import PostgresRowStore
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.dying_import import (
    BATCH_ROWS,
    KEY,
    ROWS,
    Outcome,
    batch_by_batch,
    content,
    outcome,
    requested,
    silence,
    undisturbed_outcome,
)
from bulk_pipeline_tests.rigs.pipeline import Pipeline

SECONDS = 60


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return batch_by_batch(settings)


@pytest.fixture
def undisturbed(pipeline: Pipeline) -> Outcome:
    return undisturbed_outcome(pipeline)


@dataclass
class Stop:
    """Makes one call of a function wait, counted from 1 across all threads."""

    call: int
    reached: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _calls: int = 0

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                self._calls += 1
                is_the_one = self._calls == self.call
            if is_the_one:
                self.reached.set()
                assert self.go_on.wait(SECONDS)
            return function(*args, **kwargs)

        return called


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The runs whose heartbeats are stopped."""
    runs: set[str] = set()
    beat = Heartbeat.beat

    def beat_if_awake(heartbeat: Heartbeat[ImportJob]) -> None:
        if not runs & {lease.run_id for lease in heartbeat.held}:
            beat(heartbeat)

    monkeypatch.setattr(Heartbeat, "beat", beat_if_awake)
    return runs


STOPS = [
    pytest.param(import_steps, "parse_upload", 1, id="before parse", marks=pytest.mark.long),
    pytest.param(
        Attempts, "note_parsed", 1, id="before it tells the ledger what it has parsed", marks=pytest.mark.long
    ),
    pytest.param(PostgresRowStore, "settle", 1, id="before the first batch", marks=pytest.mark.long),
    pytest.param(PostgresRowStore, "settle", 4, id="before the fourth batch"),
    pytest.param(ObjectStore, "put", 2, id="between two reports"),
    pytest.param(Attempts, "finish", 1, id="before the end", marks=pytest.mark.long),
]


@pytest.mark.parametrize(("owner", "name", "call"), STOPS)
def test_a_worker_that_wakes_when_another_has_done_its_job_changes_nothing(
    pipeline: Pipeline,
    undisturbed: Outcome,
    asleep: set[str],
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    call: int,
) -> None:
    requested(pipeline, content())
    first = Stop(call)
    monkeypatch.setattr(owner, name, first.before(getattr(owner, name)))
    with running(pipeline) as run:
        until(first.reached)
        taken_over(pipeline, asleep)
        pipeline.work_off()
        assert outcome(pipeline, pipeline.job(KEY)) == undisturbed
        asleep.clear()
        first.go_on.set()
    assert not run.success
    assert outcome(pipeline, pipeline.job(KEY)) == undisturbed
    assert ranges(pipeline) == [
        (row, min(row + BATCH_ROWS - 1, ROWS)) for row in range(1, ROWS + 1, BATCH_ROWS)
    ]


@pytest.mark.parametrize(("owner", "name", "call"), STOPS)
def test_a_worker_that_wakes_while_another_is_at_its_job_stops(
    pipeline: Pipeline,
    undisturbed: Outcome,
    asleep: set[str],
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    call: int,
) -> None:
    requested(pipeline, content())
    first = Stop(call)
    monkeypatch.setattr(owner, name, first.before(getattr(owner, name)))
    with running(pipeline) as run:
        until(first.reached)
        taken_over(pipeline, asleep)
        second = Stop(1)
        monkeypatch.setattr(Attempts, "finish", second.before(Attempts.finish))
        with running(pipeline) as other:
            until(second.reached)
            asleep.clear()
            first.go_on.set()
            run.join()
            second.go_on.set()
    assert (run.success, other.success) == (False, True)
    assert outcome(pipeline, pipeline.job(KEY)) == undisturbed
    assert pipeline.job(KEY).attempt == 2


class Run(threading.Thread):
    """One run of the job of `KEY`, in parallel to the test."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__()
        self.success: bool | None = None
        self._pipeline = pipeline
        self._job_id = pipeline.job(KEY).id

    def run(self) -> None:
        self.success = self._pipeline.run(self._job_id).success


@contextmanager
def running(pipeline: Pipeline) -> Iterator[Run]:
    """Start a run, and wait for its end at the end of the block."""
    run = Run(pipeline)
    run.start()
    yield run
    run.join(SECONDS)
    assert run.success is not None


def until(event: threading.Event) -> None:
    assert event.wait(SECONDS)


def taken_over(pipeline: Pipeline, asleep: set[str]) -> None:
    """Expire the lease of the first run, and reap it."""
    asleep.add(str(pipeline.job(KEY).run_id))
    silence(pipeline)
    assert len(list(reaper.reap_dead_runs(pipeline.stores, pipeline.instance))) == 1
    with pipeline.stores.postgres.transaction() as connection:
        connection.execute("UPDATE bulk.import_jobs SET next_attempt_at = NULL")


def ranges(pipeline: Pipeline) -> list[tuple[int, int]]:
    job_id = pipeline.job(KEY).id
    return pipeline.query(
        f"SELECT first_row, last_row FROM bulk.import_batches WHERE job_id = '{job_id}' ORDER BY 1"
    )
