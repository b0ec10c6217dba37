"""The messages about jobs: written once, in the transaction that ends the job, for those who subscribe."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from bulk_pipeline.errors import FileErrorCode
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.ledger.outbox import MessageStatus, Outbox, SubscribedEvent
from bulk_pipeline.schema.subscription import Event
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.ledger import LedgerRig, at_once

EVERYTHING = [SubscribedEvent("*", event, "$HOOK") for event in Event]


@pytest.fixture
def world(settings: Settings) -> Iterator[LedgerRig]:
    world = LedgerRig(settings)
    yield world
    world.postgres.close()


@pytest.fixture
def outbox(world: LedgerRig) -> Outbox:
    outbox = Outbox(world.postgres)
    outbox.subscribe(EVERYTHING)
    return outbox


def told(outbox: Outbox) -> list[tuple[str | None, str, str]]:
    messages = outbox.messages(limit=100, also_sent=True)
    return [(message.job_id, message.event, message.recipient) for message in messages]


def completed(world: LedgerRig) -> ImportJob:
    return world.finished()


def with_rejected_rows(world: LedgerRig) -> ImportJob:
    return world.finished(rejected=1)


def all_rejected(world: LedgerRig) -> ImportJob:
    return world.finished(rejected=2)


def unreadable(world: LedgerRig) -> ImportJob:
    lease = world.taken(world.claimed())
    code = FileErrorCode.EMPTY_FILE
    world.attempts.fail_file(lease.job_id, lease.attempt, "empty", code=code)
    return lease.job


def cancelled_before_it_began(world: LedgerRig) -> ImportJob:
    return world.leases.cancel(world.claimed().id)


def cancelled_while_it_ran(world: LedgerRig) -> ImportJob:
    lease = world.taken(world.claimed())
    world.leases.cancel(lease.job_id)
    world.attempts.finish_cancelled(lease.job_id, lease.attempt)
    return lease.job


def cancelled_and_its_run_died(world: LedgerRig) -> ImportJob:
    lease = world.taken(world.claimed())
    world.leases.cancel(lease.job_id)
    world.silence(lease.job)
    world.leases.reap(lease, error="the run died")
    return lease.job


def reaped_for_the_last_time(world: LedgerRig) -> ImportJob:
    leases = world.leases_of(lease_seconds=30, max_attempts=1)
    lease = world.taken(world.claimed())
    world.silence(lease.job)
    leases.reap(lease, error="the run died")
    return lease.job


def of_no_table(world: LedgerRig) -> ImportJob:
    return world.claimed("nonsense.csv")


@pytest.mark.parametrize(
    ("end", "event"),
    [
        (completed, "finished"),
        (with_rejected_rows, "rejected"),
        (all_rejected, "failed"),
        (unreadable, "failed"),
        (cancelled_before_it_began, "cancelled"),
        (cancelled_while_it_ran, "cancelled"),
        (cancelled_and_its_run_died, "cancelled"),
        (reaped_for_the_last_time, "failed"),
        (of_no_table, "failed"),
    ],
)
def test_each_end_of_a_job_is_told_once(
    world: LedgerRig, outbox: Outbox, end: Callable[[LedgerRig], ImportJob], event: str
) -> None:
    job = end(world)
    assert world.ledger.get(job.id).status.is_final
    assert told(outbox) == [(job.id, event, "$HOOK")]


def test_a_repeated_finish_tells_nobody_again(world: LedgerRig, outbox: Outbox) -> None:
    lease = world.taken(world.claimed())
    world.finish(lease, 2)
    world.attempts.finish(lease.job_id, lease.attempt, failure_counts={}, reports={})
    assert told(outbox) == [(lease.job_id, "finished", "$HOOK")]


def test_a_job_that_is_tried_again_is_not_told(world: LedgerRig, outbox: Outbox) -> None:
    lease = world.taken(world.claimed())
    world.silence(lease.job)
    world.leases.reap(lease, error="the run died")
    assert not world.ledger.get(lease.job_id).status.is_final
    assert told(outbox) == []


def test_an_end_that_is_rolled_back_is_not_told(world: LedgerRig, outbox: Outbox) -> None:
    job = world.claimed()
    with psycopg.connect(world.postgres.database_url) as connection:
        connection.execute(
            "UPDATE bulk.import_jobs SET status = 'failed', finished_at = now() WHERE id = %s", [job.id]
        )
        assert connection.execute("SELECT count(*) FROM bulk.notifications").fetchone() == (1,)
        connection.rollback()
    assert told(outbox) == []


def test_a_skipped_file_is_not_told(world: LedgerRig, outbox: Outbox) -> None:
    first = world.finished()
    world.claims.claim(world.drop())
    assert [job.status for job in world.jobs()] == ["completed", "skipped"]
    assert told(outbox) == [(first.id, "finished", "$HOOK")]


def test_nothing_is_written_without_a_subscription(world: LedgerRig, outbox: Outbox) -> None:
    outbox.subscribe([])
    world.finished()
    assert told(outbox) == []


def test_only_those_who_subscribe_to_the_table_and_event_are_told_and_each_once(
    world: LedgerRig, outbox: Outbox
) -> None:
    outbox.subscribe(
        [
            SubscribedEvent("users", "rejected", "$USERS"),
            SubscribedEvent("*", "rejected", "$USERS"),
            SubscribedEvent("*", "rejected", "ann@example.com"),
            SubscribedEvent("users", "finished", "$FINISHED"),
            SubscribedEvent("articles", "rejected", "$ARTICLES"),
            SubscribedEvent("users", "rejected", "uploader"),  # the file was dropped by nobody that is known
        ]
    )
    world.finished(rejected=1)
    assert sorted(recipient for _, _, recipient in told(outbox)) == ["$USERS", "ann@example.com"]


def test_the_message_goes_with_its_job(world: LedgerRig, outbox: Outbox) -> None:
    job = world.finished()
    world.sql(f"DELETE FROM bulk.import_batches WHERE job_id = '{job.id}'")
    world.sql(f"DELETE FROM bulk.import_jobs WHERE id = '{job.id}'")
    assert told(outbox) == []


def test_of_many_senders_one_gets_a_message(world: LedgerRig, outbox: Outbox) -> None:
    world.finished()
    claims = at_once(lambda _: outbox.claim(), 8)
    assert [claim.attempts for claim in claims if claim] == [1]


def test_a_message_whose_sender_died_is_sent_again_with_the_same_id(world: LedgerRig, outbox: Outbox) -> None:
    world.finished()
    first = outbox.claim()
    assert first is not None
    assert outbox.claim() is None
    world.sql("UPDATE bulk.notifications SET next_attempt_at = now()")  # five minutes later
    again = outbox.claim()
    assert again is not None
    assert (again.id, again.attempts) == (first.id, 2)


def test_waits_double_and_a_message_is_given_up_after_three_days(world: LedgerRig, outbox: Outbox) -> None:
    world.finished()
    waits = []
    for _ in range(13):
        world.sql("UPDATE bulk.notifications SET next_attempt_at = now()")
        message = outbox.claim()
        assert message is not None
        message = outbox.not_sent(message, "no answer")
        assert message is not None
        assert message.next_attempt_at is not None
        waits.append((message.next_attempt_at - datetime.now(UTC)).total_seconds())
    for number, wait in enumerate(waits):
        least = min(10 * 2**number, 3 * 3600)
        assert least * 0.9 < wait < least * 1.5 + 60
    assert outbox.counts() == {MessageStatus.WAITING: 1, MessageStatus.UNDELIVERABLE: 0}
    world.sql("UPDATE bulk.notifications SET next_attempt_at = now(), give_up_at = now()")
    message = outbox.claim()
    assert message is not None
    message = outbox.not_sent(message, "no answer")
    assert message is not None
    assert (message.status, message.error, message.next_attempt_at) == ("undeliverable", "no answer", None)
    assert outbox.claim() is None
    assert outbox.counts() == {MessageStatus.WAITING: 0, MessageStatus.UNDELIVERABLE: 1}
    assert outbox.retry() == 1
    assert outbox.claim() is not None


def test_a_missing_file_is_told_once_per_due_time(world: LedgerRig, outbox: Outbox) -> None:
    due = datetime.now(UTC).replace(microsecond=0)
    since = due - timedelta(days=1)
    assert [outbox.add_late("users", due, since), outbox.add_late("users", due, since)] == [1, 0]
    assert told(outbox) == [(None, "late", "$HOOK")]
    assert outbox.add_late("users", due + timedelta(days=1), due) == 1


def test_a_file_that_arrived_in_time_is_not_missing(world: LedgerRig, outbox: Outbox) -> None:
    job = world.claimed()
    at, day = job.arrived_at, timedelta(days=1)
    assert outbox.add_late("users", at, at - day) == 0
    assert outbox.add_late("articles", at, at - day) == 1
    assert outbox.add_late("users", at - timedelta(seconds=1), at - day) == 1


def test_old_messages_are_forgotten_and_waiting_ones_stay(world: LedgerRig, outbox: Outbox) -> None:
    world.finished("users/a", b"a")
    message = outbox.claim()
    assert message is not None
    outbox.sent(message)
    world.finished("users/b", b"b")
    assert outbox.forget(timedelta(days=1)) == 0
    assert outbox.forget(timedelta(0)) == 1
    assert [message.status for message in outbox.messages(limit=10, also_sent=True)] == ["waiting"]
