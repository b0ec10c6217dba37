"""One tick of the upload sensor claims files, requests runs, and stores its position."""

import hashlib
import io
import re
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import dagster as dg
import psycopg
import pytest

from bulk_pipeline.errors import StoreRefusedError, StoreUnavailableError
from bulk_pipeline.ledger.claims import Claims
from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.ledger.uploads import Upload
from bulk_pipeline.orchestration.sensors import upload_sensor
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.rights import Rights
from bulk_pipeline.s3.listing import ListedObject
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.schema import Mode
from bulk_pipeline.stages.export.request import ExportRequest
from bulk_pipeline_tests.rigs.pipeline import LOOK_AGAIN_SECONDS, Pipeline

FILES = 60
WAITING_JOBS = """
    INSERT INTO bulk.import_jobs (
        id, table_name, mode, bucket, key, etag, size_bytes, arrived_at, archive_key, claimed_at, next_attempt_at
    )
    SELECT
        bulk.uuid_v7(), 'customers', 'insert_only', 'uploads', 'customers/' || number, '0', 1, now(), 'key', now(),
        now() + interval '1 day'
    FROM generate_series(1, %s) AS number
"""
S3_CALLS = ("page", "head", "copy", "remove_if_unchanged", "find")


def test_a_run_has_tags_that_name_its_file(pipeline: Pipeline) -> None:
    pipeline.drop("customers/upsert/a.csv", b"email\na@example.com\n")
    (request,) = ticks_until_a_run(pipeline)
    job = pipeline.job("customers/upsert/a.csv")
    assert request.run_key == job.group_id
    assert request.run_config == {"ops": {"parse": {"config": {"job_ids": [job.id]}}}}
    assert {name: value for name, value in request.tags.items() if "bulk" in name} == {
        "bulk/file": "a.csv",
        "bulk/table": "customers",
        "bulk/mode": "upsert",
        "dagster/bulk_job_id": job.id,
    }


def test_a_run_for_several_files_says_how_many(pipeline: Pipeline) -> None:
    for name in ("a", "b", "c"):
        pipeline.drop(f"customers/{name}.csv", f"email\n{name}@example.com\n".encode())
    pipeline.claim_as_of_one_moment()
    (request,) = ticks_until_a_run(pipeline)
    assert (request.tags["bulk/file"], "dagster/bulk_job_id" in request.tags) == ("a.csv +2", False)


def test_a_run_names_who_uploaded_its_file(pipeline: Pipeline) -> None:
    account = pipeline.stores.accounts.register("ada@example.com", "an uncommon password", Rights())
    send(pipeline, "a.csv", "request-0", owner_id=account.id)
    (request,) = ticks_until_a_run(pipeline)
    assert (request.tags["bulk/file"], request.tags["bulk/uploaded_by"]) == ("a.csv", "ada@example.com")


def test_a_hostile_name_of_a_file_is_a_harmless_tag(pipeline: Pipeline) -> None:
    send(pipeline, f"{'a' * 60}\n\u202e{'b' * 60}.csv", "request-0")
    (request,) = ticks_until_a_run(pipeline)
    assert request.tags["bulk/file"] == f"{'a' * 50}…{'b' * 45}.csv"


def test_a_run_names_the_requests_that_it_does_the_work_of(pipeline: Pipeline) -> None:
    for number in range(2):
        send(pipeline, f"{number}.csv", f"request-{number}")
    send(pipeline, "again.csv", "request-0")
    pipeline.claim_as_of_one_moment()
    (request,) = ticks_until_a_run(pipeline)
    assert request.tags["dagster/bulk_request_id"] == "request-0, request-1"


def test_the_run_of_an_export_names_its_request(pipeline: Pipeline) -> None:
    job = pipeline.stores.exports.ask(ExportRequest.of(table="customers"))
    with psycopg.connect(pipeline.stores.database_url) as connection:
        connection.execute("UPDATE bulk.export_jobs SET request_id = 'march-17' WHERE id = %s", [job.id])
    (request,) = ticks_until_a_run(pipeline)
    assert request.tags["dagster/bulk_request_id"] == "march-17"


def test_a_run_is_requested_once(pipeline: Pipeline) -> None:
    pipeline.drop("customers/a.csv", b"email\na@example.com\n")
    assert len(ticks_until_a_run(pipeline)) == 1
    assert [len(tick(pipeline).run_requests or []) for _ in range(3)] == [0, 0, 0]


def test_an_upload_that_cannot_be_had_stays_and_keeps_none_from_being_claimed(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = Claims.claim

    def refuse(claims: Claims, found: ListedObject) -> ImportJob | None:
        if found.key == "customers/b.csv":
            raise StoreRefusedError("s3://uploads/customers/b.csv: access denied")
        return claim(claims, found)

    monkeypatch.setattr(Claims, "claim", refuse)
    for name in ("a", "b", "c"):
        pipeline.drop(f"customers/{name}.csv", f"email\n{name}@example.com\n".encode())
    first, second = tick(pipeline), tick(pipeline)
    assert pipeline.inbox() == ["customers/b.csv"]
    reason = [str(result.skip_reason) for result in (first, second) if result.skip_reason]
    assert all("customers/b.csv: access denied" in text for text in reason)


def test_files_that_are_no_uploads_stay_without_a_job_and_the_tick_says_so(pipeline: Pipeline) -> None:
    junk = [
        "__MACOSX/a.csv",
        "customers/._a.csv",
        "customers/.DS_Store",
        "customers/_SUCCESS",
        "customers/~$a.xlsx",
    ]
    for key in [*junk, "customers/a.csv"]:
        pipeline.drop(key, b"email\na@example.com\n")
    pipeline.work_off()
    assert pipeline.inbox() == sorted(junk)
    assert (jobs(pipeline), pipeline.job("customers/a.csv").status) == (1, Status.COMPLETED)
    reason = tick(pipeline).skip_reason
    words = "left in the inbox, as no upload: customers/.DS_Store and 4 more"
    assert getattr(reason, "skip_message", reason) == words
    result = pipeline.stores.objects.find(pipeline.stores.settings.s3_bucket_uploads, "customers/._a.csv")
    assert result is not None
    assert pipeline.stores.claims.claim(result) is None


def test_files_of_unknown_tables_are_a_warning_of_the_inbox_once(pipeline: Pipeline) -> None:
    for number in range(12):
        pipeline.drop(f"custmers/{number:02}.csv", b"email\na@example.com\n")

    evaluations = [event for _ in range(3) for event in tick(pipeline).asset_events]

    assert 1 <= len(evaluations) <= 2  # one tick may claim both files, or one each
    newest = evaluations[-1]
    assert isinstance(newest, dg.AssetCheckEvaluation)
    assert (newest.asset_key.path, newest.check_name) == (["uploads"], "every_file_has_a_table")
    assert (newest.passed, newest.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert newest.metadata["files"].value == 12
    text = str(newest.description)
    assert re.match(
        r"the folder of (custmers/\d\d\.csv, ){9}custmers/\d\d\.csv and 2 more has no table", text
    )
    assert "drop files into the folder of a table (" in text


def test_a_file_whose_table_is_declared_since_is_no_warning_any_more(pipeline: Pipeline) -> None:
    pipeline.drop("custmers/a.csv", b"email\na@example.com\n")
    pipeline.claim_as_of_a_while_ago()
    now = datetime.now(UTC)

    def strays(*known: str, since: datetime = now - timedelta(days=7)) -> tuple[int, list[str]]:
        return pipeline.stores.ledger.of_unknown_tables(known, since, limit=10)

    assert strays("customers") == (1, ["custmers/a.csv"])
    assert strays("customers", "custmers") == (0, [])
    assert strays("customers", since=now + timedelta(days=1)) == (0, [])


def test_an_outage_fails_the_tick_and_the_next_one_continues(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.drop("customers/a.csv", b"email\na@example.com\n")
    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "copy", outage)
        with pytest.raises(StoreUnavailableError):
            tick(pipeline)
    pipeline.work_off()
    assert pipeline.job("customers/a.csv").status is Status.COMPLETED


def test_a_tick_does_a_bounded_part_of_a_backlog_and_the_next_ones_the_rest(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[str] = Counter()
    for name in S3_CALLS:
        count_calls(monkeypatch, name, calls)
    for number in range(FILES):
        pipeline.drop(f"customers/{number:03}.csv", b"")
    monkeypatch.setattr("bulk_pipeline.pipeline.intake.CLAIM_SECONDS", 0.0)
    claimed = []
    while pipeline.inbox():
        before = jobs(pipeline)
        calls.clear()
        tick(pipeline)
        claimed.append(jobs(pipeline) - before)
        assert calls["page"] <= 2
        assert calls.total() <= 2 + 4 * 25
    assert set(claimed) <= {0, 10, 25}
    assert sum(claimed) == FILES


@pytest.mark.parametrize(("waiting", "seconds"), [(0, 4), (2_000, 4), (2_001, 1)])
def test_a_tick_watches_for_more_and_less_long_with_a_backlog(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, waiting: int, seconds: int
) -> None:
    naps: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: float(len(naps)), sleep=naps.append)
    monkeypatch.setattr("bulk_pipeline.pipeline.intake.time", clock)
    with pipeline.stores.postgres.transaction() as connection:
        connection.execute(WAITING_JOBS, [waiting])
    settings = pipeline.stores.settings.model_copy(update={"bulk_watch_seconds": 4.6})
    stores = Stores(settings)
    tick(Pipeline(stores, pipeline.instance))
    stores.close()
    assert len(naps) == seconds


def test_a_tick_looks_for_uploads_more_often_after_one(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: sum(naps), sleep=naps.append)
    monkeypatch.setattr("bulk_pipeline.pipeline.intake.time", clock)
    settings = pipeline.stores.settings.model_copy(update={"bulk_watch_seconds": 4.6})
    with closing(Stores(settings)) as stores:
        watching = Pipeline(stores, pipeline.instance)
        tick(watching)
        before = set(naps)
        naps.clear()
        pipeline.drop("customers/a.csv", b"email\na@example.com\n")
        ticks_until_a_run(watching)
        naps.clear()
        tick(watching)
        assert (before, set(naps)) == ({0.75}, {0.2})


def tick(pipeline: Pipeline) -> dg.SensorResult:
    context = dg.build_sensor_context(
        instance=pipeline.instance, cursor=pipeline.cursor, resources={"stores": pipeline.stores}
    )
    result = upload_sensor(context)
    assert isinstance(result, dg.SensorResult)
    pipeline.cursor = result.cursor
    return result


def send(pipeline: Pipeline, name: str, request_id: str, owner_id: str | None = None) -> ImportJob:
    """Upload a file over HTTP."""
    content = f"email\n{len(name)}@example.com\n".encode()
    upload = Upload(
        table="customers",
        mode=Mode.INSERT_ONLY,
        name=name,
        content=io.BytesIO(content),
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        scope="",
        request_id=request_id,
        owner_id=owner_id,
    )
    return pipeline.stores.receiver.receive(upload).job


def ticks_until_a_run(pipeline: Pipeline) -> Sequence[dg.RunRequest]:
    """Run ticks until one requests a run; the store's clock, in whole seconds, must be past the file's arrival."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if requests := tick(pipeline).run_requests:
            return requests
        time.sleep(LOOK_AGAIN_SECONDS)
    raise AssertionError("no run is asked for")


def outage(*_: object) -> bool:
    raise StoreUnavailableError("the server does not answer")


def jobs(pipeline: Pipeline) -> int:
    ((count,),) = pipeline.query("SELECT count(*) FROM bulk.import_jobs")
    return count


def count_calls(patch: pytest.MonkeyPatch, name: str, calls: Counter[str]) -> None:
    original = getattr(ObjectStore, name)

    def counted(*args: object, **kwargs: object) -> object:
        calls[name] += 1
        return original(*args, **kwargs)

    patch.setattr(ObjectStore, name, counted)
