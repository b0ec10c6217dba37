"""A file that ends the process that reads it fails soon and alone; processes killed from outside fail no job."""

import signal
import subprocess
import sys

import pytest

from bulk_pipeline.ledger.import_batches import record
from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.orchestration import reaper
from bulk_pipeline.pipeline.run_process import RunProcess
from bulk_pipeline.stages.counts import LoadCounts
from bulk_pipeline.stages.load.row_store import Range, RangeOutcome
from bulk_pipeline.stages.split.failure_messages import in_row_order
from bulk_pipeline_tests.rigs.dying_import import KEY, silence
from bulk_pipeline_tests.rigs.moving import claimed, name_servers
from bulk_pipeline_tests.rigs.pipeline import Pipeline

ENDS_PROCESS = """
import os, signal, sys
import dagster as dg
from bulk_pipeline.orchestration.jobs import import_files
from bulk_pipeline.orchestration.resources import build_resources
from bulk_pipeline.pipeline import import_steps
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.settings import read_settings

import_steps.validate_rows = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
with dg.DagsterInstance.ephemeral() as instance:
    import_files.execute_in_process(
        run_config={"ops": {"parse": {"config": {"job_ids": sys.argv[1:]}}}},
        resources=build_resources(Stores(read_settings())),
        instance=instance,
    )
"""
"""A run in its own process, which the file ends."""

PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
"""A parent that starts such a run and ends with it, as in a deploy."""


def die(*job_ids: str, parent_too: bool = False) -> None:
    parent = [sys.executable, "-c", PARENT] if parent_too else [sys.executable, "-c"]
    done = subprocess.run([*parent, ENDS_PROCESS, *job_ids], capture_output=True, check=False)
    assert done.returncode == (0 if parent_too else -signal.SIGKILL), done.stderr.decode()


def reap(pipeline: Pipeline) -> None:
    silence(pipeline)
    assert list(reaper.reap_dead_runs(pipeline.stores, pipeline.instance))


@pytest.fixture(autouse=True)
def _environment(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    name_servers(pipeline, monkeypatch)


def test_a_file_that_ends_its_process_twice_fails_and_says_so(pipeline: Pipeline) -> None:
    job = claimed(pipeline, KEY, b"email\na@example.com\n")
    for status in (Status.PROCESSING, Status.FAILED):
        die(job.id)
        reap(pipeline)
        assert pipeline.job(KEY).status is status
    failed = pipeline.job(KEY)
    assert (failed.attempt, failed.error_code) == (2, "ends_process")
    assert str(failed.error).startswith("this file ends the process that reads it: 2 runs")
    assert pipeline.query("SELECT job_id FROM bulk.job_leases") == []


def test_a_run_that_died_with_its_parent_fails_no_job(pipeline: Pipeline) -> None:
    job = claimed(pipeline, KEY, b"email\na@example.com\n")
    for _ in range(3):
        die(job.id, parent_too=True)
        reap(pipeline)
    assert pipeline.job(KEY).status is Status.PROCESSING
    assert pipeline.query("SELECT crashes FROM bulk.import_jobs") == [(0,)]
    pipeline.work_off()
    assert pipeline.job(KEY).status is Status.COMPLETED


def test_of_several_files_none_is_blamed_and_each_gets_its_next_run_to_itself(pipeline: Pipeline) -> None:
    jobs = [
        claimed(pipeline, f"customers/{name}.csv", f"email\n{name}@example.com\n".encode()) for name in "ab"
    ]
    die(*(job.id for job in jobs))
    reap(pipeline)
    assert pipeline.query("SELECT crashes, isolated FROM bulk.import_jobs") == [(0, True)] * 2


def test_a_run_that_still_lives_has_not_crashed() -> None:
    assert not RunProcess.read(str(RunProcess.current())).died_alone()


def test_another_host_cannot_know() -> None:
    here = RunProcess.current()
    assert not RunProcess("elsewhere", 2**22 + 1, 0.0, here.pid, here.started_at).died_alone()
    assert RunProcess(here.host, 2**22 + 1, 0.0, here.pid, here.started_at).died_alone()


def test_a_job_with_committed_rows_never_fails_by_a_crash(pipeline: Pipeline) -> None:
    """Every row must end in the table or in the report."""
    job = claimed(pipeline, KEY, b"email\na@example.com\n")
    for number in range(3):
        (lease,) = pipeline.stores.leases.take([job.id], f"run-{number}")
        if number == 0:
            settled = RangeOutcome(LoadCounts(inserted=1), in_row_order([]))
            with pipeline.stores.postgres.transaction() as connection:
                record(connection, job.id, lease.attempt, Range(1, 1), settled)
        silence(pipeline)
        pipeline.stores.leases.reap(lease, error="died", is_crash=True)
    assert pipeline.query("SELECT crashes, status FROM bulk.import_jobs") == [(3, "processing")]
