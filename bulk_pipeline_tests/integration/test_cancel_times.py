"""Measures the time until a cancel takes effect, by op, with default settings: the table of docs/reliability.md, with `-s`."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from bulk_pipeline.ledger.export_jobs import ExportStatus
from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.pipeline import export_run as exporting_module
from bulk_pipeline.pipeline import import_steps
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.dying_import import KEY, requested
from bulk_pipeline_tests.rigs.exports import Exporting
from bulk_pipeline_tests.rigs.moving import CALLS
from bulk_pipeline_tests.rigs.pipeline import Pipeline

pytestmark = pytest.mark.long

ROWS = 1_500_000
_INTO_THE_OP_SECONDS = 0.3


@pytest.fixture
def settings(settings: Settings) -> Settings:
    defaults = {
        name: Settings.model_fields[name].default for name in ("bulk_lease_seconds", "bulk_heartbeat_seconds")
    }
    return settings.model_copy(update=defaults)


@pytest.mark.parametrize("op", CALLS)
def test_of_an_import(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, op: str) -> None:
    requested(pipeline, content(good=op != "emit"))
    job = pipeline.job(KEY)
    cancelling = Cancelling(getattr(import_steps, CALLS[op]), lambda: pipeline.stores.leases.cancel(job.id))
    monkeypatch.setattr(import_steps, CALLS[op], cancelling)
    pipeline.run(job.id)
    assert pipeline.job(KEY).status is Status.CANCELLED
    cancelling.tell(op)


def test_of_an_export(exporting: Exporting, monkeypatch: pytest.MonkeyPatch) -> None:
    exporting.have_many(ROWS)
    job = exporting.ask()
    cancelling = Cancelling(
        exporting_module.write_parts, lambda: exporting.stores.export_leases.cancel(job.id)
    )
    monkeypatch.setattr(exporting_module, "write_parts", cancelling)
    assert exporting.run(job).status is ExportStatus.CANCELLED
    cancelling.tell("export")


class Cancelling:
    """A step that is cancelled soon after its beginning."""

    def __init__(self, step: Callable[..., Any], cancel: Callable[[], object]) -> None:
        self._step = step
        self._cancel = cancel
        self._cancelled_at = self._stopped_at = 0.0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        timer = threading.Timer(_INTO_THE_OP_SECONDS, self._cancel_now)
        timer.start()
        try:
            return self._step(*args, **kwargs)
        finally:
            self._stopped_at = time.monotonic()
            timer.join()

    def tell(self, op: str) -> None:
        print(f"\n| {op} | {self._stopped_at - self._cancelled_at:.1f} |")  # noqa: T201

    def _cancel_now(self) -> None:
        self._cancelled_at = time.monotonic()
        self._cancel()


def content(*, good: bool) -> bytes:
    end = "@example.com" if good else ""
    lines = "".join(f"c{n}{end},Ann,Lindgren,{n},Malmö\n" for n in range(ROWS))
    return f"email,first_name,last_name,phone,city\n{lines}".encode()
