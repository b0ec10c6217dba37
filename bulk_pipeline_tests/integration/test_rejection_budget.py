"""A file with more rejected rows than it may have loads nothing, says so, and has reports of the rows up to there."""

import pytest

from bulk_pipeline.settings import Settings
from bulk_pipeline.stores.jobs import Status
from bulk_pipeline_tests.integration.conftest import Pipeline
from bulk_pipeline_tests.integration.dying_import import KEY

MOST_ROWS, MOST_BYTES = 20, 40_000
GOOD = "".join(f"c{n}@example.com,x\n" for n in range(50))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={"bulk_max_rejected_rows": MOST_ROWS, "bulk_max_report_bytes": MOST_BYTES}
    )


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        pytest.param("a,b,c,d\n" * (MOST_ROWS + 1), "malformed_row", id="parse"),
        pytest.param("nobody,x\n" * (MOST_ROWS + 1), "bad_format", id="validate"),
        pytest.param("c1@example.com,x\n" * (MOST_ROWS + 1), "duplicate_in_file", id="split"),
        pytest.param(f"nobody,{'x' * 4000}\n" * MOST_ROWS, "bad_format", id="wide rows"),
    ],
)
def test_too_many_rejected_rows(pipeline: Pipeline, bad: str, code: str) -> None:
    job = pipeline.load(KEY, f"email,city\n{GOOD}{bad}".encode())
    assert (job.status, job.error_code) == (Status.FAILED, "too_many_rejected")
    assert "too many rejected rows" in str(job.error)
    assert pipeline.query("SELECT email FROM customers") == []
    rejected = bad.count("\n")
    assert job.failure_counts[code] == rejected
    assert len(pipeline.report(job, "errors.csv").splitlines()) == rejected + 1
    assert len(pipeline.report(job, "rejected.csv").splitlines()) == rejected + 1
    assert not (pipeline.stores.work.folder / job.id).exists()


@pytest.mark.parametrize("bad", ["a,b,c,d\n", "nobody,x\n", "c1@example.com,x\n"])
def test_as_many_as_allowed(pipeline: Pipeline, bad: str) -> None:
    job = pipeline.load(KEY, f"email,city\n{GOOD}{bad * MOST_ROWS}".encode())
    counts = pipeline.counts(job)
    assert (job.status, counts.inserted, counts.rejected) == (Status.COMPLETED_WITH_ERRORS, 50, MOST_ROWS)


def test_rows_that_the_database_refuses_are_reported_whole(pipeline: Pipeline) -> None:
    """Others of their file are in the table by then, and every row must be in one of the two."""
    pipeline.load("customers/before.csv", f"email,city\n{GOOD}".encode())
    job = pipeline.load(KEY, f"email,city\n{GOOD}new@example.com,x\n".encode())
    counts = pipeline.counts(job)
    assert (counts.inserted, counts.rejected, counts.unprocessed) == (1, 50, 0)
    assert len(pipeline.report(job, "errors.csv").splitlines()) == 51


def test_work_stops_at_the_budget(pipeline: Pipeline) -> None:
    """Of a million rows that validation rejects the reports have those of the first batch."""
    job = pipeline.load(KEY, f"email,city\n{GOOD}".encode() + b"nobody,x\n" * 1_000_000)
    reported = len(pipeline.report(job, "errors.csv").splitlines()) - 1
    assert (job.status, job.total_rows) == (Status.FAILED, 1_000_050)
    assert MOST_ROWS < reported < 1_000_000
