"""Work files of cancelled or failed jobs, and unpacked files of dead parsers, are removed at once."""

import shutil
from collections.abc import Callable

import pytest

from bulk_pipeline.errors import FileError, FileErrorCode, JobCancelledError, LoadRefusedError
from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.orchestration import reaper
from bulk_pipeline.orchestration.jobs import import_files
from bulk_pipeline.orchestration.resources import build_resources
from bulk_pipeline.pipeline import import_steps
from bulk_pipeline_tests.rigs.dying_import import KEY, requested, silence
from bulk_pipeline_tests.rigs.packing import zipped
from bulk_pipeline_tests.rigs.pipeline import Pipeline

ROWS = b"email\na@example.com\n"


def files(pipeline: Pipeline, job_id: str) -> list[str]:
    return [file.name for file in (pipeline.stores.work.folder / job_id).rglob("*") if file.is_file()]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        pytest.param(lambda: FileError(FileErrorCode.TOO_LARGE, "too large"), Status.FAILED, id="the file"),
        pytest.param(lambda: LoadRefusedError("no such table"), Status.FAILED, id="the table"),
        pytest.param(lambda: JobCancelledError("cancelled"), Status.CANCELLED, id="a cancel"),
    ],
)
def test_of_a_job_that_ends_early(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception], status: Status
) -> None:
    requested(pipeline, ROWS)
    job, seen = pipeline.job(KEY), list[str]()

    def ending(*_: object) -> None:
        seen.extend(files(pipeline, job.id))
        raise error()

    monkeypatch.setattr(import_steps, "validate_rows", ending)
    pipeline.run(job.id)
    assert sorted(seen) == ["raw.arrow", "records.arrow"]
    assert (pipeline.job(KEY).status, files(pipeline, job.id)) == (status, [])


@pytest.mark.parametrize(
    "content", [b"email\nnot an address\n", b"\x89PNG\r\n\x1a\n"], ids=["its rows", "its format"]
)
def test_what_the_ops_passed_on_goes_too_if_the_job_fails(pipeline: Pipeline, content: bytes) -> None:
    requested(pipeline, content)
    config = {"ops": {"parse": {"config": {"job_ids": [pipeline.job(KEY).id]}}}}
    result = import_files.execute_in_process(
        run_config=config,
        resources=build_resources(pipeline.stores),
        instance=pipeline.instance,
        raise_on_error=False,
    )
    assert (result.success, pipeline.job(KEY).status) == (False, Status.FAILED)
    assert [file for file in pipeline.stores.work.folder.rglob("*") if file.is_file()] == []


def test_of_a_job_whose_last_run_died(pipeline: Pipeline) -> None:
    requested(pipeline, ROWS)
    job = pipeline.job(KEY)
    for _ in range(pipeline.stores.settings.bulk_max_attempts):
        pipeline.stores.leases.take([job.id], "run")
        pipeline.stores.work.put(f"{job.id}/1/records.arrow", b"left behind")
        silence(pipeline)
        list(reaper.reap_dead_runs(pipeline.stores, pipeline.instance))
    assert (pipeline.job(KEY).status, files(pipeline, job.id)) == (Status.FAILED, [])


def test_unpacked_files_of_a_dead_parser_are_removed_with_its_job(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested(pipeline, zipped(ROWS))
    job = pipeline.job(KEY)

    def dying(*_: object) -> None:
        (unpacked,) = pipeline.stores.work.folder.glob(f"{job.id}/1/bulk-parse-*")
        shutil.copytree(unpacked, unpacked.with_name("bulk-parse-dead"))
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(import_steps, "parse_upload", dying)
        pipeline.run(job.id)
    assert sorted(files(pipeline, job.id)) == ["1", "lock"]
    pipeline.work_off()
    assert (pipeline.job(KEY).status, files(pipeline, job.id)) == (Status.COMPLETED, [])
