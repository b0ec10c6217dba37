"""Runs that move from machine to machine: what a step finds there, and what they leave behind."""

import shutil
from collections.abc import Callable
from contextlib import closing
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from bulk_pipeline.definitions import defs
from bulk_pipeline.orchestration import cleaning, jobs, steps
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.settings import S3Folder, Settings
from bulk_pipeline.stores import s3
from bulk_pipeline.stores.jobs import ImportJob
from bulk_pipeline_tests.integration.conftest import Pipeline

CALLS = {
    "parse": "parse_upload",
    "validate": "validate_rows",
    "split": "split_rows",
    "load": "load_rows",
    "emit": "write_job_reports",
}
"""Op → the function of `steps` that does its work."""


def place(pipeline: Pipeline) -> S3Folder:
    found = pipeline.stores.settings.bulk_work_dir
    assert isinstance(found, S3Folder)
    return found


def leave_machine(pipeline: Pipeline) -> None:
    """What comes next happens where no work file is."""
    shutil.rmtree(pipeline.stores.settings.bulk_scratch_dir, ignore_errors=True)


def move_before_every_step(pipeline: Pipeline, patch: pytest.MonkeyPatch) -> None:
    def moving(step: Callable[..., Any]) -> Callable[..., Any]:
        def moved(*given: Any, **named: Any) -> Any:
            leave_machine(pipeline)
            return step(*given, **named)

        return moved

    for name in CALLS.values():
        patch.setattr(steps, name, moving(getattr(steps, name)))


def left(pipeline: Pipeline, client: s3.Client) -> list[str]:
    """Files and objects in the work location, apart from empty folders."""
    settings, found = pipeline.stores.settings, list[str]()
    if isinstance(settings.bulk_work_dir, S3Folder):
        listed = client.list_objects_v2(Bucket=settings.bulk_work_dir.bucket)
        found += [entry["Key"] for entry in listed.get("Contents", [])]
    files = pipeline.stores.work.folder.rglob("*")
    return found + [str(file) for file in files if file.is_file()]


def clean(pipeline: Pipeline, hours: float) -> int:
    """The nightly cleaning; -1 hours: nothing is too new."""
    given = {"bulk_work_retention_hours": hours}
    with closing(Stores(pipeline.stores.settings.model_copy(update=given))) as stores:
        return cleaning.remove_work_files(stores)


def name_servers(pipeline: Pipeline, patch: pytest.MonkeyPatch) -> None:
    """Whatever is started here finds the pipeline's servers and folders."""
    settings = pipeline.stores.settings
    for name in Settings.model_fields:
        value = getattr(settings, name)
        shown = value.get_secret_value() if isinstance(value, SecretStr) else value
        if shown is not None:
            patch.setenv(name.upper(), str(shown))


def dropped(pipeline: Pipeline, patch: pytest.MonkeyPatch, key: str, content: bytes) -> ImportJob:
    """The job of a file; what Dagster starts for it finds the same servers."""
    name_servers(pipeline, patch)
    return claimed(pipeline, key, content)


def claimed(pipeline: Pipeline, key: str, content: bytes) -> ImportJob:
    """The job of a file that was dropped, and which nobody works on."""
    pipeline.drop(key, content)
    found = pipeline.stores.objects.find(pipeline.stores.settings.s3_bucket_uploads, key)
    assert found is not None
    job = pipeline.stores.claims.claim(found)
    assert job is not None
    return job


def import_files() -> dg.JobDefinition:
    """With the resources that Dagster finds."""
    return _found(jobs.import_files)


def clean_up() -> dg.JobDefinition:
    return _found(jobs.clean_up)


def _found(job: dg.JobDefinition) -> dg.JobDefinition:
    return dg.Definitions(jobs=[job], resources=defs.resources).resolve_job_def(job.name)


def execute(pipeline: Pipeline, job: Callable[[], dg.JobDefinition], **given: Any) -> dg.JobExecutionResult:
    return dg.execute_job(dg.reconstructable(job), instance=pipeline.instance, raise_on_error=False, **given)


def run(
    pipeline: Pipeline, job: ImportJob, *, repeats: str | None = None, steps: str = "*"
) -> dg.JobExecutionResult:
    again = dg.ReexecutionOptions(parent_run_id=repeats, step_selection=[steps]) if repeats else None
    config = {"ops": {"parse": {"config": {"job_ids": [job.id]}}}}
    return execute(pipeline, import_files, run_config=config, reexecution_options=again)
