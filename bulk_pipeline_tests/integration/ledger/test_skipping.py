"""An upload is skipped only if it repeats the last one that was applied; an earlier state is imported again."""

import random
from collections.abc import Iterator

import pytest

from bulk_pipeline.errors import FileErrorCode
from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.schema import Mode
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.ledger import LedgerRig

ALL = "users/upsert/all.csv"
YESTERDAY, TODAY = "customers/upsert/yesterday.csv", "customers/upsert/today.csv"


@pytest.fixture
def world(settings: Settings) -> Iterator[LedgerRig]:
    world = LedgerRig(settings)
    yield world
    world.postgres.close()


@pytest.mark.parametrize("key", ["users/all.csv", ALL])
def test_mondays_file_after_tuesdays_under_the_same_key_is_work(world: LedgerRig, key: str) -> None:
    monday = world.finished(key, b"editor")
    tuesday = world.finished(key, b"admin")
    wednesday = world.claimed(key, b"editor")
    assert (wednesday.status, wednesday.retry_of) == (Status.PENDING, monday.id)
    world.finish(world.taken(wednesday), 2)
    thursday = world.claimed(key, b"admin")
    assert (thursday.status, thursday.retry_of) == (Status.PENDING, tuesday.id)


@pytest.mark.parametrize("key", ["users/all.csv", ALL])
def test_the_same_file_again_after_its_return_is_skipped_for_the_return(world: LedgerRig, key: str) -> None:
    for content in (b"editor", b"admin"):
        world.finished(key, content)
    returned = world.finished(key, b"editor")
    again = world.claimed(key, b"editor")
    assert (again.status, again.first_job_id) == (Status.SKIPPED, returned.id)


@pytest.mark.parametrize("state", ["pending", "processing", "with errors", "cancelled half way"])
def test_a_file_that_is_or_will_be_applied_in_between_counts(world: LedgerRig, state: str) -> None:
    world.finished(ALL, b"editor")
    between = world.claimed(ALL, b"admin")
    if state != "pending":
        lease = world.taken(between)
        if state == "with errors":
            world.finish(lease, 2, rejected=1)
        elif state == "cancelled half way":
            world.parsed(lease, 4)
            world.commit_batch(lease, 1, 2)
            world.leases.cancel(between.id)
            world.attempts.finish_cancelled(between.id, lease.attempt)
    assert world.claimed(ALL, b"editor").status is Status.PENDING


@pytest.mark.parametrize("state", ["unreadable", "rejected whole", "cancelled"])
def test_a_file_of_which_nothing_was_applied_does_not_count(world: LedgerRig, state: str) -> None:
    monday = world.finished(ALL, b"editor")
    between = world.claimed(ALL, b"admin")
    if state == "cancelled":
        world.leases.cancel(between.id)
    else:
        lease = world.taken(between)
        if state == "unreadable":
            world.attempts.fail_file(
                between.id, lease.attempt, "this is a PNG image", code=FileErrorCode.UNSUPPORTED_FORMAT
            )
        else:
            world.finish(lease, 2, rejected=2)
    again = world.claimed(ALL, b"editor")
    assert (again.status, again.first_job_id) == (Status.SKIPPED, monday.id)


def test_a_retry_of_an_older_state_counts_as_applied_at_its_request(world: LedgerRig) -> None:
    monday, _ = world.finished(ALL, b"editor"), world.finished(ALL, b"admin")
    world.finish(world.taken(world.claims.retry(monday.id)), 2)
    assert world.claimed(ALL, b"admin").status is Status.PENDING
    assert world.claimed(ALL, b"editor").status is Status.PENDING


@pytest.mark.parametrize(
    "metadata",
    [
        {"mode": "upsert"},
        {"encoding": "cp1252"},
        {"header": "none"},
        {"columns": "E-Mail=email"},
        {"sheet": "Data"},
        {"records": "data"},
    ],
    ids=str,
)
def test_the_same_bytes_in_another_mode_or_declared_otherwise_are_work(
    world: LedgerRig, metadata: dict[str, str]
) -> None:
    first = world.finished("customers/a.csv")
    other = world.claimed("customers/a.csv", b"one", **metadata)
    assert other.status is Status.PENDING
    world.finish(world.taken(other), 2)
    again = world.claimed("customers/a.csv", b"one", **metadata)
    assert (again.status, again.first_job_id) == (Status.SKIPPED, other.id)
    assert (world.claimed("customers/a.csv").status, first.status) == (Status.PENDING, Status.COMPLETED)


def test_the_same_bytes_with_an_invalid_declaration_fail_instead_of_being_skipped(
    world: LedgerRig,
) -> None:
    world.finished("customers/a.csv")
    again = world.claimed("customers/a.csv", header="first")
    assert again.status is Status.FAILED
    assert "header 'first'" in (again.error or "")


def test_yesterdays_file_after_todays_under_another_name_is_work_in_upsert(world: LedgerRig) -> None:
    yesterday = world.finished(YESTERDAY, b"Rome")
    world.finished(TODAY, b"Oslo")
    again = world.claimed(YESTERDAY, b"Rome")
    assert (again.status, again.retry_of) == (Status.PENDING, yesterday.id)
    world.finish(world.taken(again), 2)
    assert world.claimed(YESTERDAY, b"Rome").first_job_id == again.id


def test_a_file_of_another_name_in_between_changes_nothing_in_insert_only(world: LedgerRig) -> None:
    """The rows are in the table: the same file would be rejected again."""
    first = world.finished("customers/yesterday.csv", b"Rome")
    world.finished("customers/today.csv", b"Oslo")
    again = world.claimed("customers/yesterday.csv", b"Rome")
    assert (again.status, again.first_job_id) == (Status.SKIPPED, first.id)


@pytest.mark.parametrize("key", ["customers/today.csv", "users/upsert/today.csv"])
def test_inserted_rows_and_other_tables_are_no_reason_to_apply_an_upsert_again(
    world: LedgerRig, key: str
) -> None:
    first = world.finished(YESTERDAY, b"Rome")
    world.finished(key, b"Oslo")
    again = world.claimed(YESTERDAY, b"Rome")
    assert (again.status, again.first_job_id) == (Status.SKIPPED, first.id)


def test_a_file_that_came_before_and_still_lies_in_the_inbox_counts(world: LedgerRig) -> None:
    """Several claimers take files in any order."""
    world.finished(YESTERDAY, b"Rome")
    today, yesterday = world.drop(TODAY, b"Oslo"), world.drop(YESTERDAY, b"Rome")
    again = world.claims.claim(yesterday)
    assert again is not None
    assert again.status is Status.PENDING
    assert world.claims.claim(today) is not None


def test_a_file_that_came_after_it_does_not_count(world: LedgerRig) -> None:
    first = world.finished(YESTERDAY, b"Rome")
    yesterday = world.drop(YESTERDAY, b"Rome")
    later = world.drop(TODAY, b"Oslo")
    assert later.last_modified > yesterday.last_modified
    again = world.claims.claim(yesterday)
    assert again is not None
    assert (again.status, again.first_job_id) == (Status.SKIPPED, first.id)


def test_a_skipped_job_names_the_other_job_and_how_to_import_it_nevertheless(world: LedgerRig) -> None:
    first = world.finished()
    again = world.claimed()
    assert again.warnings == [
        f"skipped: imported before as job {first.id} on {first.arrived_at:%Y-%m-%d %H:%M} UTC; "
        "drop it with force to import it again"
    ]
    assert again.error is None


def test_a_job_skipped_for_one_that_is_not_finished_says_so(world: LedgerRig) -> None:
    first = world.claimed()
    assert world.claimed().warnings == [
        f"skipped: being imported already as job {first.id} since {first.arrived_at:%Y-%m-%d %H:%M} UTC; "
        "drop it with force to import it again"
    ]


def test_a_job_skipped_for_its_idempotency_key_says_so(world: LedgerRig) -> None:
    first = world.claimed("users/a.csv", b"one", idempotency_key="k")
    again = world.claimed("users/b.csv", b"two", idempotency_key="k")
    assert again.warnings == [
        f"skipped: the idempotency key 'k' came before with job {first.id} on "
        f"{first.arrived_at:%Y-%m-%d %H:%M} UTC; drop it with force to import it all the same"
    ]


@pytest.mark.parametrize("seed", range(3))
def test_skipped_uploads_make_no_difference_to_the_table(world: LedgerRig, seed: int) -> None:
    """For any uploads in any mode, the table is as if every upload had been applied in turn."""
    chance = random.Random(seed)
    files = {b"1": {"x": 1}, b"2": {"x": 2}, b"3": {"x": 3, "y": 3}}
    stored, expected, skipped = dict[str, int](), dict[str, int](), 0
    for _ in range(40):
        key, mode = chance.choice(["customers/a.csv", "customers/b.csv"]), chance.choice(list(Mode))
        content = chance.choice(list(files))
        rows = files[content]
        job = world.claimed(key, content, mode=mode)
        expected = expected | rows if mode.rules.updates_rows else rows | expected
        if job.status is Status.SKIPPED:
            skipped += 1
        else:
            rejected = len(rows.keys() & stored.keys()) if mode.rules.rejects_repeated_keys else 0
            stored = stored | rows if mode.rules.updates_rows else rows | stored
            world.finish(world.taken(job), len(rows), rejected)
        assert stored == expected
    assert skipped > 0
