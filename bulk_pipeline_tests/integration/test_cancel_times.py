"""How long a cancel takes to be heard, op by op, at the defaults: the table of docs/reliability.md, printed with `-s`."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from bulk_pipeline.orchestration import exporting as exporting_module
from bulk_pipeline.orchestration import steps
from bulk_pipeline.settings import Settings
from bulk_pipeline.stores.export_jobs import ExportStatus
from bulk_pipeline.stores.jobs import Status
from bulk_pipeline_tests.integration.conftest import Pipeline
from bulk_pipeline_tests.integration.dying_import import KEY, requested
from bulk_pipeline_tests.integration.exports import Exporting
from bulk_pipeline_tests.integration.moving import CALLS

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
    cancelling = Cancelling(getattr(steps, CALLS[op]), lambda: pipeline.stores.ledger.cancel(job.id))
    monkeypatch.setattr(steps, CALLS[op], cancelling)
    pipeline.run(job.id)
    assert pipeline.job(KEY).status is Status.CANCELLED
    cancelling.tell(op)


def test_of_an_export(exporting: Exporting, monkeypatch: pytest.MonkeyPatch) -> None:
    exporting.have_many(ROWS)
    job = exporting.ask()
    cancelling = Cancelling(exporting_module.write_parts, lambda: exporting.stores.exports.cancel(job.id))
    monkeypatch.setattr(exporting_module, "write_parts", cancelling)
    assert exporting.run(job).status is ExportStatus.CANCELLED
    cancelling.tell("export")


class Cancelling:
    """A step, which somebody cancels soon after it has begun."""

    def __init__(self, step: Callable[..., Any], cancel: Callable[[], object]) -> None:
        self._step = step
        self._cancel = cancel
        self._cancelled_at = self._stopped_at = 0.0

    def __call__(self, *given: Any, **named: Any) -> Any:
        timer = threading.Timer(_INTO_THE_OP_SECONDS, self._cancel_now)
        timer.start()
        try:
            return self._step(*given, **named)
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
