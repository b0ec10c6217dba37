"""Leases on jobs, and jobs whose worker has died."""

import time
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from bulk_pipeline.errors import (
    BulkPipelineError,
    JobCancelledError,
    LeaseHeldError,
    LeaseLostError,
    NotFoundError,
)
from bulk_pipeline.ledger.heartbeat import Heartbeat
from bulk_pipeline.ledger.jobs import ImportJob, Status, load_session, new_id
from bulk_pipeline.ledger.leases import Lease
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.ledger import LedgerRig, at_once


@pytest.fixture
def world(settings: Settings) -> Iterator[LedgerRig]:
    world = LedgerRig(settings)
    yield world
    world.postgres.close()


def test_taking_a_job_begins_its_first_attempt(world: LedgerRig) -> None:
    lease = world.taken(world.claimed())
    job = world.ledger.get(lease.job_id)
    assert (job.status, job.attempt, job.run_id, lease.attempt) == (Status.PROCESSING, 1, "run-1", 1)
    assert job.started_at is not None


def test_jobs_are_taken_in_the_order_asked_for_without_the_finished_ones(world: LedgerRig) -> None:
    done, first, second = (world.claimed(f"users/{number}", str(number).encode()) for number in range(3))
    world.finish(world.taken(done), 1)
    leases = world.leases.take([second.id, done.id, first.id, second.id], "run-2")
    assert [lease.job_id for lease in leases] == [second.id, first.id]


def test_the_same_run_keeps_its_attempt(world: LedgerRig) -> None:
    job = world.claimed()
    assert [world.taken(job).attempt, world.taken(job).attempt] == [1, 1]


def test_a_live_lease_refuses_another_run_and_nothing_is_taken(world: LedgerRig) -> None:
    free, held = world.claimed("users/a", b"a"), world.claimed("users/b", b"b")
    world.taken(held)
    with pytest.raises(LeaseHeldError, match="run-1"):
        world.leases.take([free.id, held.id], "run-2")
    assert world.ledger.get(free.id).attempt == 0


def test_an_expired_lease_is_taken_over_by_a_new_attempt(world: LedgerRig) -> None:
    job = world.claimed()
    old = world.taken(job)
    world.silence(job)
    assert world.taken(job, "run-2").attempt == 2
    with pytest.raises(LeaseLostError):
        world.attempts.fail_file(job.id, old.attempt, "too late")


def test_of_two_takers_one_wins(world: LedgerRig) -> None:
    job = world.claimed()

    def take(number: int) -> str:
        try:
            return str(world.leases.take([job.id], f"run-{number}")[0].attempt)
        except BulkPipelineError as error:
            return type(error).__name__

    assert sorted(at_once(take, 8)) == ["1"] + ["LeaseHeldError"] * 7


def test_groups_in_any_order_do_not_lock_each_other_out(world: LedgerRig) -> None:
    ids = [world.claimed(f"users/{number}", str(number).encode()).id for number in range(6)]

    def take(number: int) -> int:
        try:
            return len(world.leases.take(ids if number % 2 else ids[::-1], f"run-{number}"))
        except LeaseHeldError:
            return 0

    assert sorted(at_once(take, 6)) == [0, 0, 0, 0, 0, 6]


def test_a_takeover_waits_for_the_batch_that_is_being_committed(world: LedgerRig) -> None:
    job = world.claimed()
    lease = world.taken(job)
    world.silence(job)
    order: list[str] = []

    def commit_or_take(number: int) -> None:
        if number == 0:
            with world.postgres.transaction() as connection:
                connection.execute("SELECT FROM bulk.import_jobs WHERE id = %s FOR KEY SHARE", (job.id,))
                time.sleep(0.5)
                order.append("committed")
        else:
            time.sleep(0.2)
            world.taken(job, "run-2")
            order.append("taken")

    at_once(commit_or_take, 2)
    assert order == ["committed", "taken"]
    assert lease.attempt == 1


def test_a_job_that_is_not_there_or_not_archived_cannot_be_taken(world: LedgerRig) -> None:
    with pytest.raises(NotFoundError):
        world.leases.take([new_id()], "run-1")
    job = world.claimed()
    world.sql("UPDATE bulk.import_jobs SET claimed_at = NULL")
    with pytest.raises(LeaseHeldError, match="still being claimed"):
        world.leases.take([job.id], "run-1")


def test_an_outage_gives_the_job_back_for_another_attempt(world: LedgerRig) -> None:
    lease = world.taken(world.claimed())
    job = world.leases.release(lease, error="S3 is away")
    assert (job.status, job.error, job.isolated, job.group_id) == (
        Status.PROCESSING,
        "S3 is away",
        False,
        None,
    )
    assert job.next_attempt_at is not None
    assert world.taken(job, "run-2").attempt == 2


def test_an_outage_after_the_last_attempt_fails_a_job_that_has_committed_nothing(world: LedgerRig) -> None:
    job = world.claimed()
    for number in range(3):
        job = world.leases.release(world.taken(job, f"run-{number}"), error="S3 is away")
    assert (job.status, job.error) == (Status.FAILED, "gave up after 3 attempts: S3 is away")


def test_an_outage_never_fails_a_job_that_has_committed_a_batch(world: LedgerRig) -> None:
    job = world.claimed()
    for number in range(5):
        lease = world.taken(job, f"run-{number}")
        if number == 0:
            world.commit_batch(lease, 1, 10)
        job = world.leases.release(lease, error="S3 is away")
    assert (job.status, job.attempt) == (Status.PROCESSING, 5)


def test_a_lease_that_is_lost_cannot_be_given_back(world: LedgerRig) -> None:
    job = world.claimed()
    old = world.taken(job)
    world.silence(job)
    world.taken(job, "run-2")
    with pytest.raises(LeaseLostError):
        world.leases.release(old, error="too late")


def test_only_silent_runs_are_expired(world: LedgerRig) -> None:
    silent, alive = world.claimed("users/a", b"a"), world.claimed("users/b", b"b")
    world.taken(silent)
    world.taken(alive, "run-2")
    world.silence(silent)
    assert [(lease.job_id, lease.run_id) for lease in world.leases.expired()] == [(silent.id, "run-1")]


def test_a_reaped_job_has_its_next_run_to_itself(world: LedgerRig) -> None:
    job = world.claimed()
    world.ledger.assign_group([job.id], new_id())
    world.taken(job)
    world.silence(job)
    (lease,) = world.leases.expired()
    reaped = world.leases.reap(lease, error="run-1 died")
    assert reaped is not None
    assert (reaped.status, reaped.isolated, reaped.group_id) == (Status.PROCESSING, True, None)
    (opened,) = world.ledger.open_jobs()
    assert (opened.is_held, opened.isolated) == (False, True)
    assert world.leases.reap(lease, error="again") is None


def test_a_batch_that_a_dead_run_has_left_behind_does_not_keep_its_job_from_being_reaped(
    world: LedgerRig,
) -> None:
    lease = world.taken(world.claimed())
    url = world.settings.database_url.get_secret_value()
    with psycopg.connect(url) as left_behind:
        left_behind.execute("SELECT set_config('application_name', %s, true)", [load_session(lease.job_id)])
        left_behind.execute("SELECT FROM bulk.import_jobs WHERE id = %s FOR KEY SHARE", [lease.job_id])
        assert world.leases_of(lease_seconds=0).reap(lease, error="the run died") is not None
        with pytest.raises(psycopg.OperationalError):
            left_behind.execute("SELECT 1")
    assert world.ledger.get(lease.job_id).error == "the run died"


def test_a_run_that_speaks_again_is_not_reaped(world: LedgerRig) -> None:
    job = world.claimed()
    lease = world.taken(job)
    world.silence(job)
    (expired,) = world.leases.expired()
    Heartbeat(world.leases, [lease], seconds=1).beat()
    assert world.leases.reap(expired, error="run-1 died") is None


def test_reapers_at_once_reap_once(world: LedgerRig) -> None:
    job = world.claimed()
    world.taken(job)
    world.silence(job)
    (lease,) = world.leases.expired()
    reaped = at_once(lambda _: world.leases.reap(lease, error="died"), 6)
    assert len([entry for entry in reaped if entry]) == 1


def test_a_poisonous_file_fails_after_its_last_attempt_and_shuts_out_a_late_worker(world: LedgerRig) -> None:
    job = world.claimed()
    for number in range(3):
        world.taken(job, f"run-{number}")
        world.silence(job)
        (expired,) = world.leases.expired()
        world.leases.reap(expired, error="the run died")
    failed = world.ledger.get(job.id)
    assert (failed.status, failed.error) == (Status.FAILED, "gave up after 3 attempts: the run died")
    with pytest.raises(LeaseLostError):
        world.attempts.fail_file(job.id, 3, "too late")
    assert world.leases.take([job.id], "run-4") == []


def test_a_cancelled_job_whose_run_died_is_cancelled(world: LedgerRig) -> None:
    job = world.claimed()
    world.taken(job)
    assert world.leases.cancel(job.id).status is Status.PROCESSING
    world.silence(job)
    (lease,) = world.leases.expired()
    reaped = world.leases.reap(lease, error="died")
    assert reaped is not None
    assert reaped.status is Status.CANCELLED


def test_a_requested_run_that_never_started_is_requested_again(world: LedgerRig) -> None:
    waiting, taken = world.claimed("users/a", b"a"), world.claimed("users/b", b"b")
    group = new_id()
    world.ledger.assign_group([waiting.id, taken.id], group)
    world.ledger.requested(group)
    world.taken(taken)
    assert world.leases.overdue(older_than=timedelta(minutes=1)) == []
    (job,) = world.leases.overdue(older_than=timedelta(0))
    assert job.id == waiting.id
    assert world.leases.forget_request(job)
    assert not world.leases.forget_request(job)
    assert world.ledger.assign_group([waiting.id, taken.id], new_id()) == [waiting.id]


def test_a_heartbeat_keeps_the_lease_alive(world: LedgerRig) -> None:
    lease = world.taken(world.claimed())
    leases = world.leases_of(lease_seconds=1)
    with Heartbeat(world.leases, [lease], seconds=0.2) as heartbeat:
        time.sleep(1.5)
        assert leases.expired() == []
        heartbeat.check(lease.job_id)
    time.sleep(1.2)
    assert [expired.job_id for expired in leases.expired()] == [lease.job_id]


def test_a_heartbeat_notices_what_happened_to_its_jobs(world: LedgerRig) -> None:
    jobs = [world.claimed(f"users/{number}", str(number).encode()) for number in range(4)]
    mine: list[Lease[ImportJob]] = world.leases.take([job.id for job in jobs], "run-1")
    fine, lost, cancelled, finished = mine
    heartbeat = Heartbeat(world.leases, mine, seconds=1)
    world.silence(jobs[1])
    world.taken(jobs[1], "run-2")
    world.leases.cancel(cancelled.job_id)
    world.finish(finished, 1)
    heartbeat.beat()
    heartbeat.beat()
    heartbeat.check(fine.job_id)
    heartbeat.check(finished.job_id)
    with pytest.raises(LeaseLostError):
        heartbeat.check(lost.job_id)
    with pytest.raises(JobCancelledError):
        heartbeat.check(cancelled.job_id)
