"""A file with too many rejected rows loads nothing, and has an error and reports of the rows up to the limit."""

from contextlib import closing

import pytest

from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.rows.row_store import PostgresRowStore
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.dying_import import KEY, breaking, requested
from bulk_pipeline_tests.rigs.pipeline import Pipeline

MOST_ROWS, MOST_BYTES = 20, 40_000
BATCH_ROWS = 10
REST = "-0000-7000-8000-000000000000"
"""The rest of a UUID after its first eight digits."""
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
    """Other rows of the file are in the table by then, and every row must be in the table or in the reports."""
    pipeline.load("customers/before.csv", f"email,city\n{GOOD}".encode())
    job = pipeline.load(KEY, f"email,city\n{GOOD}new@example.com,x\n".encode())
    counts = pipeline.counts(job)
    assert (counts.inserted, counts.rejected, counts.unprocessed) == (1, 50, 0)
    assert len(pipeline.report(job, "errors.csv").splitlines()) == 51


def test_work_stops_at_the_budget(pipeline: Pipeline) -> None:
    """Of a million rows that validation rejects, only the first batch is reported."""
    job = pipeline.load(KEY, f"email,city\n{GOOD}".encode() + b"nobody,x\n" * 1_000_000)
    reported = len(pipeline.report(job, "errors.csv").splitlines()) - 1
    assert (job.status, job.total_rows) == (Status.FAILED, 1_000_050)
    assert MOST_ROWS < reported < 1_000_000


def broken_off(pipeline: Pipeline, key: str, content: bytes, patch: pytest.MonkeyPatch) -> None:
    """Upload a file, and run its job until a bug ends it after its second batch."""
    requested(pipeline, content, key)
    settle = breaking(PostgresRowStore.settle, 2, True, ZeroDivisionError())
    patch.setattr(PostgresRowStore, "settle", settle)
    pipeline.run(pipeline.job(key).id)
    assert pipeline.counts(pipeline.job(key)).inserted == 2 * BATCH_ROWS


NOTE = "x" * 50_000
REPORT_BYTES = 20_000_000
"""More bytes than rows that are read together."""


class TestTheSizeOfReports:
    """Reports have about `BULK_MAX_REPORT_BYTES`, even if rejected rows are larger than the others."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(
            update={"bulk_max_rejected_rows": 1_000_000, "bulk_max_report_bytes": REPORT_BYTES}
        )

    @pytest.mark.parametrize(
        "bad",
        [
            pytest.param(f"a,b,{NOTE},c,d\n", id="malformed"),
            pytest.param(f"nobody,x,{NOTE}\n", id="invalid"),
            pytest.param(f"c1@example.com,x,{NOTE}\n", id="repeated"),
        ],
    )
    def test_passes_its_bound_by_a_factor_of_two_at_most(self, pipeline: Pipeline, bad: str) -> None:
        good = "".join(f"c{n}@example.com,x,\n" for n in range(20_000))
        job = pipeline.load(KEY, f"email,city,note\n{good}{bad * 800}".encode())
        assert (job.status, job.error_code) == (Status.FAILED, "too_many_rejected")
        size_bytes = sum(len(pipeline.report(job, name)) for name in job.reports)
        assert REPORT_BYTES / 2 < size_bytes <= 2 * REPORT_BYTES


class TestAJobWithCommittedRows:
    """It has no budget: it continues until every row is in the table or in the report."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"bulk_batch_rows": BATCH_ROWS, "bulk_load_connections": 1})

    @pytest.mark.parametrize(
        "bad",
        [
            pytest.param("a,b,c,d\n", id="parse"),
            pytest.param("nobody,x\n", id="validate"),
            pytest.param("c1@example.com,x\n", id="split"),
        ],
    )
    @pytest.mark.parametrize("lowered", ["bulk_max_rejected_rows", "bulk_max_report_bytes"])
    def test_ends_although_a_setting_was_lowered(
        self, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, bad: str, lowered: str
    ) -> None:
        with monkeypatch.context() as patch:
            broken_off(pipeline, KEY, f"email,city\n{GOOD}{bad * 5}".encode(), patch)
        settings = pipeline.stores.settings.model_copy(update={lowered: 1})
        with closing(Stores(settings)) as stores:
            Pipeline(stores, pipeline.instance).work_off()
        job = pipeline.job(KEY)
        counts = pipeline.counts(job)
        assert (job.status, job.error, job.attempt) == (Status.COMPLETED_WITH_ERRORS, None, 2)
        assert (counts.inserted, counts.rejected, counts.unprocessed) == (50, 5, 0)
        assert len(pipeline.report(job, "errors.csv").splitlines()) == 6

    def test_ends_although_parents_are_gone(
        self, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stays, goes = "0" * 7 + "1", "0" * 7 + "2"
        users = "".join(f"{i}{REST},{i}@example.com,x,author\n" for i in (stays, goes))
        pipeline.load("users/a.csv", f"id,email,name,role\n{users}".encode())
        authors = [stays] * 2 * BATCH_ROWS + [goes] * (MOST_ROWS + 1)
        articles = "".join(
            f"{n:08}{REST},s-{n},x,x,{author}{REST},draft\n" for n, author in enumerate(authors)
        )
        key = "articles/a.csv"
        with monkeypatch.context() as patch:
            content = f"id,slug,title,body,author_id,status\n{articles}".encode()
            broken_off(pipeline, key, content, patch)
        with pipeline.stores.postgres.transaction() as connection:
            connection.execute("DELETE FROM users WHERE email = %s", [f"{goes}@example.com"])
        pipeline.work_off()
        job = pipeline.job(key)
        counts = pipeline.counts(job)
        assert (job.status, counts.inserted, counts.rejected) == (Status.COMPLETED_WITH_ERRORS, 20, 21)
        assert job.failure_counts == {"unknown_reference": 21}
        assert len(pipeline.report(job, "rejected.csv").splitlines()) == 22
