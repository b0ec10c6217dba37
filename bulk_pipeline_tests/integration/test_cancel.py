"""A cancel is heard in the middle of every op: at the next batch, or at once where the op waits for Postgres."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from bulk_pipeline.orchestration import steps
from bulk_pipeline.orchestration.work import BatchWriter
from bulk_pipeline.settings import Settings
from bulk_pipeline.stages.export import parts
from bulk_pipeline.stages.parse import archives, xlsx_package
from bulk_pipeline.stages.parse.chunks import Uploaded
from bulk_pipeline.stages.report import reports
from bulk_pipeline.stages.split.key_claims import Claims
from bulk_pipeline.stores import settlements
from bulk_pipeline.stores.export_heartbeat import ExportHeartbeat
from bulk_pipeline.stores.export_jobs import ExportStatus
from bulk_pipeline.stores.heartbeat import Heartbeat
from bulk_pipeline.stores.jobs import ImportJob, Status
from bulk_pipeline.stores.rows import PostgresRowStore
from bulk_pipeline_tests.integration.conftest import Pipeline
from bulk_pipeline_tests.integration.dying_import import KEY, requested
from bulk_pipeline_tests.integration.exports import Exporting
from bulk_pipeline_tests.integration.packing import zipped
from bulk_pipeline_tests.unit.stages.parse.workbook import workbook

ROWS, BATCH_ROWS = 1200, 100
SECONDS = 30


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"bulk_batch_rows": BATCH_ROWS, "bulk_load_connections": 1})


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch) -> list[Heartbeat]:
    """The heartbeats of the runs, which beat only when they are told to."""
    found = list[Heartbeat]()
    monkeypatch.setattr(Heartbeat, "__enter__", lambda beat: found.append(beat) or beat)
    monkeypatch.setattr(Heartbeat, "__exit__", lambda *_: None)
    return found


@dataclass
class Cancelling:
    """`function`, during whose call number `call` the job is cancelled and the heartbeat hears of it."""

    function: Callable[..., Any]
    call: int
    cancel: Callable[[], None]
    calls: int = 0

    def __get__(self, instance: object, owner: type) -> Callable[..., Any]:
        return lambda *given, **named: self(*(() if instance is None else (instance,)), *given, **named)

    def __call__(self, *given: Any, **named: Any) -> Any:
        self.calls += 1
        result = self.function(*given, **named)
        if self.calls == self.call:
            self.cancel()
        return result


@pytest.mark.parametrize(
    ("owner", "name", "call", "committed"),
    [
        pytest.param(BatchWriter, "write", 4, 0, id="parse"),
        pytest.param(steps, "validate", 2, 0, id="validate"),
        pytest.param(Claims, "make", 2, 0, id="split"),
        pytest.param(PostgresRowStore, "existing", 1, 0, id="search"),
        pytest.param(settlements, "record", 2, 2 * BATCH_ROWS, id="load"),
        pytest.param(reports, "_errors", 2, ROWS, id="emit"),
    ],
)
def test_an_op_stops_before_its_next_batch(
    pipeline: Pipeline,
    beats: list[Heartbeat],
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    call: int,
    committed: int,
) -> None:
    requested(pipeline, content())
    job = pipeline.job(KEY)
    step = Cancelling(getattr(owner, name), call, lambda: cancel(pipeline, job, beats))
    monkeypatch.setattr(owner, name, step)
    pipeline.run(job.id)
    done = pipeline.job(KEY)
    assert (step.calls, done.status) == (call, Status.CANCELLED)
    assert pipeline.counts(done).processed == committed
    assert stored_reports(pipeline) == []


@pytest.mark.parametrize(
    ("owner", "name", "pack"),
    [
        pytest.param(Uploaded, "__iter__", bytes, id="reading"),
        pytest.param(archives, "capped", zipped, id="unpacking"),
        pytest.param(
            xlsx_package, "_parser", lambda _: workbook([["email"], ["a@example.com"]]), id="a sheet"
        ),
    ],
)
def test_parse_stops_before_it_has_a_first_batch(
    pipeline: Pipeline,
    beats: list[Heartbeat],
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    pack: Callable[[bytes], bytes],
) -> None:
    """What it has read or unpacked of a file may be long before there is one."""
    requested(pipeline, pack(content()))
    job = pipeline.job(KEY)
    step = Cancelling(getattr(owner, name), 1, lambda: cancel(pipeline, job, beats))
    monkeypatch.setattr(owner, name, step)
    monkeypatch.setattr(BatchWriter, "write", lambda *_: pytest.fail("a batch was written"))
    pipeline.run(job.id)
    assert (step.calls, pipeline.job(KEY).status) == (1, Status.CANCELLED)


def test_a_load_that_waits_for_a_lock_is_interrupted(pipeline: Pipeline) -> None:
    requested(pipeline, b"email\na@example.com\n")
    job = pipeline.job(KEY)
    with holding(
        pipeline.stores.database_url, "INSERT INTO customers (email) VALUES ('a@example.com')"
    ) as is_waited:
        run = threading.Thread(target=pipeline.run, args=[job.id])
        run.start()
        assert is_waited()
        pipeline.stores.ledger.cancel(job.id)
        run.join(SECONDS)
        assert not run.is_alive()
    done = pipeline.job(KEY)
    assert (done.status, pipeline.counts(done).processed) == (Status.CANCELLED, 0)
    assert pipeline.query("SELECT email FROM customers") == []


def test_an_export_stops_before_its_next_batch(exporting: Exporting, monkeypatch: pytest.MonkeyPatch) -> None:
    exporting.have_many(60_000)
    job = exporting.ask()
    beats = list[ExportHeartbeat]()
    monkeypatch.setattr(ExportHeartbeat, "__enter__", lambda beat: beats.append(beat) or beat)
    monkeypatch.setattr(ExportHeartbeat, "__exit__", lambda *_: None)

    def cancel() -> None:
        exporting.stores.exports.cancel(job.id)
        beats[0].beat()

    step = Cancelling(parts.check_times, len(job.request.checked().layout.columns), cancel)
    monkeypatch.setattr(parts, "check_times", step)
    assert exporting.run(job).status is ExportStatus.CANCELLED
    assert (step.calls, exporting.is_clean()) == (step.call, True)


def test_an_export_that_waits_for_a_lock_is_interrupted(exporting: Exporting) -> None:
    job = exporting.ask()
    done = list[ExportStatus]()
    with holding(exporting.stores.database_url, "LOCK TABLE customers") as is_waited:
        run = threading.Thread(target=lambda: done.append(exporting.run(job).status))
        run.start()
        assert is_waited()
        exporting.stores.exports.cancel(job.id)
        run.join(SECONDS)
        assert not run.is_alive()
    assert (done, exporting.is_clean()) == ([ExportStatus.CANCELLED], True)


def cancel(pipeline: Pipeline, job: ImportJob, beats: list[Heartbeat]) -> None:
    pipeline.stores.ledger.cancel(job.id)
    beats[0].beat()


@contextmanager
def holding(database_url: str, statement: str) -> Iterator[Callable[[], bool]]:
    """A transaction that has executed the statement; gives what waits until somebody waits for its locks."""
    with psycopg.connect(database_url) as holder, psycopg.connect(database_url, autocommit=True) as watcher:
        holder.execute(statement.encode())

        def is_waited() -> bool:
            for _ in range(SECONDS * 100):
                if watcher.execute(_IS_WAITED, [holder.info.backend_pid]).fetchone() == (True,):
                    return True
                watcher.execute("SELECT pg_sleep(0.01)")
            return False

        yield is_waited
        holder.rollback()


_IS_WAITED = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid)))"


def stored_reports(pipeline: Pipeline) -> list[str]:
    page = pipeline.stores.objects.page(pipeline.stores.settings.s3_bucket_reports)
    return [found.key for found in page.found]


def content() -> bytes:
    """Some batches, as a column that nobody knows is wide; every tenth row is rejected."""
    lines = [f"{f'c{n}@example.com' if n % 10 else 'c'},{'x' * 8000}" for n in range(1, ROWS + 1)]
    return "".join(f"{line}\n" for line in ["email,wide", *lines]).encode()
