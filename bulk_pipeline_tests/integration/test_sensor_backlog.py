"""A backlog: thousands of files lie in the inbox, and a hundred thousand have been archived."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import dagster as dg
import psycopg
import pytest

from bulk_pipeline.orchestration.sensors import upload_sensor
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.integration.conftest import Pipeline

PENDING = 10_000
ARCHIVED = 100_000
TICK_SECONDS = 2.0
TICKS = 10


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With the waits of a real stack."""
    defaults = {name: Settings.model_fields[name].default for name in ("bulk_watch_seconds", "bulk_settle_seconds")}
    return settings.model_copy(update=defaults)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_tick_takes_two_seconds_at_most(pipeline: Pipeline) -> None:
    archived_jobs(pipeline, ARCHIVED)
    put(pipeline, "archive", ARCHIVED, "customers/archived-{}/a.csv")
    put(pipeline, "uploads", PENDING, "customers/{}.csv")
    assert max(seconds for seconds in ticks(pipeline)) <= TICK_SECONDS
    waiting_jobs(pipeline, PENDING)
    assert max(seconds for seconds in ticks(pipeline)) <= TICK_SECONDS
    for found in pages(pipeline):
        pipeline.stores.objects.remove(*found)
    assert max(seconds for seconds in ticks(pipeline)) <= TICK_SECONDS


def ticks(pipeline: Pipeline) -> Iterator[float]:
    """Seconds that one tick after the other takes."""
    for _ in range(TICKS):
        context = dg.build_sensor_context(
            instance=pipeline.instance, cursor=pipeline.cursor, resources={"stores": pipeline.stores}
        )
        started = time.monotonic()
        result = upload_sensor(context)
        t = time.monotonic() - started
        print("tick", t, result.skip_reason if not result.run_requests else [len(r.run_config["ops"]["parse"]["config"]["job_ids"]) for r in result.run_requests])
        yield t
        pipeline.cursor = result.cursor


def put(pipeline: Pipeline, use: str, count: int, name: str) -> None:
    bucket = getattr(pipeline.stores.settings, f"s3_bucket_{use}")
    t = time.monotonic()
    with ThreadPoolExecutor(16) as threads:
        for _ in threads.map(lambda n: pipeline.stores.objects.put(bucket, name.format(n), b"email\n%d@example.com\n" % n), range(count)):
            pass
    print("put", count, time.monotonic() - t)


def pages(pipeline):
    after = ""
    while True:
        page = pipeline.stores.objects.page(pipeline.stores.settings.s3_bucket_uploads, after=after)
        for f in page.found:
            yield f.bucket, f.key
        if page.next_after is None: return
        after = page.next_after


def archived_jobs(pipeline: Pipeline, count: int) -> None:
    execute(pipeline, f"""
        INSERT INTO bulk.import_jobs (id, table_name, mode, status, bucket, key, etag, size_bytes, arrived_at, archive_key, claimed_at, finished_at)
        SELECT bulk.uuid_v7(), 'customers', 'insert_only', 'completed', 'uploads', 'customers/archived-' || n || '.csv', md5(n::text), 20,
            now(), 'customers/archived-' || n || '/a.csv', now(), now()
        FROM generate_series(1, {count}) AS n""")


def waiting_jobs(pipeline: Pipeline, count: int) -> None:
    execute(pipeline, f"""
        INSERT INTO bulk.import_jobs (id, table_name, mode, status, bucket, key, etag, size_bytes, arrived_at, archive_key, claimed_at, next_attempt_at)
        SELECT bulk.uuid_v7(), 'users', 'insert_only', 'pending', 'uploads', 'users/waiting-' || n || '.csv', md5(n::text), 20,
            now(), 'users/waiting-' || n || '/a.csv', now(), now() + interval '1 day'
        FROM generate_series(1, {count}) AS n""")


def execute(pipeline, query):
    with psycopg.connect(pipeline.stores.database_url) as connection:
        connection.execute(query)
