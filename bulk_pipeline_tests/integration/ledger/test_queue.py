"""The progress and the end of jobs, and queries for them."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from bulk_pipeline.errors import (
    JobFinishedError,
    JobNotFinishedError,
    LeaseLostError,
    NotFoundError,
    StoreUnavailableError,
)
from bulk_pipeline.ledger import inbox_files
from bulk_pipeline.ledger.job_queries import IMPORTS
from bulk_pipeline.ledger.jobs import Status, new_id
from bulk_pipeline.ledger.lease_queries import IMPORT_QUERIES
from bulk_pipeline.ledger.queue import _NEWEST_OF_OBJECT, _OPEN, _OPEN_COUNTS
from bulk_pipeline.rights import EVERYBODY
from bulk_pipeline.settings import Settings
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline_tests.rigs.ledger import KEY, LedgerRig


@pytest.fixture
def world(settings: Settings) -> Iterator[LedgerRig]:
    world = LedgerRig(settings)
    yield world
    world.postgres.close()


def test_the_first_attempt_fixes_the_plan(world: LedgerRig) -> None:
    job = world.claimed()
    first = world.parsed(world.taken(job), 1, batch_rows=100, parser_version="1")
    world.silence(job)
    second = world.parsed(world.taken(job, "run-2"), 1, batch_rows=200, parser_version="2")
    assert (first.batch_rows, first.parser_version) == (100, "1")
    assert (second.batch_rows, second.parser_version) == (100, "1")


def test_results_are_stored_and_warnings_are_not_repeated(world: LedgerRig) -> None:
    lease = world.taken(world.claimed())
    for _ in range(2):
        world.ledger.warn(lease.job_id, "no parents came")
        world.attempts.note_parsed(
            lease.job_id,
            lease.attempt,
            columns=["email", "id"],
            dialect={"delimiter": ";", "header_line": 1},
            warnings=["column x is not known"],
            total_rows=7,
            sha256="ab",
            batch_rows=1_000,
            parser_version="1",
            parents={},
        )
    job = world.ledger.get(lease.job_id)
    assert (job.columns, job.total_rows, job.sha256) == (["email", "id"], 7, "ab")
    assert job.dialect == {"delimiter": ";", "header_line": 1}
    assert job.warnings == ["no parents came", "column x is not known"]


def test_the_same_bytes_under_another_name_are_a_warning(world: LedgerRig) -> None:
    first = world.parsed(world.taken(world.claimed("users/a.csv")), 1, sha256="ab")
    second = world.parsed(world.taken(world.claimed("users/b.csv")), 1, sha256="ab")
    assert first.warnings == []
    assert second.warnings == [f"the same bytes were uploaded as users/a.csv (job {first.id})"]


@pytest.mark.parametrize(
    ("rows", "rejected", "status", "error"),
    [
        (0, 0, Status.COMPLETED, None),
        (5, 0, Status.COMPLETED, None),
        (5, 2, Status.COMPLETED_WITH_ERRORS, None),
        (5, 5, Status.FAILED, "every row was rejected"),
    ],
)
def test_batches_say_how_a_job_ends(
    world: LedgerRig, rows: int, rejected: int, status: Status, error: str | None
) -> None:
    lease = world.taken(world.claimed())
    job = world.finish(lease, rows, rejected)
    assert (job.status, job.error) == (status, error)
    assert job.finished_at is not None
    assert world.ledger.counts([job.id])[job.id] == Counts(
        total=rows, inserted=rows - rejected, rejected=rejected
    )
    assert world.sql("SELECT FROM bulk.job_leases") == []


def test_finishing_twice_changes_nothing(world: LedgerRig) -> None:
    lease = world.taken(world.claimed())
    done = world.finish(lease, 2)
    again = world.attempts.finish(lease.job_id, lease.attempt, failure_counts={"x": 1}, reports={})
    assert again == done


def test_a_job_with_rows_that_are_not_accounted_for_cannot_be_finished(world: LedgerRig) -> None:
    lease = world.taken(world.claimed())
    world.parsed(lease, 10)
    world.commit_batch(lease, 1, 6)
    with pytest.raises(JobNotFinishedError, match="only 6 of 10 rows"):
        world.attempts.finish(lease.job_id, lease.attempt, failure_counts={}, reports={})


def test_an_older_attempt_writes_nothing(world: LedgerRig) -> None:
    job = world.claimed()
    old = world.taken(job)
    world.silence(job)
    before = world.taken(job, "run-2").job
    with pytest.raises(LeaseLostError):
        world.parsed(old, 1)
    with pytest.raises(LeaseLostError):
        world.attempts.finish(old.job_id, old.attempt, failure_counts={}, reports={})
    assert world.ledger.get(job.id) == before


def test_a_broken_file_fails_its_job(world: LedgerRig) -> None:
    lease = world.taken(world.claimed())
    job = world.attempts.fail_file(lease.job_id, lease.attempt, "the file is empty")
    assert (job.status, job.error) == (Status.FAILED, "the file is empty")
    assert world.leases.take([job.id], "run-2") == []


def test_a_pending_job_is_cancelled_at_once(world: LedgerRig) -> None:
    job = world.leases.cancel(world.claimed().id)
    assert job.status is Status.CANCELLED
    assert world.leases.take([job.id], "run-1") == []
    with pytest.raises(JobFinishedError):
        world.leases.cancel(job.id)


def test_a_running_job_is_asked_to_stop_and_keeps_what_it_committed(world: LedgerRig) -> None:
    lease = world.taken(world.claimed())
    world.parsed(lease, 10)
    world.commit_batch(lease, 1, 4, rejected=1)
    assert world.leases.cancel(lease.job_id).cancel_requested_at is not None
    job = world.attempts.finish_cancelled(lease.job_id, lease.attempt)
    counts = world.ledger.counts([job.id])[job.id]
    assert (job.status, counts.inserted, counts.rejected, counts.unprocessed) == (Status.CANCELLED, 3, 1, 6)


def test_a_job_between_two_attempts_is_cancelled_at_once(world: LedgerRig) -> None:
    lease = world.taken(world.claimed())
    world.leases.release(lease, error="S3 is away")
    assert world.leases.cancel(lease.job_id).status is Status.CANCELLED
    with pytest.raises(LeaseLostError):
        world.parsed(lease, 1)


def test_open_jobs_come_in_order_of_arrival_with_their_holders(world: LedgerRig) -> None:
    jobs = [world.claimed(f"users/{number}", str(number).encode()) for number in range(3)]
    world.leases.cancel(jobs[1].id)
    world.taken(jobs[2])
    assert [(job.id, job.is_held) for job in world.ledger.open_jobs()] == [
        (jobs[0].id, False),
        (jobs[2].id, True),
    ]
    assert world.ledger.open_counts() == {Status.PENDING: 1, Status.PROCESSING: 1}


def test_only_free_jobs_join_a_group(world: LedgerRig) -> None:
    free, held, done = (world.claimed(f"users/{number}", str(number).encode()) for number in range(3))
    world.taken(held)
    world.finish(world.taken(done), 1)
    group = new_id()
    assert world.ledger.assign_group([free.id, held.id, done.id], group) == [free.id]
    assert world.ledger.assign_group([free.id], new_id()) == []
    assert world.ledger.get(free.id).requested_at is None
    world.ledger.requested(group)
    assert world.ledger.get(free.id).requested_at is not None


def test_jobs_are_listed_newest_first_and_page_by_page(world: LedgerRig) -> None:
    users = [world.claimed(f"users/{number}", str(number).encode()) for number in range(3)]
    other = world.claimed("customers/a", b"a")
    world.leases.cancel(users[0].id)
    ids = [job.id for job in users]
    assert [job.id for job in world.ledger.newest(limit=2)] == [other.id, ids[2]]
    before = (users[2].created_at, users[2].id)
    assert [job.id for job in world.ledger.newest(before=before)] == [ids[1], ids[0]]
    assert [job.id for job in world.ledger.newest(table="users")] == ids[::-1]
    assert [job.id for job in world.ledger.newest(status=Status.CANCELLED)] == [ids[0]]


def test_jobs_are_found_by_their_object_and_by_their_request(world: LedgerRig) -> None:
    first = world.claimed(content=b"one", idempotency_key="k")
    second = world.claimed(content=b"two")
    newest = world.ledger.newest_of_object
    assert newest(world.uploads, KEY) == second
    assert newest(world.uploads, KEY, first.etag) == first
    assert newest(world.uploads, "users/other") is None
    with world.postgres.transaction() as connection:
        assert inbox_files.of_request(connection, "users", "k") == first
        assert inbox_files.of_request(connection, "customers", "k") is None
    with pytest.raises(NotFoundError):
        world.ledger.get(new_id())
    with pytest.raises(NotFoundError):
        world.ledger.get("seven")


def test_a_batch_whose_counts_do_not_sum_up_is_refused(world: LedgerRig) -> None:
    lease = world.taken(world.claimed())
    with pytest.raises(psycopg.errors.CheckViolation):
        world.commit_batch(lease, 5, 3)


def test_an_outage_is_reported_as_one(world: LedgerRig) -> None:
    world.sql("SELECT 1")
    with (
        pytest.raises(StoreUnavailableError, match=r"127\.0\.0\.1"),
        world.postgres.transaction() as connection,
    ):
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert world.sql("SELECT 1") == [(1,)]


def test_past_jobs_cost_nothing(world: LedgerRig) -> None:
    lease = world.taken(world.claimed())
    world.commit_batch(lease, 1, 2)
    world.sql(PAST_JOBS)
    given = {"bucket": world.uploads, "key": KEY, "limit": 5, "idempotency_key": "k", "lease": timedelta(0)}
    names = ("table", "status", "statuses", "created_at", "id", "etag", "file", "in_key", "since")
    given |= dict.fromkeys(names)
    for query in (
        _OPEN,
        _OPEN_COUNTS,
        IMPORTS.newest_query(EVERYBODY),
        _NEWEST_OF_OBJECT,
        inbox_files.OF_REQUEST,
        IMPORT_QUERIES.expired,
    ):
        with world.postgres.transaction() as connection:
            text = query if isinstance(query, str) else query.decode()
            explain = f"EXPLAIN (ANALYZE, BUFFERS OFF, FORMAT JSON) {text}"
            ((plan,),) = connection.execute(explain.encode(), given).fetchall()
        assert max(_rows_read(plan[0]["Plan"], "import_jobs")) <= 10, text


def _rows_read(node: dict[str, Any], table: str) -> Iterator[int]:
    """Return the numbers of rows that each scan of the table read."""
    yield 0
    if node.get("Relation Name") == table:
        yield node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    for child in node.get("Plans", []):
        yield from _rows_read(child, table)


# Without triggers, which count each job: these only have to be there.
PAST_JOBS = """
    SET LOCAL session_replication_role = replica;
    INSERT INTO bulk.import_jobs (
        id, table_name, mode, status, bucket, key, etag, size_bytes, arrived_at, archive_key, claimed_at,
        finished_at
    )
    SELECT
        bulk.uuid_v7(), 'users', 'insert_only', 'completed', 'uploads', 'users/' || n, n, 1, now(), 'a', now(),
        now()
    FROM generate_series(1, 20000) AS n;
    ANALYZE bulk.import_jobs
"""
