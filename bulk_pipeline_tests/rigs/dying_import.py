"""An import whose run dies at a chosen call, and its expected outcome nevertheless."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.ledger.leases import Leases
from bulk_pipeline.pipeline.intake import take_in
from bulk_pipeline.settings import Settings
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline_tests.rigs.origins import without_jobs
from bulk_pipeline_tests.rigs.pipeline import LOOK_AGAIN_SECONDS, Pipeline

KEY = "customers/a.csv"
BATCH_ROWS = 10
ROWS = 95
"""Rows in ten batches. Every fifth is already in the table, every ninth is a duplicate, every tenth has no address."""


class _DiedError(BaseException):
    """Stands for the death of the process: nothing catches it."""


@dataclass(frozen=True)
class Outcome:
    status: Status
    counts: Counts
    failures: dict[str, int]
    content: list[tuple[Any, ...]]
    reports: dict[str, bytes]


def batch_by_batch(settings: Settings) -> Settings:
    """Load one batch at a time, so that the committed batches are known."""
    return settings.model_copy(update={"bulk_batch_rows": BATCH_ROWS, "bulk_load_connections": 1})


def undisturbed_outcome(pipeline: Pipeline) -> Outcome:
    """Return the outcome of an undisturbed import, and restore the table."""
    start(pipeline)
    done = outcome(pipeline, pipeline.load("customers/undisturbed.csv", content()))
    start(pipeline)
    return done


def requested(pipeline: Pipeline, content: bytes = b"email\na@example.com\n", key: str = KEY) -> str:
    """Upload a file and request its run; return the request's key."""
    pipeline.drop(key, content)
    while not (taken := take_in(pipeline.stores, pipeline.cursor)).requests:
        pipeline.cursor = taken.cursor
        time.sleep(LOOK_AGAIN_SECONDS)
    pipeline.cursor = taken.cursor
    (request,) = taken.requests
    pipeline.stores.ledger.requested(request.key)
    return request.key


def run_that_dies(
    pipeline: Pipeline, patch: pytest.MonkeyPatch, owner: object, name: str, call: int, is_done: bool
) -> None:
    """Run until the process dies at a call of the function, before or after its work."""
    requested(pipeline, content())
    patch.setattr(owner, name, breaking(getattr(owner, name), call, is_done, _DiedError()))
    patch.setattr(Leases, "release", lambda *_, **__: None)
    assert not pipeline.run(pipeline.job(KEY).id).success


def breaking(
    function: Callable[..., Any], call: int, is_done: bool, error: BaseException
) -> Callable[..., Any]:
    """Return the function with one call, counted from 1, that raises the error before or after its work."""
    calls = count(1)

    def called(*args: Any, **kwargs: Any) -> Any:
        is_the_one = next(calls) == call
        if is_the_one and not is_done:
            raise error
        result = function(*args, **kwargs)
        if is_the_one:
            raise error
        return result

    return called


def silence(pipeline: Pipeline) -> None:
    """Expire all leases."""
    with pipeline.stores.postgres.transaction() as connection:
        connection.execute("UPDATE bulk.job_leases SET heartbeat_at = heartbeat_at - interval '1 hour'")


def start(pipeline: Pipeline) -> None:
    with pipeline.stores.postgres.transaction() as connection:
        connection.execute("TRUNCATE customers")
        connection.execute(
            "INSERT INTO customers (email, city) SELECT 'c' || n || '@example.com', 'There before' "
            "FROM generate_series(5, %s, 5) AS n",
            [ROWS],
        )


def content() -> bytes:
    lines = [
        f"c{n - n // 9 % 2}@example.com,City {n}" if n % 10 else f"c{n},City" for n in range(1, ROWS + 1)
    ]
    return "".join(f"{line}\n" for line in ["email,city", *lines]).encode()


def outcome(pipeline: Pipeline, job: ImportJob) -> Outcome:
    return Outcome(
        status=job.status,
        counts=pipeline.counts(job),
        failures=job.failure_counts,
        content=pipeline.query("SELECT email, city FROM customers ORDER BY email"),
        reports=without_jobs({name: pipeline.report(job, name) for name in job.reports}),
    )
