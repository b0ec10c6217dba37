"""One upload becomes one job, one archived object and an empty inbox, wherever a claim is interrupted."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from bulk_pipeline.errors import (
    JobNotFinishedError,
    NotFoundError,
    StoreRefusedError,
    StoreUnavailableError,
)
from bulk_pipeline.ledger.claims import GONE
from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.s3.listing import ListedObject
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.schema import Mode
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.ledger import KEY, LedgerRig, at_once


@pytest.fixture
def world(settings: Settings) -> Iterator[LedgerRig]:
    world = LedgerRig(settings)
    yield world
    world.postgres.close()


class Breaking(ObjectStore):
    """An object store that fails at one step: before the step, or after it, so that only the answer is lost."""

    def __init__(self, settings: Settings, step: str, *, is_done: bool) -> None:
        super().__init__(settings)
        self._step = step
        self._is_done = is_done

    def copy(self, source: ListedObject, bucket: str, key: str) -> bool:
        self._break("copy", lambda: super(Breaking, self).copy(source, bucket, key))
        return super().copy(source, bucket, key)

    def remove_if_unchanged(self, source: ListedObject) -> bool:
        self._break("remove", lambda: super(Breaking, self).remove_if_unchanged(source))
        return super().remove_if_unchanged(source)

    def _break(self, step: str, act: Callable[[], bool]) -> None:
        if step == self._step:
            if self._is_done:
                act()
            raise StoreUnavailableError("the claimer was killed here")


def broken_claim(world: LedgerRig, found: ListedObject, step: str, *, is_done: bool) -> None:
    with pytest.raises(StoreUnavailableError):
        world.claims_with(Breaking(world.settings, step, is_done=is_done)).claim(found)


def test_a_drop_becomes_a_job_and_leaves_the_inbox(world: LedgerRig) -> None:
    result = world.drop("users/upsert/my people.csv", b"email\n", idempotency_key="k", encoding="cp1252")
    job = world.claims.claim(result)
    assert job is not None
    assert (job.table, job.mode, job.status, job.size_bytes) == ("users", Mode.UPSERT, Status.PENDING, 6)
    assert (job.bucket, job.key, job.etag, job.arrived_at) == (
        world.uploads,
        result.key,
        result.etag,
        result.last_modified,
    )
    assert (job.idempotency_key, job.upload_format.encoding, job.error) == ("k", "cp1252", None)
    assert world.inbox() == []
    assert world.archived() == {f"users/{job.id}/my_people.csv": b"email\n"}
    assert world.ledger.get(job.id) == job


def test_claimers_of_one_drop_get_the_same_job(world: LedgerRig) -> None:
    result = world.drop()
    jobs = at_once(lambda _: world.claims.claim(result), 50)
    assert {job.id for job in jobs if job} == {world.jobs()[0].id}
    assert len(world.jobs()) == len(world.archived()) == 1
    assert world.inbox() == []


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["copy", "remove"])
def test_a_claim_that_broke_off_is_finished_by_the_next(world: LedgerRig, step: str, is_done: bool) -> None:
    result = world.drop()
    broken_claim(world, result, step, is_done=is_done)
    job = world.claims.claim(result)
    assert job is not None
    assert [job] == world.jobs()
    assert job.status is Status.PENDING
    assert list(world.archived().values()) == [b"one"]
    assert world.inbox() == []


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
def test_a_job_without_its_bytes_is_not_open(world: LedgerRig, is_done: bool) -> None:
    broken_claim(world, world.drop(), "copy", is_done=is_done)
    assert world.ledger.open_jobs() == []
    (job,) = world.claims.finish_abandoned(older_than=timedelta(0))
    assert [opened.id for opened in world.ledger.open_jobs()] == [job.id]


def test_an_upload_replaced_after_its_copy_is_two_jobs(world: LedgerRig) -> None:
    broken_claim(world, world.drop(), "copy", is_done=True)
    second = world.claimed(content=b"two")
    first = world.jobs()[0]
    assert (first.status, second.status) == (Status.PENDING, Status.PENDING)
    assert world.archived() == {first.archive_key: b"one", second.archive_key: b"two"}


def test_an_upload_replaced_before_its_copy_fails_and_says_so(world: LedgerRig) -> None:
    broken_claim(world, world.drop(), "copy", is_done=False)
    second = world.claimed(content=b"two")
    first = world.jobs()[0]
    assert (first.status, first.error, first.archive_key) == (Status.FAILED, GONE, None)
    assert list(world.archived().values()) == [b"two"]
    assert [opened.id for opened in world.ledger.open_jobs()] == [second.id]
    assert world.inbox() == []


def test_an_upload_removed_before_its_copy_is_not_stuck(world: LedgerRig) -> None:
    result = world.drop()
    broken_claim(world, result, "copy", is_done=False)
    world.objects.remove(world.uploads, KEY)
    job = world.claims.claim(result)
    assert job is not None
    assert (job.status, job.error) == (Status.FAILED, GONE)


def test_an_upload_replaced_between_copy_and_removal_stays_for_the_next_claim(world: LedgerRig) -> None:
    result = world.drop()
    broken_claim(world, result, "remove", is_done=False)
    again = world.drop(content=b"two")
    assert world.claims.claim(result) == world.jobs()[0]
    assert world.inbox() == [KEY]
    assert world.claims.claim(again) is not None
    assert sorted(world.archived().values()) == [b"one", b"two"]


def test_a_listing_that_is_out_of_date_claims_nothing(world: LedgerRig) -> None:
    old = world.drop()
    world.drop(content=b"two")
    assert world.claims.claim(old) is None
    world.objects.remove(world.uploads, KEY)
    assert world.claims.claim(old) is None
    assert world.jobs() == []


def test_the_same_bytes_again_before_the_first_are_archived_are_not_lost(world: LedgerRig) -> None:
    first = world.drop()
    broken_claim(world, first, "copy", is_done=False)
    second = world.claims.claim(world.drop())
    done, repeated = world.jobs()
    assert repeated == second
    assert (done.status, repeated.status, repeated.first_job_id) == (
        Status.PENDING,
        Status.SKIPPED,
        done.id,
    )
    assert world.archived() == {done.archive_key: b"one"}
    assert world.inbox() == []


@pytest.mark.parametrize("state", ["pending", "processing", "completed"])
def test_the_same_object_again_is_skipped_for_the_first(world: LedgerRig, state: str) -> None:
    first = world.claimed()
    if state != "pending":
        lease = world.taken(first)
        if state == "completed":
            world.finish(lease, 2)
    again = world.claimed()
    assert (again.status, again.first_job_id, again.finished_at is None) == (
        Status.SKIPPED,
        first.id,
        False,
    )
    assert len(world.archived()) == 1
    assert world.inbox() == []


@pytest.mark.parametrize("state", ["failed", "completed_with_errors", "cancelled"])
def test_the_same_object_again_is_a_new_attempt_if_the_first_was_no_success(
    world: LedgerRig, state: str
) -> None:
    if state == "cancelled":
        first = world.leases.cancel(world.claimed().id)
    else:
        first = world.finished(rejected=2 if state == "failed" else 1)
    assert first.status == state
    again = world.claimed()
    assert (again.status, again.retry_of) == (Status.PENDING, first.id)
    assert world.claimed().first_job_id == again.id


def test_force_imports_the_same_object_again(world: LedgerRig) -> None:
    first = world.finished()
    again = world.claimed(force="true")
    assert (again.status, again.retry_of) == (Status.PENDING, first.id)


def test_other_bytes_under_the_same_key_are_another_job(world: LedgerRig) -> None:
    first = world.claimed(content=b"one")
    world.taken(first)
    second = world.claimed(content=b"two")
    assert (second.status, second.retry_of) == (Status.PENDING, None)
    assert world.archived() == {first.archive_key: b"one", second.archive_key: b"two"}


def test_a_repeated_idempotency_key_is_skipped_for_the_first_whatever_its_outcome(world: LedgerRig) -> None:
    first = world.claimed("users/a.csv", b"one", idempotency_key="k")
    world.finish(world.taken(first), 1, rejected=1)
    again = world.claimed("users/b.csv", b"two", idempotency_key="k")
    other_table = world.claimed("customers/a.csv", b"two", idempotency_key="k")
    assert (again.status, again.first_job_id) == (Status.SKIPPED, first.id)
    assert other_table.status is Status.PENDING


def test_one_request_at_two_keys_at_once_is_one_job(world: LedgerRig) -> None:
    drops = [world.drop(f"users/{number}.csv", b"one", idempotency_key="k") for number in range(8)]
    at_once(lambda number: world.claims.claim(drops[number]), 8)
    statuses = sorted(job.status for job in world.jobs())
    assert statuses == [Status.PENDING] + [Status.SKIPPED] * 7


@pytest.mark.parametrize(
    ("key", "metadata", "error"),
    [
        ("userz/a.csv", {}, "unknown table 'userz'"),
        ("a.csv", {}, "names no table"),
        ("users/a.csv", {"mode": "replace"}, "unknown mode 'replace'"),
    ],
)
def test_a_drop_that_is_not_clear_fails_with_one_error_and_leaves_the_inbox(
    world: LedgerRig, key: str, metadata: dict[str, str], error: str
) -> None:
    result = world.drop(key, b"one", **metadata)
    broken_claim(world, result, "copy", is_done=False)
    job = world.claims.claim(result)
    assert job is not None
    assert job.status is Status.FAILED
    assert error in (job.error or "")
    assert world.archived() == {f"_unknown/{job.id}/a.csv": b"one"}
    assert world.inbox() == []
    with pytest.raises(StoreRefusedError, match=error):
        world.claims.retry(job.id)


@pytest.mark.parametrize(
    "key",
    [
        'users/it\'s "quoted" & 100%+=.csv',
        "users/\u4f60\u597d é \U0001f600.csv",
        "users/line\nbreak\ttab.csv",
        "users/" + "/".join("x" * 199 for _ in range(5))[:994],
    ],
)
def test_odd_keys_are_claimed_like_any_other(world: LedgerRig, key: str) -> None:
    job = world.claimed(key)
    assert job.key == key
    assert list(world.archived().values()) == [b"one"]
    assert world.inbox() == []


def test_a_folder_marker_is_nothing_to_claim(world: LedgerRig) -> None:
    marker = ListedObject(world.uploads, "users/", "d41d", 0, world.drop().last_modified)
    assert world.claims.claim(marker) is None
    assert world.jobs() == []


def test_a_cancelled_job_still_leaves_the_inbox(world: LedgerRig) -> None:
    result = world.drop()
    broken_claim(world, result, "copy", is_done=False)
    world.leases.cancel(world.jobs()[0].id)
    job = world.claims.claim(result)
    assert job is not None
    assert job.status is Status.CANCELLED
    assert (world.inbox(), list(world.archived().values())) == ([], [b"one"])


def test_a_retry_is_a_new_job_for_the_archived_bytes(world: LedgerRig) -> None:
    first = world.finished()
    again = world.claims.retry(first.id)
    assert (again.status, again.retry_of, again.archive_key) == (
        Status.PENDING,
        first.id,
        first.archive_key,
    )
    assert again.arrived_at > first.arrived_at
    assert world.claims.retry(first.id) == again
    assert [opened.id for opened in world.ledger.open_jobs()] == [again.id]


def test_only_a_finished_job_with_bytes_can_be_retried(world: LedgerRig) -> None:
    with pytest.raises(JobNotFinishedError):
        world.claims.retry(world.claimed().id)
    broken_claim(world, world.drop("users/b.csv"), "copy", is_done=False)
    world.objects.remove(world.uploads, "users/b.csv")
    (lost,) = world.claims.finish_abandoned(older_than=timedelta(0))
    with pytest.raises(NotFoundError, match="the archive does not have its file"):
        world.claims.retry(lost.id)


def test_retries_at_once_are_one_job(world: LedgerRig) -> None:
    first = world.finished()
    retries: list[ImportJob] = at_once(lambda _: world.claims.retry(first.id), 8)
    assert len({job.id for job in retries}) == 1
