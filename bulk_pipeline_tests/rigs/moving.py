"""Runs that move between machines, and the files that they leave."""

import shutil
from collections.abc import Callable
from contextlib import closing
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from bulk_pipeline.definitions import defs
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.orchestration import jobs
from bulk_pipeline.pipeline import cleaning, import_steps
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.s3 import client as s3
from bulk_pipeline.settings import S3Folder, Settings
from bulk_pipeline_tests.rigs.pipeline import Pipeline

CALLS = {
    "parse": "parse_upload",
    "validate": "validate_rows",
    "split": "split_rows",
    "load": "load_rows",
    "emit": "write_job_reports",
}
"""The functions of `import_steps` by op."""


def place(pipeline: Pipeline) -> S3Folder:
    result = pipeline.stores.settings.bulk_work_dir
    assert isinstance(result, S3Folder)
    return result


def leave_machine(pipeline: Pipeline) -> None:
    """Continue on a machine without work files."""
    shutil.rmtree(pipeline.stores.settings.bulk_scratch_dir, ignore_errors=True)


def move_before_every_step(pipeline: Pipeline, patch: pytest.MonkeyPatch) -> None:
    def moving(step: Callable[..., Any]) -> Callable[..., Any]:
        def moved(*args: Any, **kwargs: Any) -> Any:
            leave_machine(pipeline)
            return step(*args, **kwargs)

        return moved

    for name in CALLS.values():
        patch.setattr(import_steps, name, moving(getattr(import_steps, name)))


def left(pipeline: Pipeline, client: s3.Client) -> list[str]:
    """Return the files and objects in the work location, without empty folders."""
    settings, result = pipeline.stores.settings, list[str]()
    if isinstance(settings.bulk_work_dir, S3Folder):
        listed = client.list_objects_v2(Bucket=settings.bulk_work_dir.bucket)
        result += [entry["Key"] for entry in listed.get("Contents", [])]
    files = pipeline.stores.work.folder.rglob("*")
    return result + [str(file) for file in files if file.is_file()]


def clean(pipeline: Pipeline, hours: float) -> int:
    """Run the nightly cleaning with a retention of -1 hours, so that no file is too new."""
    given = {"bulk_work_retention_hours": hours}
    with closing(Stores(pipeline.stores.settings.model_copy(update=given))) as stores:
        return cleaning.remove_work_files(stores)


def name_servers(pipeline: Pipeline, patch: pytest.MonkeyPatch) -> None:
    """Set the environment so that new processes find the pipeline's servers and folders."""
    settings = pipeline.stores.settings
    for name in Settings.model_fields:
        value = getattr(settings, name)
        shown = value.get_secret_value() if isinstance(value, SecretStr) else value
        if shown is not None:
            patch.setenv(name.upper(), str(shown))


def dropped(pipeline: Pipeline, patch: pytest.MonkeyPatch, key: str, content: bytes) -> ImportJob:
    """Return the job of an uploaded file; Dagster's processes for it find the same servers."""
    name_servers(pipeline, patch)
    return claimed(pipeline, key, content)


def claimed(pipeline: Pipeline, key: str, content: bytes) -> ImportJob:
    """Return the job of an uploaded file that no run has taken."""
    pipeline.drop(key, content)
    result = pipeline.stores.objects.find(pipeline.stores.settings.s3_bucket_uploads, key)
    assert result is not None
    job = pipeline.stores.claims.claim(result)
    assert job is not None
    return job


def import_files() -> dg.JobDefinition:
    """Run the import job with Dagster's own resources."""
    return _found(jobs.import_files)


def clean_up() -> dg.JobDefinition:
    return _found(jobs.clean_up)


def _found(job: dg.JobDefinition) -> dg.JobDefinition:
    return dg.Definitions(jobs=[job], resources=defs.resources).resolve_job_def(job.name)


def execute(pipeline: Pipeline, job: Callable[[], dg.JobDefinition], **kwargs: Any) -> dg.JobExecutionResult:
    return dg.execute_job(dg.reconstructable(job), instance=pipeline.instance, raise_on_error=False, **kwargs)


def run(
    pipeline: Pipeline, job: ImportJob, *, repeats: str | None = None, steps: str = "*"
) -> dg.JobExecutionResult:
    again = dg.ReexecutionOptions(parent_run_id=repeats, step_selection=[steps]) if repeats else None
    config = {"ops": {"parse": {"config": {"job_ids": [job.id]}}}}
    return execute(pipeline, import_files, run_config=config, reexecution_options=again)
