"""A job whose run dies or is cancelled, at any place, ends like an undisturbed one."""

from datetime import timedelta

import dagster as dg
import pytest

from bulk_pipeline.errors import StoreUnavailableError
from bulk_pipeline.ledger.attempts import Attempts
from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.orchestration import reaper
from bulk_pipeline.pipeline import import_steps
from bulk_pipeline.rows.row_store import PostgresRowStore
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs import moving
from bulk_pipeline_tests.rigs.dying_import import (
    BATCH_ROWS,
    KEY,
    Outcome,
    batch_by_batch,
    breaking,
    content,
    outcome,
    requested,
    run_that_dies,
    silence,
    undisturbed_outcome,
)
from bulk_pipeline_tests.rigs.pipeline import Pipeline


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return batch_by_batch(settings)


@pytest.fixture
def undisturbed(pipeline: Pipeline) -> Outcome:
    return undisturbed_outcome(pipeline)


@pytest.mark.parametrize(
    ("owner", "name", "call", "is_done"),
    [
        pytest.param(import_steps, "parse_upload", 1, False, id="before parse"),
        pytest.param(Attempts, "note_parsed", 1, False, id="after parse, untold", marks=pytest.mark.long),
        pytest.param(import_steps, "validate_rows", 1, False, id="before validate", marks=pytest.mark.long),
        pytest.param(import_steps, "split_rows", 1, True, id="after split", marks=pytest.mark.long),
        pytest.param(PostgresRowStore, "settle", 1, False, id="before the first batch"),
        pytest.param(PostgresRowStore, "settle", 1, True, id="after the first batch", marks=pytest.mark.long),
        pytest.param(PostgresRowStore, "settle", 6, True, id="after the sixth batch"),
        pytest.param(PostgresRowStore, "settle", 10, True, id="after the last batch", marks=pytest.mark.long),
        pytest.param(ObjectStore, "put", 2, True, id="between two reports"),
        pytest.param(Attempts, "finish", 1, False, id="before the end", marks=pytest.mark.long),
        pytest.param(Attempts, "finish", 1, True, id="after the end, untold"),
    ],
)
def test_a_job_whose_run_dies_is_finished_by_another(
    pipeline: Pipeline,
    undisturbed: Outcome,
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    call: int,
    is_done: bool,
) -> None:
    with monkeypatch.context() as patch:
        run_that_dies(pipeline, patch, owner, name, call, is_done)
    silence(pipeline)
    list(reaper.reap_dead_runs(pipeline.stores, pipeline.instance))
    pipeline.work_off()
    assert outcome(pipeline, pipeline.job(KEY)) == undisturbed


@pytest.mark.parametrize(
    ("owner", "name", "call", "is_done"),
    [
        pytest.param(ObjectStore, "open", 1, False, id="the archive does not answer"),
        pytest.param(PostgresRowStore, "existing", 1, False, id="Postgres goes before the search"),
        pytest.param(ObjectStore, "put", 2, False, id="no report can be written"),  # 1: the drop
        pytest.param(Attempts, "finish", 1, True, id="the answer to the last commit is lost"),
    ],
)
def test_an_outage_ends_the_run_and_the_next_one_finishes_the_job(
    pipeline: Pipeline,
    undisturbed: Outcome,
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    call: int,
    is_done: bool,
) -> None:
    with monkeypatch.context() as patch:
        error = StoreUnavailableError("the server does not answer")
        patch.setattr(owner, name, breaking(getattr(owner, name), call, is_done, error))
        pipeline.load(KEY, content())
    assert outcome(pipeline, pipeline.job(KEY)) == undisturbed


def test_a_bug_in_one_file_of_a_run_does_not_harm_the_others(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        pipeline.drop(f"customers/{name}.csv", f"email\n{name}@example.com\n".encode())
    with monkeypatch.context() as patch:
        patch.setattr(
            import_steps, "validate_rows", breaking(import_steps.validate_rows, 2, False, ZeroDivisionError())
        )
        pipeline.work_off()
    jobs = [pipeline.job(f"customers/{name}.csv") for name in ("a", "b", "c")]
    assert [job.status for job in jobs] == [Status.COMPLETED] * 3
    assert sorted(job.attempt for job in jobs) == [1, 1, 2]


def test_a_dead_run_is_reported_as_failed_and_its_job_gets_the_next_one_to_itself(pipeline: Pipeline) -> None:
    requested(pipeline)
    run = launch(pipeline, "key", dg.DagsterRunStatus.STARTED)
    pipeline.stores.leases.take([pipeline.job(KEY).id], run_id := run.run_id)
    assert list(reaper.reap_dead_runs(pipeline.stores, pipeline.instance)) == []
    silence(pipeline)
    (message,) = reaper.reap_dead_runs(pipeline.stores, pipeline.instance)
    job = pipeline.job(KEY)
    assert message == f"run {run_id} died with job {job.id}, which is processing now"
    assert status(pipeline, run_id) is dg.DagsterRunStatus.FAILURE
    assert (job.isolated, job.error) == (True, f"run {run_id} died")


def test_a_dead_run_that_a_person_has_cancelled_takes_its_job_with_it(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        run_that_dies(pipeline, patch, PostgresRowStore, "settle", 2, True)
    run = pipeline.instance.get_run_by_id(str(pipeline.job(KEY).run_id))
    assert run is not None
    pipeline.instance.report_run_canceled(run)
    silence(pipeline)
    list(reaper.reap_dead_runs(pipeline.stores, pipeline.instance))
    job = pipeline.job(KEY)
    assert (job.status, pipeline.counts(job).processed) == (Status.CANCELLED, 2 * BATCH_ROWS)


def test_a_run_that_died_before_it_took_its_job_is_reported_and_another_one_requested(
    pipeline: Pipeline,
) -> None:
    key = requested(pipeline)
    run = launch(pipeline, key, dg.DagsterRunStatus.STARTED, pipeline.job(KEY).id)
    (message,) = reaper.end_silent_runs(pipeline.stores, pipeline.instance, timedelta(0))
    assert message == f"run {run.run_id} died without a job"
    assert status(pipeline, run.run_id) is dg.DagsterRunStatus.FAILURE
    list(reaper.forget_lost_requests(pipeline.stores, pipeline.instance, timedelta(0)))
    pipeline.work_off()
    assert pipeline.job(KEY).status is Status.COMPLETED


def test_a_run_that_died_after_it_finished_its_job_is_reported(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        run_that_dies(pipeline, patch, Attempts, "finish", 1, True)
    job = pipeline.job(KEY)
    run = launch(pipeline, "key", dg.DagsterRunStatus.STARTED, job.id)
    with pipeline.stores.postgres.transaction() as connection:
        connection.execute("UPDATE bulk.import_jobs SET run_id = %s", [run.run_id])
    assert list(reaper.end_silent_runs(pipeline.stores, pipeline.instance, timedelta(hours=1))) == []
    (message,) = reaper.end_silent_runs(pipeline.stores, pipeline.instance, timedelta(0))
    assert message == f"run {run.run_id} died without a job"
    assert status(pipeline, run.run_id) is dg.DagsterRunStatus.FAILURE


def test_a_run_that_works_on_its_job_is_left_alone(pipeline: Pipeline) -> None:
    run = launch(pipeline, requested(pipeline), dg.DagsterRunStatus.STARTED, pipeline.job(KEY).id)
    pipeline.stores.leases.take([pipeline.job(KEY).id], run.run_id)
    assert list(reaper.end_silent_runs(pipeline.stores, pipeline.instance, timedelta(0))) == []


def test_a_requested_run_that_never_started_is_requested_again(pipeline: Pipeline) -> None:
    requested(pipeline)
    (message,) = reaper.forget_lost_requests(pipeline.stores, pipeline.instance, timedelta(0))
    job = pipeline.job(KEY)
    assert message == f"the run for job {job.id} never started: another one will be asked for"
    pipeline.work_off()
    assert pipeline.job(KEY).status is Status.COMPLETED


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_a_run_that_waits_for_its_turn_is_waited_for(pipeline: Pipeline, status: dg.DagsterRunStatus) -> None:
    launch(pipeline, requested(pipeline), status)
    assert list(reaper.forget_lost_requests(pipeline.stores, pipeline.instance, timedelta(0))) == []


def test_a_run_that_a_person_has_cancelled_in_the_queue_takes_its_job_with_it(pipeline: Pipeline) -> None:
    run = launch(pipeline, requested(pipeline), dg.DagsterRunStatus.NOT_STARTED)
    pipeline.instance.report_run_canceled(run)
    (message,) = reaper.forget_lost_requests(pipeline.stores, pipeline.instance, timedelta(0))
    job = pipeline.job(KEY)
    assert message == f"the run for job {job.id} was cancelled before it started, and so is the job"
    assert job.status is Status.CANCELLED


def launch(pipeline: Pipeline, run_key: str, status: dg.DagsterRunStatus, *job_ids: str) -> dg.DagsterRun:
    config = {"ops": {"parse": {"config": {"job_ids": list(job_ids)}}}}
    tags = {reaper.RUN_KEY_TAG: run_key}
    return pipeline.instance.create_run_for_job(
        moving.import_files(), run_config=config, tags=tags, status=status
    )


def status(pipeline: Pipeline, run_id: str) -> dg.DagsterRunStatus:
    run = pipeline.instance.get_run_by_id(run_id)
    assert run is not None
    return run.status
