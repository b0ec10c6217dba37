"""Jobs whose ledger row is removed during their run: the run ends without error and writes nothing more.

Tests of the services that this one replaces truncate tables while jobs are pending or processing.
"""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from bulk_pipeline.ledger.attempts import Attempts
from bulk_pipeline.ledger.heartbeat import Heartbeat
from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.ledger.leases import Leases
from bulk_pipeline.orchestration import reaper
from bulk_pipeline.orchestration.asset_keys import table_key
from bulk_pipeline.pipeline import import_steps
from bulk_pipeline.pipeline.intake import take_in
from bulk_pipeline.rows.row_store import PostgresRowStore
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.settings import Settings
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline_tests.rigs.dying_import import KEY, batch_by_batch, content, requested, silence
from bulk_pipeline_tests.rigs.moving import claimed
from bulk_pipeline_tests.rigs.pipeline import Pipeline

OTHER = "customers/other.csv"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return batch_by_batch(settings)


def truncate(pipeline: Pipeline) -> None:
    with pipeline.stores.postgres.transaction() as connection:
        connection.execute("TRUNCATE customers, bulk.import_jobs CASCADE")


def truncating(
    pipeline: Pipeline, function: Callable[..., Any], call: int, is_done: bool
) -> Callable[..., Any]:
    """Return the function with one call, counted from 1, before or after which the tables are truncated."""
    calls = count(1)

    def called(*args: Any, **kwargs: Any) -> Any:
        is_the_one = next(calls) == call
        if is_the_one and not is_done:
            truncate(pipeline)
        result = function(*args, **kwargs)
        if is_the_one and is_done:
            truncate(pipeline)
        return result

    return called


def traces_left(pipeline: Pipeline) -> dict[str, Any]:
    """Return what a run left in the table, the ledger, the bucket of reports, Dagster's assets and the work files."""
    settings = pipeline.stores.settings
    events = pipeline.instance.get_latest_materialization_event(table_key("customers"))
    files = [file for file in pipeline.stores.work.folder.rglob("*") if file.is_file()]
    return {
        "rows": pipeline.query("SELECT email FROM customers"),
        "jobs": pipeline.query("SELECT id FROM bulk.import_jobs"),
        "batches": pipeline.query("SELECT job_id FROM bulk.import_batches"),
        "reports": [entry.key for entry in pipeline.stores.objects.page(settings.s3_bucket_reports).objects],
        "materialization": events,
        "work files": files,
    }


NOTHING = {"rows": [], "jobs": [], "batches": [], "reports": [], "materialization": None, "work files": []}


@pytest.mark.parametrize(
    ("owner", "name", "call", "is_done"),
    [
        pytest.param(Leases, "take", 1, False, id="before the run takes it", marks=pytest.mark.long),
        pytest.param(import_steps, "parse_upload", 1, False, id="before parse", marks=pytest.mark.long),
        pytest.param(import_steps, "parse_upload", 1, True, id="after parse, untold", marks=pytest.mark.long),
        pytest.param(Attempts, "note_parsed", 1, True, id="after parse", marks=pytest.mark.long),
        pytest.param(import_steps, "validate_rows", 1, True, id="after validate", marks=pytest.mark.long),
        pytest.param(import_steps, "split_rows", 1, True, id="after split"),
        pytest.param(PostgresRowStore, "settle", 1, False, id="before the first batch"),
        pytest.param(PostgresRowStore, "settle", 4, True, id="after the fourth batch"),
        pytest.param(PostgresRowStore, "settle", 10, True, id="after the last batch", marks=pytest.mark.long),
        pytest.param(
            import_steps, "write_job_reports", 1, False, id="before the reports", marks=pytest.mark.long
        ),
        pytest.param(ObjectStore, "put", 2, True, id="between two reports", marks=pytest.mark.long),
        pytest.param(Attempts, "finish", 1, False, id="before the end"),
    ],
)
def test_a_job_whose_row_is_gone_writes_nothing_more(
    pipeline: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    owner: object,
    name: str,
    call: int,
    is_done: bool,
) -> None:
    requested(pipeline, content())
    job_id = pipeline.job(KEY).id
    monkeypatch.setattr(owner, name, truncating(pipeline, getattr(owner, name), call, is_done))
    run = pipeline.run(job_id)
    output = capfd.readouterr().err
    assert run.success
    assert traces_left(pipeline) == NOTHING
    assert f"job {job_id}" in output
    assert "gone from the ledger" in output
    assert "Traceback" not in output
    assert "ERROR" not in output


def test_a_job_whose_row_is_gone_right_after_its_end_is_not_shown_on_its_asset(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested(pipeline, content())
    monkeypatch.setattr(Attempts, "finish", truncating(pipeline, Attempts.finish, 1, True))
    assert pipeline.run(pipeline.job(KEY).id).success
    left = traces_left(pipeline)
    assert (left["rows"], left["jobs"], left["materialization"], left["work files"]) == ([], [], None, [])


@pytest.mark.parametrize(
    ("name", "bad"), [("fail_file", b"\x89PNG\r\n\x1a\n"), ("finish_cancelled", b"email\na@example.com\n")]
)
def test_a_job_whose_row_is_gone_when_it_is_about_to_fail_or_to_be_cancelled_ends_quietly(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, name: str, bad: bytes
) -> None:
    requested(pipeline, bad)
    job_id = pipeline.job(KEY).id
    if name == "finish_cancelled":
        cancelling = import_steps.validate_rows

        def cancel(*args: Any) -> Any:
            pipeline.stores.leases.cancel(job_id)
            return cancelling(*args)

        monkeypatch.setattr(import_steps, "validate_rows", cancel)
    monkeypatch.setattr(Attempts, name, truncating(pipeline, getattr(Attempts, name), 1, False))
    assert pipeline.run(job_id).success
    assert traces_left(pipeline) == NOTHING


def test_other_jobs_of_the_run_continue(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    gone, stays = claimed(pipeline, KEY, content()), claimed(pipeline, OTHER, b"email\nb@example.com\n")
    validate = import_steps.validate_rows

    def removing(*args: Any) -> Any:
        with pipeline.stores.postgres.transaction() as connection:
            connection.execute("DELETE FROM bulk.import_jobs WHERE id = %s", (gone.id,))
        return validate(*args)

    monkeypatch.setattr(import_steps, "validate_rows", removing)
    assert pipeline.run(gone.id, stays.id).success
    job = pipeline.job(OTHER)
    assert (job.status, pipeline.counts(job)) == (Status.COMPLETED, Counts(total=1, inserted=1))
    assert pipeline.query("SELECT email FROM customers") == [("b@example.com",)]


def test_a_heartbeat_notices_that_a_job_is_gone(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The next step does not begin."""
    requested(pipeline, content())
    validate, beats = import_steps.validate_rows, list[Heartbeat[ImportJob]]()
    monkeypatch.setattr(Heartbeat, "__enter__", lambda beat: beats.append(beat) or beat)
    monkeypatch.setattr(Heartbeat, "__exit__", lambda *_: None)

    def removing(*args: Any) -> Any:
        truncate(pipeline)
        beats[0].beat()
        return validate(*args)

    monkeypatch.setattr(import_steps, "validate_rows", removing)
    monkeypatch.setattr(import_steps, "split_rows", lambda *_: pytest.fail("the step was begun"))
    assert pipeline.run(pipeline.job(KEY).id).success
    assert "gone from the ledger" in capfd.readouterr().err
    assert traces_left(pipeline) == NOTHING


def test_a_pending_job_that_is_gone_is_forgotten_and_the_next_file_is_imported(pipeline: Pipeline) -> None:
    requested(pipeline, content())
    truncate(pipeline)
    job = pipeline.load(KEY, b"email\nnew@example.com\n")
    assert (job.status, pipeline.counts(job)) == (Status.COMPLETED, Counts(total=1, inserted=1))
    assert take_in(pipeline.stores, pipeline.cursor).requests == ()


def test_the_reaper_passes_over_a_job_that_is_gone(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested(pipeline, content())
    pipeline.stores.leases.take([pipeline.job(KEY).id], "a run that died")
    silence(pipeline)
    expired = Leases.expired
    monkeypatch.setattr(Leases, "expired", truncating(pipeline, expired, 1, True))
    assert list(reaper.reap_dead_runs(pipeline.stores, pipeline.instance)) == []
