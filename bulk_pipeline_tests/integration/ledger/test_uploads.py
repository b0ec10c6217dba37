"""Uploads over HTTP: one job for each request, even if a process dies on the way."""

import io
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from typing import BinaryIO

import psycopg
import pytest

from bulk_pipeline.errors import IdempotencyConflictError, StoreUnavailableError
from bulk_pipeline.ledger.claims import BROKEN_OFF
from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.ledger.uploads import Receipt, Upload
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.schema import Mode
from bulk_pipeline_tests.rigs.pipeline import Pipeline

FILE = b"email\na@example.com\nb@example.com\n"
REQUESTS = 50


def test_an_upload_is_imported_like_a_drop(pipeline: Pipeline) -> None:
    made = pipeline.stores.receiver.receive(upload(FILE, name="März 1.csv"))
    assert made.is_new
    assert made.job.file_name == "März 1.csv"
    pipeline.work_off()
    job = pipeline.stores.ledger.get(made.job.id)
    assert job.status is Status.COMPLETED
    assert pipeline.counts(job).inserted == 2
    assert pipeline.query("SELECT email FROM customers ORDER BY email") == [
        ("a@example.com",),
        ("b@example.com",),
    ]


def test_the_same_request_again_is_the_same_job(pipeline: Pipeline) -> None:
    first = pipeline.stores.receiver.receive(upload(FILE, key="k"))
    again = pipeline.stores.receiver.receive(upload(FILE, key="k"))
    assert (again.job.id, again.is_new) == (first.job.id, False)


def test_keys_of_other_people_and_none_at_all_are_other_requests(pipeline: Pipeline) -> None:
    given = [upload(FILE, key="k", scope="a"), upload(FILE, key="k", scope="b"), upload(FILE), upload(FILE)]
    made = [pipeline.stores.receiver.receive(one) for one in given]
    assert len({receipt.job.id for receipt in made}) == 4


def test_fifty_at_once_are_one_job(pipeline: Pipeline) -> None:
    def send(_: int) -> Receipt:
        return pipeline.stores.receiver.receive(upload(FILE, key="k"))

    with ThreadPoolExecutor(REQUESTS) as threads:
        receipts = list(threads.map(send, range(REQUESTS)))
    assert len({receipt.job.id for receipt in receipts}) == 1
    assert sum(receipt.is_new for receipt in receipts) == 1
    pipeline.work_off()
    assert pipeline.query("SELECT count(*) FROM bulk.import_jobs") == [(1,)]
    assert pipeline.query("SELECT count(*) FROM customers") == [(2,)]


@pytest.mark.parametrize(
    "other", [{"content": b"email\nc@example.com\n"}, {"mode": Mode.UPSERT}, {"table": "users"}], ids=str
)
def test_the_same_key_for_something_else_is_refused(pipeline: Pipeline, other: dict[str, object]) -> None:
    pipeline.stores.receiver.receive(upload(FILE, key="k"))
    given = {"content": FILE, "key": "k"} | other
    with pytest.raises(IdempotencyConflictError, match="another file, table, mode or format"):
        pipeline.stores.receiver.receive(upload(**given))  # pyright: ignore[reportArgumentType]


def test_an_outage_fails_the_job_and_frees_the_key(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "upload", outage)
        with pytest.raises(StoreUnavailableError):
            pipeline.stores.receiver.receive(upload(FILE, key="k"))
    assert outcomes(pipeline) == [("failed", BROKEN_OFF)]
    assert pipeline.stores.receiver.receive(upload(FILE, key="k")).is_new


@pytest.mark.parametrize("has_bytes", [True, False], ids=["after the bytes", "before them"])
def test_a_process_that_dies_with_an_upload_leaves_a_job_that_runs_or_fails(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, has_bytes: bool
) -> None:
    sent = ObjectStore.upload

    def die(objects: ObjectStore, bucket: str, key: str, stream: BinaryIO, **kwargs: object) -> None:
        if has_bytes:
            sent(objects, bucket, key, stream)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "upload", die)
        patch.setattr("bulk_pipeline.ledger.uploads.Receiver.abandon", lambda *_: None)
        with pytest.raises(KeyboardInterrupt):
            pipeline.stores.receiver.receive(upload(FILE, key="k"))
    pipeline.stores.claims.finish_abandoned(older_than=timedelta())
    assert outcomes(pipeline) == [("pending", None)], "it may still be on its way"
    with psycopg.connect(pipeline.stores.database_url) as connection:
        connection.execute("UPDATE bulk.import_jobs SET created_at = created_at - interval '1 hour'")
    pipeline.stores.claims.finish_abandoned(older_than=timedelta())
    pipeline.work_off()
    assert outcomes(pipeline) == [("completed", None) if has_bytes else ("failed", BROKEN_OFF)]
    assert pipeline.stores.receiver.receive(upload(FILE, key="k")).is_new is not has_bytes


def test_a_drop_with_the_same_key_is_another_request(pipeline: Pipeline) -> None:
    pipeline.stores.receiver.receive(upload(FILE, key="k"))
    pipeline.load("customers/a.csv", b"email\nc@example.com\n", **{"idempotency-key": "k"})
    assert pipeline.query("SELECT count(*) FROM customers") == [(3,)]


def test_a_retry_goes_in_the_mode_of_the_upload(pipeline: Pipeline) -> None:
    made = pipeline.stores.receiver.receive(upload(FILE, mode=Mode.UPSERT))
    pipeline.work_off()
    assert pipeline.stores.claims.retry(made.job.id).mode is Mode.UPSERT


def upload(
    content: bytes,
    *,
    key: str | None = None,
    name: str = "a.csv",
    table: str = "customers",
    mode: Mode = Mode.INSERT_ONLY,
    scope: str = "tests",
) -> Upload:
    return Upload(
        table=table,
        mode=mode,
        name=name,
        content=io.BytesIO(content),
        size_bytes=len(content),
        sha256=sha256(content).hexdigest(),
        scope=scope,
        idempotency_key=key,
    )


def outcomes(pipeline: Pipeline) -> list[tuple[str, str | None]]:
    return pipeline.query("SELECT status, error FROM bulk.import_jobs")


def outage(*_: object, **__: object) -> None:
    raise StoreUnavailableError("the object store is down")
