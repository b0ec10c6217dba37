"""`bulk-pipeline` as people and programs call it, against the running stack."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline_tests.rigs.command_here import run_here
from bulk_pipeline_tests.rigs.running_stack import RunningStack, customers, unique, until

JOB_FIELDS = {
    *("id", "table", "mode", "status", "key", "total", "inserted", "updated", "unchanged", "superseded"),
    *(
        "rejected",
        "failures",
        "seconds",
        "percent",
        "rows_per_second",
        "seconds_left",
        "dialect",
        "warnings",
        "run_id",
        "run_url",
        "reports",
    ),
}
STATUS_FIELDS = {"home", "healthy", "dagster_url", "database_url", "s3", "pending", "processing"}


@pytest.fixture
def email() -> str:
    """Return an address that no other test uses."""
    return f"{uuid4().hex}@example.com"


@pytest.fixture
def file(tmp_path: Path, email: str) -> Path:
    """Return a file of two rows, one of them good."""
    path = tmp_path / f"{unique()}.csv"
    path.write_bytes(customers(email, "nobody"))
    return path


@pytest.fixture(scope="module")
def imported(running: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any]]:
    """Return exit status and job of an import of two rows, one of them good."""
    path = tmp_path_factory.mktemp("files") / f"{unique()}.csv"
    path.write_bytes(customers(f"{uuid4().hex}@example.com", "nobody"))
    status, (job,) = documents(running, "import", path, "--table", "customers", "--json")
    return status, job


def test_import_follows_a_good_file_to_its_end(world: RunningStack, file: Path, email: str) -> None:
    file.write_bytes(customers(email))
    done = run_apart(world, "import", file, "--table", "customers", "--json")
    (job,) = json.loads(done.stdout)
    assert (done.returncode, job["status"], job["inserted"], job["rejected"]) == (0, "completed", 1, 0)
    assert world.query("SELECT city FROM customers WHERE email = %s", email) == [("Lund",)]


def test_import_exits_with_3_for_rejected_rows(imported: tuple[int, dict[str, Any]]) -> None:
    status, job = imported
    assert (status, job["status"], job["failures"]) == (3, "completed_with_errors", {"bad_format": 1})


def test_import_exits_with_1_if_one_of_the_files_failed(world: RunningStack, file: Path) -> None:
    broken = file.with_name(f"{unique()}.csv.gz")
    broken.write_bytes(b"\x1f\x8bbroken")
    done = run(world, "import", file, broken, "--table", "customers")
    assert done.returncode == 1
    assert "gzip" in done.stdout


def test_import_of_the_same_file_again_exits_with_4_and_says_that_it_was_skipped(
    world: RunningStack, file: Path, email: str
) -> None:
    file.write_bytes(customers(email))
    _, (first,) = documents(world, "import", file, "--table", "customers", "--json")
    status, (again,) = documents(world, "import", file, "--table", "customers", "--json")
    assert (status, again["status"], again["first_job_id"]) == (4, "skipped", first["id"])
    assert (again["inserted"], again["total"]) == (0, None)


def test_ctrl_c_says_that_the_job_continues_and_how_to_cancel_it(
    world: RunningStack, file: Path, email: str
) -> None:
    file.write_bytes(customers(email))
    with world.holding(email):
        process = start(world, "import", file, "--table", "customers")
        assert process.stderr is not None
        job_id = process.stderr.readline().removeprefix(f"{file.name}: job ").strip()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (130, "")
        message = f"job {job_id} ({file.name}) continues; cancel it with: bulk-pipeline cancel {job_id}"
        assert err.splitlines()[-1] == message
        assert not world.stores.ledger.get(job_id).status.is_final
    assert world.finished(world.stores.ledger.get(job_id).key).status is Status.COMPLETED


def test_an_external_database_works_with_the_s3_of_the_stack(
    world: RunningStack, imported: tuple[int, dict[str, Any]]
) -> None:
    done = run_here(
        {"BULK_HOME": str(world.home), "DATABASE_URL": world.stores.database_url}, "errors", imported[1]["id"]
    )
    assert (done.returncode, done.stdout[:14]) == (0, b"row,error,raw\n")


def test_import_without_waiting_says_where_the_file_is(world: RunningStack, file: Path) -> None:
    status, (dropped,) = documents(world, "import", file, "--table", "customers", "--no-wait", "--json")
    key = dropped["object"].removeprefix("s3://uploads/")
    assert (status, dropped["file"]) == (0, str(file))
    assert world.finished(key).status is Status.COMPLETED_WITH_ERRORS


def test_job_shows_all_facts_about_a_job(world: RunningStack, imported: tuple[int, dict[str, Any]]) -> None:
    _, job = imported
    assert set(job) >= JOB_FIELDS
    assert documents(world, "job", job["id"], "--json") == (0, job)
    assert job["dialect"]["delimiter"] == ","
    assert job["run_url"] == f"{world.ui.url}/runs/{job['run_id']}"
    assert set(job["reports"]) == {"errors.csv", "errors.ndjson", "rejected.csv", "rejected.xlsx"}
    status, result = documents(
        world, "jobs", "--table", "customers", "--status", "completed_with_errors", "--json"
    )
    assert (status, job in result) == (0, True)
    assert job["id"] in run(world, "jobs").stdout
    assert "completed_with_errors" in run(world, "job", job["id"]).stdout


def test_errors_are_the_reports_of_a_job(
    world: RunningStack, imported: tuple[int, dict[str, Any]], tmp_path: Path
) -> None:
    _, job = imported
    assert run(world, "errors", job["id"]).stdout.startswith("row,error,raw\n2,")
    (failure,) = run(world, "errors", job["id"], "--format", "ndjson").stdout.splitlines()
    assert (json.loads(failure)["line"], json.loads(failure)["code"]) == (3, "bad_format")
    run(world, "errors", job["id"], "--format", "rejected", "-o", tmp_path / "fix-me.csv")
    assert (tmp_path / "fix-me.csv").read_text().startswith("_row,_line,_errors,_origin,email,city\n2,3,")


def test_retry_creates_a_new_job_for_the_same_bytes(
    world: RunningStack, imported: tuple[int, dict[str, Any]]
) -> None:
    _, job = imported
    status, again = documents(world, "retry", job["id"], "--json")
    assert (status, again["retry_of"], again["key"]) == (0, job["id"], job["key"])
    done = world.finished(job["key"])
    assert (done.id, done.failure_counts) == (again["id"], {"already_exists": 1, "bad_format": 1})


def test_cancel_stops_a_running_job_and_refuses_a_finished_one(
    world: RunningStack, file: Path, email: str
) -> None:
    with world.holding(email):
        _, (dropped,) = documents(world, "import", file, "--table", "customers", "--no-wait", "--json")
        until(world.waits_for_a_lock, "the file is loaded")
        job = world.job(dropped["object"].removeprefix("s3://uploads/"))
        done = run(world, "cancel", job.id)
        assert (done.returncode, "rows processed so far stay" in done.stdout) == (0, True)
    final = world.finished(job.key)
    refused = run(world, "cancel", job.id)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"error: job {job.id} is {final.status} already\n"


def test_status_shows_all_addresses(world: RunningStack) -> None:
    status, result = documents(world, "status", "--json")
    assert status == 0
    assert set(result) >= STATUS_FIELDS
    assert set(result["s3"]) == {"endpoint_url", "access_key", "secret_key", "buckets"}
    assert (result["home"], result["healthy"], result["dagster_url"]) == (str(world.home), True, world.ui.url)
    assert "healthy" in run(world, "status").stdout


@pytest.mark.parametrize("command", ["job", "errors", "retry", "cancel"])
@pytest.mark.parametrize("job_id", ["no-such-job", "00000000-0000-7000-8000-000000000000"])
def test_an_unknown_job_is_one_sentence(world: RunningStack, command: str, job_id: str) -> None:
    done = run(world, command, job_id)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: no job")
    assert done.stderr.count("\n") == 1


def documents(world: RunningStack, *arguments: object) -> tuple[int, Any]:
    """Return the exit status, and the JSON document on stdout."""
    done = run(world, *arguments)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def run(world: RunningStack, *arguments: object) -> subprocess.CompletedProcess[str]:
    done = run_here({"BULK_HOME": str(world.home)}, *arguments)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def start(world: RunningStack, *arguments: object) -> subprocess.Popen[str]:
    """Start the command in a separate process, as people do, without waiting for its end."""
    command = [str(Path(sys.executable).with_name("bulk-pipeline")), *map(str, arguments)]
    environ = {**os.environ, "BULK_HOME": str(world.home)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)


def run_apart(world: RunningStack, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command in a separate process, as people do."""
    command = [str(Path(sys.executable).with_name("bulk-pipeline")), *map(str, arguments)]
    environ = {**os.environ, "BULK_HOME": str(world.home)}
    return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=120, check=False)
