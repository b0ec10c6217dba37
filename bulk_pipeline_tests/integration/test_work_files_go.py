"""Work files of jobs that are cancelled or failed go at once, and so does what a parser that died has unpacked."""

import shutil
from collections.abc import Callable

import pytest

from bulk_pipeline.errors import FileError, JobCancelledError, LoadRefusedError
from bulk_pipeline.orchestration import reaping, steps
from bulk_pipeline.stores.jobs import Status
from bulk_pipeline_tests.integration.conftest import Pipeline
from bulk_pipeline_tests.integration.dying_import import KEY, requested, silence
from bulk_pipeline_tests.integration.packing import zipped

ROWS = b"email\na@example.com\n"


def files(pipeline: Pipeline, job_id: str) -> list[str]:
    return [file.name for file in (pipeline.stores.work.folder / job_id).rglob("*") if file.is_file()]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        pytest.param(lambda: FileError("too_large", "too large"), Status.FAILED, id="the file"),
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

    monkeypatch.setattr(steps, "validate_rows", ending)
    pipeline.run(job.id)
    assert sorted(seen) == ["raw.arrow", "records.arrow"]
    assert (pipeline.job(KEY).status, files(pipeline, job.id)) == (status, [])


def test_of_a_job_whose_last_run_died(pipeline: Pipeline) -> None:
    requested(pipeline, ROWS)
    job = pipeline.job(KEY)
    for _ in range(pipeline.stores.settings.bulk_max_attempts):
        pipeline.stores.leases.take([job.id], "run")
        pipeline.stores.work.put(f"{job.id}/1/records.arrow", b"left behind")
        silence(pipeline)
        list(reaping.reap_dead_runs(pipeline.stores, pipeline.instance))
    assert (pipeline.job(KEY).status, files(pipeline, job.id)) == (Status.FAILED, [])


def test_what_a_parser_that_died_has_unpacked_goes_with_its_job(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested(pipeline, zipped(ROWS))
    job = pipeline.job(KEY)

    def dying(*_: object) -> None:
        (unpacked,) = pipeline.stores.work.folder.glob(f"{job.id}/1/bulk-parse-*")
        shutil.copytree(unpacked, unpacked.with_name("bulk-parse-dead"))
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(steps, "parse_upload", dying)
        pipeline.run(job.id)
    assert files(pipeline, job.id) == ["1"]
    pipeline.work_off()
    assert (pipeline.job(KEY).status, files(pipeline, job.id)) == (Status.COMPLETED, [])
