"""The sensor with a backlog: 10,000 files in the inbox, as many pending jobs, and 100,000 archived files."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import dagster as dg
import psycopg
import pytest

from bulk_pipeline.orchestration.sensors import upload_sensor
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.pipeline import Pipeline

PENDING = 10_000
ARCHIVED = 100_000
TICKS = 5
TICK_SECONDS = 2.0

JOBS = """
    INSERT INTO bulk.import_jobs (
        id, table_name, mode, status, bucket, key, etag, size_bytes, arrived_at, archive_key, claimed_at,
        next_attempt_at, finished_at
    )
    SELECT
        bulk.uuid_v7(), 'customers', 'insert_only', %(status)s, 'uploads', %(status)s || number || '.csv',
        md5(number::text), 20, now(), 'customers/' || number || '/a.csv', now(),
        CASE WHEN %(status)s = 'pending' THEN now() + interval '1 day' END,
        CASE WHEN %(status)s = 'completed' THEN now() END
    FROM generate_series(1, %(count)s) AS number
"""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings with the waits of a real stack."""
    names = ("bulk_watch_seconds", "bulk_settle_seconds", "bulk_parent_wait_seconds")
    return settings.model_copy(update={name: Settings.model_fields[name].default for name in names})


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_tick_takes_two_seconds_at_most(pipeline: Pipeline) -> None:
    put(pipeline, "archive", "customers/{}/a.csv", ARCHIVED)
    record(pipeline, "completed", ARCHIVED)
    put(pipeline, "uploads", "users/{}.csv", PENDING)
    assert median(ticks(pipeline)) <= TICK_SECONDS, "with files in the inbox"
    record(pipeline, "pending", PENDING)
    assert median(ticks(pipeline)) <= TICK_SECONDS, "with files in the inbox, and jobs that wait"
    empty_inbox(pipeline)
    assert median(ticks(pipeline)) <= TICK_SECONDS, "with jobs that wait"


def ticks(pipeline: Pipeline) -> Iterator[float]:
    """Return the seconds of consecutive ticks."""
    for _ in range(TICKS):
        context = dg.build_sensor_context(
            instance=pipeline.instance, cursor=pipeline.cursor, resources={"stores": pipeline.stores}
        )
        started = time.monotonic()
        result = upload_sensor(context)
        yield time.monotonic() - started
        assert isinstance(result, dg.SensorResult)
        pipeline.cursor = result.cursor


def put(pipeline: Pipeline, use: str, name: str, count: int) -> None:
    bucket = getattr(pipeline.stores.settings, f"s3_bucket_{use}")

    def put_one(number: int) -> None:
        pipeline.stores.objects.put(bucket, name.format(number), b"email\n%d@example.com\n" % number)

    with ThreadPoolExecutor(16) as threads:
        assert len(list(threads.map(put_one, range(count)))) == count


def record(pipeline: Pipeline, status: str, count: int) -> None:
    with psycopg.connect(pipeline.stores.database_url) as connection:
        connection.execute(JOBS, {"status": status, "count": count})


def empty_inbox(pipeline: Pipeline) -> None:
    bucket = pipeline.stores.settings.s3_bucket_uploads
    while result := pipeline.stores.objects.page(bucket).objects:
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(lambda one: pipeline.stores.objects.remove(bucket, one.key), result))
