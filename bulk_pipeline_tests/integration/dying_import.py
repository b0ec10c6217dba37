"""An import whose run dies at a chosen call, and what must come of it all the same."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from bulk_pipeline.orchestration.intake import take_in
from bulk_pipeline.settings import Settings
from bulk_pipeline.stores.jobs import Counts, ImportJob, Status
from bulk_pipeline.stores.leases import Leases
from bulk_pipeline_tests.integration.conftest import LOOK_AGAIN_SECONDS, Pipeline

KEY = "customers/a.csv"
BATCH_ROWS = 10
ROWS = 95
"""In ten batches. Every fifth is in the table before, every ninth is a double, every tenth has no address."""


class _DiedError(BaseException):
    """The process is gone: nothing that is left of it can do anything more."""


@dataclass(frozen=True)
class Outcome:
    status: Status
    counts: Counts
    failures: dict[str, int]
    content: list[tuple[Any, ...]]
    reports: dict[str, bytes]


def batch_by_batch(settings: Settings) -> Settings:
    """One batch at a time, so that it is known which ones are in."""
    return settings.model_copy(update={"bulk_batch_rows": BATCH_ROWS, "bulk_load_connections": 1})


def undisturbed_outcome(pipeline: Pipeline) -> Outcome:
    """What must come of the file; the table is afterwards as it was before."""
    start(pipeline)
    done = outcome(pipeline, pipeline.load("customers/undisturbed.csv", content()))
    start(pipeline)
    return done


def requested(pipeline: Pipeline, content: bytes = b"email\na@example.com\n") -> str:
    """A file for which a run was asked for; gives the request's key."""
    pipeline.drop(KEY, content)
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
    """A run whose process dies at that call of the function, before or after it has done its work."""
    requested(pipeline, content())
    patch.setattr(owner, name, breaking(getattr(owner, name), call, is_done, _DiedError()))
    patch.setattr(Leases, "release", lambda *_, **__: None)
    assert not pipeline.run(pipeline.job(KEY).id).success


def breaking(
    function: Callable[..., Any], call: int, is_done: bool, error: BaseException
) -> Callable[..., Any]:
    """The function, of which one call, counted from 1, raises the error before or after its work."""
    calls = count(1)

    def called(*given: Any, **named: Any) -> Any:
        is_the_one = next(calls) == call
        if is_the_one and not is_done:
            raise error
        result = function(*given, **named)
        if is_the_one:
            raise error
        return result

    return called


def silence(pipeline: Pipeline) -> None:
    """Let all leases run out."""
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
        reports={name: pipeline.report(job, name) for name in job.reports},
    )
