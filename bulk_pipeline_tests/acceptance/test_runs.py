"""Runs in the Dagster UI: what it shows, and what its buttons do: re-execute, cancel."""

from uuid import uuid4

import pytest

from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline_tests.rigs.dagster_ui import metadata
from bulk_pipeline_tests.rigs.running_stack import RunningStack, customers, unique, until

STEPS = ["parse", "validate", "split", "load", "emit"]


@pytest.fixture
def email() -> str:
    """Return an address that no other test uses."""
    return f"{uuid4().hex}@example.com"


@pytest.fixture
def key() -> str:
    return f"customers/{unique()}.csv"


@pytest.fixture(scope="module")
def done(running: RunningStack) -> ImportJob:
    """Return a job of three rows, one of them rejected, whose run has ended."""
    email = f"{uuid4().hex}@example.com"
    job = running.load(f"customers/{unique()}.csv", customers(email, f"x{email}", "nobody"))
    over(running, job)
    return job


def test_a_run_shows_its_table_mode_job_steps_and_counts(world: RunningStack, done: ImportJob) -> None:
    run_id = str(done.run_id)
    tags = world.ui.tags(run_id)
    assert {name: value for name, value in tags.items() if "bulk" in name} == {
        "bulk/file": done.file_name,
        "bulk/table": "customers",
        "bulk/mode": "insert_only",
        "bulk/status": "some rows rejected",
        "bulk/rejected": "1",
        "dagster/bulk_job_id": done.id,
    }
    events = world.ui.events(run_id)
    outputs = {
        event["stepKey"]: metadata(event)
        for event in events
        if event["__typename"] == "ExecutionStepOutputEvent"
    }
    shown = {
        step: (entries["rows"], entries["good"], entries["rejected"]) for step, entries in outputs.items()
    }
    assert shown == {"parse": ("3", "3", "0")} | dict.fromkeys(STEPS[1:], ("3", "2", "1"))
    assert all(entries["seconds"] >= 0 and "rows_per_second" in entries for entries in outputs.values())
    messages = [event["message"] for event in events if event["__typename"] == "LogMessageEvent"]
    assert f"job {done.id} ({done.file_name}): 100% loaded: 3 of 3 rows, 1 of them rejected" in messages


def test_a_file_is_a_materialization_of_its_table(world: RunningStack, done: ImportJob) -> None:
    (event,) = [
        event for event in world.ui.events(str(done.run_id)) if event["__typename"] == "MaterializationEvent"
    ]
    shown = metadata(event)
    assert event["assetKey"]["path"] == ["postgres", "customers"]
    assert {name: shown[name] for name in ("job_id", "file", "mode", "status")} == {
        "job_id": done.id,
        "file": done.key,
        "mode": "insert_only",
        "status": "completed_with_errors",
    }
    assert {name: shown[name] for name in ("rows", "inserted", "rejected")} == {
        "rows": "3",
        "inserted": "2",
        "rejected": "1",
    }
    assert done.reports["errors.csv"] in str(shown["errors.csv"])
    assert "bad_format" in str(shown["first_failures"])


def test_the_output_of_a_run_is_shown_and_stored_in_s3(world: RunningStack, done: ImportJob) -> None:
    run_id = str(done.run_id)
    folder = f"dagster/storage/{run_id}/compute_logs/"
    until(lambda: world.stores.objects.page("logs", folder).objects, "the log of the run")
    _, stderr = world.ui.printed(run_id)
    assert 'STEP_SUCCESS - Finished execution of step "emit"' in stderr
    assert run_id in stderr


def test_a_failed_run_names_the_file_its_problem_and_what_to_do(world: RunningStack, key: str) -> None:
    job = world.load(key, b"")
    run_id = over(world, job)
    assert world.ui.status(run_id) == "FAILURE"
    (first, *_) = world.ui.errors(run_id).splitlines()
    assert f"{job.file_name}: {job.error}. To do: export it again" in first
    assert world.ui.steps(run_id)["parse"] == "FAILURE"
    assert world.ui.tags(run_id)["bulk/status"] == "failed"


@pytest.mark.parametrize("strategy", ["ALL_STEPS", "FROM_FAILURE"])
def test_a_failed_run_that_is_re_executed_imports_its_file_as_a_new_job(
    world: RunningStack, key: str, email: str, strategy: str
) -> None:
    world.execute(f"INSERT INTO customers (email) VALUES ('{email}')")
    failed = world.load(key, customers(email))
    assert failed.status is Status.FAILED
    world.execute(f"DELETE FROM customers WHERE email = '{email}'")
    again = world.ui.reexecute(over(world, failed), strategy)
    until(lambda: world.ui.is_over(again), "the run that was started again")
    before, now = world.all_finished(key, 2)
    assert (before, now.retry_of, now.status) == (failed, failed.id, Status.COMPLETED)
    assert world.ui.status(again) == "SUCCESS"
    assert any(now.id in message for message in world.ui.messages(again))


def test_a_finished_run_that_is_re_executed_has_nothing_to_do(world: RunningStack, done: ImportJob) -> None:
    again = world.ui.reexecute(str(done.run_id))
    until(lambda: world.ui.is_over(again), "the run that was started again")
    assert world.ui.status(again) == "SUCCESS"
    assert f"job {done.id} is finished or gone from the ledger: nothing to do" in world.ui.messages(again)
    assert world.jobs(done.key) == [done]


def test_a_run_that_is_re_executed_while_it_runs_is_unharmed_and_the_new_one_refused(
    world: RunningStack, key: str, email: str
) -> None:
    with world.holding(email):
        world.drop(key, customers(email))
        until(world.waits_for_a_lock, "the file is loaded")
        job = world.job(key)
        again = world.ui.reexecute(str(job.run_id))
        until(lambda: world.ui.is_over(again), "the run that was started again")
        assert world.ui.status(again) == "FAILURE"
        assert f"job {job.id} is being worked on by run {job.run_id}" in world.ui.errors(again)
        assert world.ui.status(str(job.run_id)) == "STARTED"
    done = world.finished(key)
    assert (done.status, done.run_id, done.attempt) == (Status.COMPLETED, job.run_id, 1)
    assert world.ui.status(over(world, done)) == "SUCCESS"


def test_a_run_starts_in_a_process_with_all_imports_done(world: RunningStack, key: str, email: str) -> None:
    with world.holding(email):
        world.drop(key, customers(email))
        until(world.waits_for_a_lock, "the file is loaded")
        warm = world.run_process(world.job(key)).parent()
        assert warm is not None
        assert "multiprocessing.forkserver" in " ".join(warm.cmdline())
        assert warm.parent() == world.service("code_server")
    world.finished(key)


def test_a_cancelled_run_cancels_its_job_and_committed_rows_stay(
    world: RunningStack, key: str, email: str
) -> None:
    addresses = [f"{number}{email}" for number in range(12_000)]
    with world.holding(addresses[7_000], addresses[11_000]):
        world.drop(key, customers(*addresses))
        until(lambda: world.waiting_batches() == 2, "the second and the third batch are loaded")
        job = world.job(key)
        world.ui.terminate(str(job.run_id))
        done = world.finished(key)
    assert (done.status, done.reports) == (Status.CANCELLED, {})
    assert world.counts(done) == Counts(total=12_000, inserted=5_000)
    assert world.query("SELECT count(*) FROM customers WHERE email LIKE %s", f"%{email}") == [(5_000,)]
    assert world.ui.status(over(world, done)) == "CANCELED"


def test_a_cancelled_job_stops_after_its_current_batches(world: RunningStack, key: str, email: str) -> None:
    addresses = [f"{number}{email}" for number in range(22_000)]
    with world.holding(addresses[7_000], addresses[11_000]):
        world.drop(key, customers(*addresses))
        until(lambda: world.waiting_batches() == 2, "the second and the third batch are loaded")
        world.stores.leases.cancel(world.job(key).id)
    done = world.finished(key)
    assert (done.status, world.counts(done)) == (Status.CANCELLED, Counts(total=22_000, inserted=15_000))
    assert "was cancelled" in world.ui.errors(over(world, done))


def over(world: RunningStack, job: ImportJob) -> str:
    """Return the id of the job's run, once it has ended."""
    run_id = str(job.run_id)
    until(lambda: world.ui.is_over(run_id), f"the end of run {run_id}")
    return run_id
