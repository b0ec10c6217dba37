"""Runs with work files in S3: any step may run on another machine, and no file stays behind."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner

from bulk_pipeline.cli.app import app
from bulk_pipeline.errors import StoreUnavailableError
from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.pipeline import cleaning, import_steps
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.s3 import client as s3
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.settings import S3Folder, Settings
from bulk_pipeline_tests.rigs.moving import (
    CALLS,
    claimed,
    clean,
    clean_up,
    dropped,
    execute,
    leave_machine,
    left,
    move_before_every_step,
    name_servers,
    place,
    run,
)
from bulk_pipeline_tests.rigs.origins import without_jobs
from bulk_pipeline_tests.rigs.pipeline import Pipeline

KEY = "users/a.csv"
ROWS = 40


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"bulk_batch_rows": 10})


@pytest.fixture
def apart(pipeline: Pipeline, s3_client: s3.Client) -> Iterator[Pipeline]:
    """The pipeline with work files in S3."""
    bucket = f"work-{uuid4().hex[:12]}"
    s3_client.create_bucket(Bucket=bucket)
    given = {"bulk_work_dir": S3Folder(bucket, "eu/runs")}
    with closing(Stores(pipeline.stores.settings.model_copy(update=given))) as stores:
        yield Pipeline(stores, pipeline.instance)


@pytest.fixture
def usual(pipeline: Pipeline) -> dict[str, Any]:
    """Return the outcome of the file with work files in a folder, and restore the table."""
    done = outcome(pipeline, pipeline.load("users/undisturbed.csv", content()))
    with pipeline.stores.postgres.transaction() as connection:
        connection.execute("TRUNCATE users CASCADE")
    return done


def test_every_step_may_happen_on_another_machine(
    apart: Pipeline, usual: dict[str, Any], s3_client: s3.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    fetch = ObjectStore.open

    def told(store: ObjectStore, bucket: str, key: str) -> Any:
        if bucket == place(apart).bucket:
            fetched.append(key.rpartition("/")[2])
        return fetch(store, bucket, key)

    monkeypatch.setattr(ObjectStore, "open", told)
    move_before_every_step(apart, monkeypatch)
    assert outcome(apart, apart.load(KEY, content())) == usual
    assert set(fetched) == {
        *("records.arrow", "raw.arrow", "parse_failures.arrow", "rows.arrow"),
        *("validate_failures.arrow", "split_failures.arrow", "selection.arrow"),
    }
    assert left(apart, s3_client) == []


@pytest.mark.parametrize(
    ("name", "call"),
    [("upload", 1), ("upload", 5), ("open", 1), ("open", 4)],
)
def test_an_outage_of_the_work_bucket_ends_the_run_and_the_next_one_finishes_the_job(
    apart: Pipeline,
    usual: dict[str, Any],
    s3_client: s3.Client,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    call: int,
) -> None:
    original, calls = getattr(ObjectStore, name), count(1)

    def goes_out(store: ObjectStore, bucket: str, *args: Any, **kwargs: Any) -> Any:
        if bucket == place(apart).bucket and next(calls) == call:
            raise StoreUnavailableError("the server does not answer")
        return original(store, bucket, *args, **kwargs)

    monkeypatch.setattr(ObjectStore, name, goes_out)
    move_before_every_step(apart, monkeypatch)
    job = apart.load(KEY, content())
    assert (outcome(apart, job), job.attempt, next(calls) > call) == (usual, 2, True)
    assert left(apart, s3_client) == []


def test_a_job_that_is_done_stays_done_if_its_work_files_cannot_be_removed(
    apart: Pipeline, usual: dict[str, Any], s3_client: s3.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def goes_out(*_: object) -> None:
        raise StoreUnavailableError("the server does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "remove", goes_out)
        job = apart.load(KEY, content())
    assert (outcome(apart, job), job.attempt) == (usual, 1)
    assert left(apart, s3_client) != []
    clean(apart, hours=-1)
    assert left(apart, s3_client) == []


@pytest.mark.parametrize(
    ("where", "step"),
    [("pipeline", "load"), ("apart", "validate"), ("apart", "split"), ("apart", "load"), ("apart", "emit")],
)
def test_a_run_is_taken_up_at_any_step_on_another_machine(
    request: pytest.FixtureRequest,
    usual: dict[str, Any],
    s3_client: s3.Client,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    step: str,
) -> None:
    pipeline: Pipeline = request.getfixturevalue(where)
    job = dropped(pipeline, monkeypatch, KEY, content())
    with monkeypatch.context() as patch:
        patch.setattr(import_steps, CALLS[step], out_of_reach)
        failed = run(pipeline, job)
    assert not failed.success
    assert pipeline.job(KEY).status is Status.PROCESSING
    if where == "apart":
        leave_machine(pipeline)
    repeated = run(pipeline, job, repeats=failed.run_id, steps=f"{step}*")
    assert repeated.success
    assert outcome(pipeline, pipeline.job(KEY)) == usual
    clean(pipeline, hours=-1)
    assert left(pipeline, s3_client) == []


def test_a_finished_run_leaves_nothing_and_has_nothing_to_do_when_a_step_is_repeated(
    apart: Pipeline, s3_client: s3.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = dropped(apart, monkeypatch, KEY, content())
    done = run(apart, job)
    assert done.success
    assert left(apart, s3_client) == []
    before = apart.job(KEY)
    assert run(apart, job, repeats=done.run_id, steps="load*").success
    assert (apart.job(KEY), left(apart, s3_client)) == (before, [])


def test_a_run_whose_files_are_gone_cannot_be_taken_up(
    apart: Pipeline, usual: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = dropped(apart, monkeypatch, KEY, content())
    with monkeypatch.context() as patch:
        patch.setattr(import_steps, "load_rows", out_of_reach)
        failed = run(apart, job)
    leave_machine(apart)
    apart.stores.work.remove(failed.run_id)
    repeated = run(apart, job, repeats=failed.run_id, steps="load*")
    (message,) = (event for event in repeated.all_events if event.is_step_failure)
    assert "run the job again from parse" in str(message.step_failure_data.error)
    apart.work_off()
    assert outcome(apart, apart.job(KEY)) == usual


def test_only_unneeded_and_unchanged_files_are_removed_at_night(
    apart: Pipeline, s3_client: s3.Client
) -> None:
    done = apart.load(KEY, content())
    waiting = claimed(apart, "users/b.csv", content())
    for owner in (done.id, waiting.id, str(uuid4())):
        apart.stores.work.put(f"{owner}/1/rows.arrow", b"content")
    foreign = place(apart).key("customers/mine.csv")
    s3_client.put_object(Bucket=place(apart).bucket, Key=foreign, Body=b"")
    leave_machine(apart)
    assert clean(apart, hours=24) == 0
    assert clean(apart, hours=-1) == 2
    assert left(apart, s3_client) == sorted([foreign, place(apart).key(f"{waiting.id}/1/rows.arrow")])


def test_the_nightly_job_throws_broken_uploads_of_work_files_away(
    apart: Pipeline, s3_client: s3.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_servers(apart, monkeypatch)
    monkeypatch.setattr(cleaning, "STALE_UPLOAD", timedelta(seconds=-5))
    bucket = place(apart).bucket
    for key in (place(apart).key("broken/1/rows.arrow"), "elsewhere/mine"):
        s3_client.create_multipart_upload(Bucket=bucket, Key=key)
    assert execute(apart, clean_up).success
    (upload,) = s3_client.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert upload["Key"] == "elsewhere/mine"


@pytest.mark.parametrize("is_there", [True, False])
def test_doctor_looks_whether_work_files_can_be_written(
    apart: Pipeline, s3_client: s3.Client, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    name_servers(apart, monkeypatch)
    if not is_there:
        s3_client.delete_bucket(Bucket=place(apart).bucket)
    result = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    (problem,) = (one["problem"] for one in result if one["subject"] == "work files")
    assert (problem is None) == is_there
    if is_there:
        assert left(apart, s3_client) == []
    else:
        assert place(apart).bucket in problem


def content() -> bytes:
    """Return a file of good, broken and duplicate rows."""
    lines = [
        f"{UUID(int=n)},u{n - n // 9 % 2}@example.com,Ada,{'reader' if n % 10 else 'boss'}"
        for n in range(1, ROWS + 1)
    ]
    lines.insert(3, "too,short")
    return "".join(f"{line}\n" for line in ["id,email,name,role", *lines]).encode()


def outcome(pipeline: Pipeline, job: ImportJob) -> dict[str, Any]:
    return {
        "status": job.status,
        "counts": pipeline.counts(job),
        "failures": job.failure_counts,
        "content": pipeline.query("SELECT id, email, name, role FROM users ORDER BY id"),
        "reports": without_jobs({name: pipeline.report(job, name) for name in job.reports}),
    }


def out_of_reach(*_: object, **__: object) -> None:
    raise StoreUnavailableError("the server does not answer")
