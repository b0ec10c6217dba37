"""A file that needs more memory than its run may have fails at once and alone."""

import io
import random
import subprocess
import sys

import pyarrow as pa
import pytest
from pyarrow import parquet

from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline_tests.rigs.moving import claimed, name_servers
from bulk_pipeline_tests.rigs.pipeline import Pipeline

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA is enforced by Linux only")

RUN = """
import os, sys
from pathlib import Path
import dagster as dg
from bulk_pipeline.orchestration.launch import preload
from bulk_pipeline.pipeline import import_steps
from bulk_pipeline_tests.rigs import moving

used = int(Path("/proc/self/status").read_text().split("VmData:")[1].split()[0]) << 10
os.environ["BULK_RUN_MEMORY_BYTES"] = str(max(used + (150 << 20), 300_000_000))
exec(sys.argv[1])
with dg.DagsterInstance.ephemeral() as instance:
    done = moving.import_files().execute_in_process(
        run_config={"ops": {"parse": {"config": {"job_ids": sys.argv[2:]}}}}, instance=instance, raise_on_error=False
    )
print(done.success)
"""
"""A run in a separate process, which may use 150 MB more than at its start."""

HOARDS_AFTER_COMMIT = """
load = import_steps.load_rows
def load_rows(*given):
    load(*given)
    return [bytearray(1 << 20) for _ in range(10_000)]
import_steps.load_rows = load_rows
"""


def large() -> bytes:
    """Return Parquet with one page of 180 MB, which is read as a whole; its rows are within the limits."""
    letters = random.Random(1).randbytes(1 << 20).hex() * 7
    out = io.BytesIO()
    rows = pa.table({"email": [f"large{n}@example.com" for n in range(12)], "city": [letters] * 12})
    parquet.write_table(rows, out, compression="zstd", use_dictionary=False)
    return out.getvalue()


@pytest.fixture(autouse=True)
def _environment(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    name_servers(pipeline, monkeypatch)


def run(*jobs: ImportJob, before: str = "") -> bool:
    command = [sys.executable, "-c", RUN, before, *(job.id for job in jobs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1] == "True"


def small(pipeline: Pipeline, name: str) -> ImportJob:
    return claimed(pipeline, f"customers/{name}.csv", f"email\n{name}@example.com\n".encode())


def test_the_file_fails_with_the_reason_in_its_first_run(pipeline: Pipeline) -> None:
    assert not run(claimed(pipeline, "customers/large.parquet", large()))
    job = pipeline.job("customers/large.parquet")
    assert (job.status, job.error_code, job.attempt) == (Status.FAILED, "needs_memory", 1)
    assert str(job.error).startswith("reading this file needs more memory than ")
    assert str(job.error).endswith(
        " bytes (BULK_RUN_MEMORY_BYTES): split the file, or raise the setting, then retry the job"
    )
    assert pipeline.query("SELECT job_id FROM bulk.job_leases") == []
    assert pipeline.query("SELECT email FROM customers") == []
    assert not (pipeline.stores.work.folder / job.id).exists()


def test_other_files_of_its_run_are_imported_by_it(pipeline: Pipeline) -> None:
    jobs = [
        small(pipeline, "a"),
        small(pipeline, "b"),
        claimed(pipeline, "customers/large.parquet", large()),
        *(small(pipeline, name) for name in "cdef"),
    ]
    assert not run(*jobs)
    result = [pipeline.stores.ledger.get(job.id) for job in jobs]
    assert [job.attempt for job in result] == [1] * 7
    assert [job.error_code for job in result] == [None, None, "needs_memory", *[None] * 4]
    assert pipeline.query("SELECT email FROM customers ORDER BY email") == [
        (f"{name}@example.com",) for name in "abcdef"
    ]


def test_a_file_of_which_rows_are_committed_is_tried_again(pipeline: Pipeline) -> None:
    """Every row must end in the table or in the report."""
    assert not run(small(pipeline, "a"), before=HOARDS_AFTER_COMMIT)
    job = pipeline.job("customers/a.csv")
    assert (job.status, pipeline.counts(job)) == (Status.PROCESSING, Counts(total=1, inserted=1))
    assert "MemoryError" in str(job.error)
    pipeline.work_off()
    done = pipeline.job("customers/a.csv")
    assert (done.status, pipeline.counts(done)) == (Status.COMPLETED, Counts(total=1, inserted=1))
