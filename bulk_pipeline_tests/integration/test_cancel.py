"""A cancel takes effect in the middle of every op: at the next batch, or at once while the op waits for Postgres."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from bulk_pipeline.ledger import import_batches
from bulk_pipeline.ledger.export_jobs import ExportStatus
from bulk_pipeline.ledger.heartbeat import Heartbeat
from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.pipeline import import_steps
from bulk_pipeline.pipeline.work_files import BatchWriter
from bulk_pipeline.rows.row_store import PostgresRowStore
from bulk_pipeline.settings import Settings
from bulk_pipeline.stages.export import parts
from bulk_pipeline.stages.parse import archives
from bulk_pipeline.stages.parse.stream import Uploaded
from bulk_pipeline.stages.parse.xlsx import package
from bulk_pipeline.stages.report import reports
from bulk_pipeline.stages.split.key_claims import Claims
from bulk_pipeline_tests.rigs.dying_import import KEY, requested
from bulk_pipeline_tests.rigs.exports import Exporting
from bulk_pipeline_tests.rigs.packing import zipped
from bulk_pipeline_tests.rigs.pipeline import Pipeline
from bulk_pipeline_tests.unit.stages.parse.workbook import workbook

ROWS, BATCH_ROWS = 1200, 100
SECONDS = 30


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"bulk_batch_rows": BATCH_ROWS, "bulk_load_connections": 1})


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch) -> list[Heartbeat[Any]]:
    """The heartbeats of the runs, which beat only on demand."""
    result = list[Heartbeat[Any]]()
    monkeypatch.setattr(Heartbeat, "__enter__", lambda beat: result.append(beat) or beat)
    monkeypatch.setattr(Heartbeat, "__exit__", lambda *_: None)
    return result


@dataclass
class Cancelling:
    """Wraps `function`: during its call number `call`, the job is cancelled and the heartbeat beats."""

    function: Callable[..., Any]
    call: int
    cancel: Callable[[], None]
    calls: int = 0

    def __get__(self, instance: object, owner: type) -> Callable[..., Any]:
        return lambda *args, **kwargs: self(*(() if instance is None else (instance,)), *args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        result = self.function(*args, **kwargs)
        if self.calls == self.call:
            self.cancel()
        return result


@pytest.mark.parametrize(
    ("owner", "name", "call", "committed"),
    [
        pytest.param(BatchWriter, "write", 4, 0, id="parse"),
        pytest.param(import_steps, "validate", 2, 0, id="validate"),
        pytest.param(Claims, "make", 2, 0, id="split"),
        pytest.param(PostgresRowStore, "existing", 1, 0, id="search"),
        pytest.param(import_batches, "record", 2, 2 * BATCH_ROWS, id="load"),
        pytest.param(reports, "_errors", 2, ROWS, id="emit"),
    ],
)
def test_an_op_stops_before_its_next_batch(
    pipeline: Pipeline,
    beats: list[Heartbeat[Any]],
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
        pytest.param(package, "_parser", lambda _: workbook([["email"], ["a@example.com"]]), id="a sheet"),
    ],
)
def test_parse_stops_before_it_has_a_first_batch(
    pipeline: Pipeline,
    beats: list[Heartbeat[Any]],
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    pack: Callable[[bytes], bytes],
) -> None:
    """A step may read or unpack much of a file before it yields its first batch."""
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
        pipeline.stores.leases.cancel(job.id)
        run.join(SECONDS)
        assert not run.is_alive()
    done = pipeline.job(KEY)
    assert (done.status, pipeline.counts(done).processed) == (Status.CANCELLED, 0)
    assert pipeline.query("SELECT email FROM customers") == []


def test_an_export_stops_before_its_next_batch(
    exporting: Exporting, beats: list[Heartbeat[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    exporting.have_many(60_000)
    job = exporting.ask()

    def cancel() -> None:
        exporting.stores.export_leases.cancel(job.id)
        beats[0].beat()

    step = Cancelling(parts.codec_of, len(job.request.layout.columns), cancel)
    monkeypatch.setattr(parts, "codec_of", step)
    assert exporting.run(job).status is ExportStatus.CANCELLED
    assert (step.calls, exporting.is_clean()) == (step.call, True)


def test_an_export_that_waits_for_a_lock_is_interrupted(exporting: Exporting) -> None:
    job = exporting.ask()
    done = list[ExportStatus]()
    with holding(exporting.stores.database_url, "LOCK TABLE customers") as is_waited:
        run = threading.Thread(target=lambda: done.append(exporting.run(job).status))
        run.start()
        assert is_waited()
        exporting.stores.export_leases.cancel(job.id)
        run.join(SECONDS)
        assert not run.is_alive()
    assert (done, exporting.is_clean()) == ([ExportStatus.CANCELLED], True)


def cancel(pipeline: Pipeline, job: ImportJob, beats: list[Heartbeat[Any]]) -> None:
    pipeline.stores.leases.cancel(job.id)
    beats[0].beat()


@contextmanager
def holding(database_url: str, statement: str) -> Iterator[Callable[[], bool]]:
    """Run a transaction with the statement; yield a function that waits until another session waits for its locks."""
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
    return [entry.key for entry in page.objects]


def content() -> bytes:
    """Return a file of some batches, because of a wide unknown column; every tenth row is rejected."""
    lines = [f"{f'c{n}@example.com' if n % 10 else 'c'},{'x' * 8000}" for n in range(1, ROWS + 1)]
    return "".join(f"{line}\n" for line in ["email,wide", *lines]).encode()
