"""Files dropped with any S3 client: unusual keys, kinds of upload and contents. None of them stops the sensor."""

from uuid import uuid4

import pytest

from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline_tests.rigs.running_stack import RunningStack, customers, unique, until

ODD_NAMES = {
    "spaces": "with spaces and + plus.csv",
    "quotes": 'it\'s "quoted" & <tagged>.csv',
    "unicode": "håndbok/日本語 🎉.csv",
    "folders": "a/b/c/d.csv",
    "what URLs are made of": "percent%20sign;a=b,c?d#e.csv",
    "what shells are made of": "$(rm -rf) `x` \\ *.csv",
    "no suffix": "no suffix",
    "a thousand characters": "/".join([*(letter * 200 for letter in "abcd"), "e" * 164 + ".csv"]),
}
BROKEN: dict[str, tuple[str, bytes, dict[str, str], str]] = {
    "unknown table": ("nowhere/{}.csv", b"a\n1\n", {}, "unknown table 'nowhere'"),
    "no table": ("{}.csv", b"a\n1\n", {}, "names no table"),
    "unknown mode": ("customers/{}.csv", b"a\n1\n", {"mode": "replace"}, "unknown mode 'replace'"),
    "nothing in it": ("customers/{}.csv", b"", {}, "empty"),
    "broken gzip": ("customers/{}.csv.gz", b"\x1f\x8b\x08garbage", {}, "gzip"),
    "a picture": ("customers/{}.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), {}, "PNG"),
}
"""Key, content, metadata, and a part of the error."""


@pytest.fixture
def email() -> str:
    """Return an address that no other test uses."""
    return f"{uuid4().hex}@example.com"


@pytest.fixture(scope="module")
def dropped(running: RunningStack) -> dict[str, tuple[str, str]]:
    """Upload all files at once; yield the key and an address in the file by description."""
    keys = {oddity: f"customers/{unique()} {name}" for oddity, name in ODD_NAMES.items()}
    keys |= {oddity: key.format(unique()) for oddity, (key, *_) in BROKEN.items()}
    emails = {oddity: f"{uuid4().hex}@example.com" for oddity in keys}
    for oddity, key in keys.items():
        _, content, metadata, _ = BROKEN.get(oddity, ("", customers(emails[oddity]), {}, ""))
        running.drop(key, content, **metadata)
    return {oddity: (keys[oddity], emails[oddity]) for oddity in keys}


@pytest.mark.parametrize("oddity", ODD_NAMES)
def test_unusual_keys_are_imported_like_any_other(
    world: RunningStack, dropped: dict[str, tuple[str, str]], oddity: str
) -> None:
    key, email = dropped[oddity]
    job = world.finished(key)
    assert (job.status, world.counts(job)) == (Status.COMPLETED, Counts(total=1, inserted=1))
    assert world.query("SELECT city FROM customers WHERE email = %s", email) == [("Lund",)]
    assert key not in world.inbox()


@pytest.mark.parametrize("oddity", BROKEN)
def test_a_file_that_cannot_be_imported_fails_with_one_error_and_leaves_the_inbox(
    world: RunningStack, dropped: dict[str, tuple[str, str]], oddity: str
) -> None:
    key, _ = dropped[oddity]
    job = world.finished(key)
    assert job.status is Status.FAILED
    assert BROKEN[oddity][-1] in (job.error or "")
    until(
        lambda: key not in world.inbox(),
        "the file, which is removed once its job has failed, leaves the inbox",
    )


def test_a_multipart_upload_is_imported_like_any_other(world: RunningStack, email: str) -> None:
    key = f"customers/{unique()}.csv"
    parts = [b"email,city\n" + b"\n" * (5 << 20), f"{email},Lund\n".encode()]
    upload = world.client.create_multipart_upload(Bucket="uploads", Key=key)["UploadId"]
    place = {"Bucket": "uploads", "Key": key, "UploadId": upload}
    sent = [
        {"PartNumber": n, "ETag": world.client.upload_part(**place, PartNumber=n, Body=part)["ETag"]}
        for n, part in enumerate(parts, 1)
    ]
    world.client.complete_multipart_upload(**place, MultipartUpload={"Parts": sent})
    job = world.finished(key)
    assert (job.status, world.counts(job)) == (Status.COMPLETED, Counts(total=1, inserted=1))


def test_the_mode_comes_from_the_metadata_else_from_the_folder(world: RunningStack, email: str) -> None:
    world.execute(f"INSERT INTO customers (email, city) VALUES ('{email}', 'Lund')")
    keys = [
        world.drop(f"customers/upsert/{unique()}.csv", customers(email)),
        world.drop(f"customers/{unique()}.csv", customers(email), mode="upsert"),
        world.drop(f"customers/insert_only/{unique()}.csv", customers(email), mode="upsert"),
    ]
    jobs = [world.finished(key) for key in keys]
    assert [(job.mode, world.counts(job)) for job in jobs] == [("upsert", Counts(total=1, unchanged=1))] * 3


def test_an_idempotency_key_makes_two_objects_one_request(world: RunningStack, email: str) -> None:
    request = unique("request")
    first = world.load(f"customers/{unique()}.csv", customers(email), idempotency_key=request)
    second = world.load(f"customers/{unique()}.csv", customers(f"x{email}"), idempotency_key=request)
    assert (second.status, second.first_job_id) == (Status.SKIPPED, first.id)


def test_a_folder_marker_is_not_an_upload(world: RunningStack, email: str) -> None:
    folder = f"customers/{unique()}/"
    world.drop(folder, b"")
    world.load(f"{folder}a.csv", customers(email))
    assert (world.jobs(folder), folder in world.inbox()) == ([], True)


def test_the_same_object_while_the_first_is_processing_is_skipped(world: RunningStack, email: str) -> None:
    key, content = f"customers/{unique()}.csv", customers(email, f"x{email}")
    with world.holding(email):
        first = world.job(world.drop(key, content))
        until(world.waits_for_a_lock, "the first is loaded")
        world.drop(key, content)
        again = until(lambda: world.jobs(key)[1:], "a job of the second")[0]
        assert (again.status, again.first_job_id) == (Status.SKIPPED, first.id)
        until(lambda: key not in world.inbox(), "the second leaves the inbox")
        assert not world.stores.ledger.get(first.id).status.is_final
    jobs = world.all_finished(key, 2)
    assert [job.status for job in jobs] == [Status.COMPLETED, Status.SKIPPED]
    assert world.counts(jobs[0]) == Counts(total=2, inserted=2)


def test_other_bytes_while_the_first_is_processing_are_imported_too(world: RunningStack, email: str) -> None:
    key = f"customers/{unique()}.csv"
    with world.holding(email):
        world.drop(key, customers(email))
        until(world.waits_for_a_lock, "the first is loaded")
        world.drop(key, customers(f"x{email}", f"y{email}"))
        until(lambda: world.jobs(key)[1:], "a job of the second")
    jobs = world.all_finished(key, 2)
    assert [job.status for job in jobs] == [Status.COMPLETED, Status.COMPLETED]
    assert [world.counts(job).inserted for job in jobs] == [1, 2]
    assert [world.archived(job) for job in jobs] == [customers(email), customers(f"x{email}", f"y{email}")]
