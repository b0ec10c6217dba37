"""The nightly cleaning of old finished jobs: the data it removes, and those it keeps."""

from contextlib import closing
from datetime import timedelta

import psycopg
import pytest

from bulk_pipeline.errors import NotFoundError
from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.pipeline import cleaning
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.intake import take_in
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.pipeline import Pipeline

FILE = (
    b"email,first_name\n" + b"".join(b"%d@example.com,A\n" % number for number in range(10)) + b"nobody,B\n"
)
PAST_JOBS = 20_000
ROWS_OF_A_TICK = 200


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings with small batches and a retention of 30 days for everything."""
    kept = {"bulk_batch_rows": 3, "bulk_archive_retention_days": 30, "bulk_report_retention_days": 30}
    return settings.model_copy(update=kept)


def test_batches_become_one_with_the_same_sums(pipeline: Pipeline) -> None:
    job = pipeline.load("customers/a.csv", FILE)
    counts = pipeline.counts(job)
    assert (counts.inserted, counts.rejected, batches(pipeline)) == (10, 1, 4)
    assert cleaning.fold_old_batches(pipeline.stores) == 0, "it is not old yet"
    age(pipeline)
    assert cleaning.fold_old_batches(pipeline.stores) == 3
    assert (pipeline.counts(job), batches(pipeline)) == (counts, 1)
    assert cleaning.fold_old_batches(pipeline.stores) == 0


def test_batches_of_a_cancelled_job_with_a_gap_between_them_stay(pipeline: Pipeline) -> None:
    job = pipeline.load("customers/a.csv", FILE)
    pipeline.stores.postgres.close()
    execute(pipeline, "DELETE FROM bulk.import_batches WHERE first_row = 4")
    age(pipeline)
    before = pipeline.counts(job)
    assert cleaning.fold_old_batches(pipeline.stores) == 0
    assert pipeline.counts(job) == before


def test_failures_of_loading_and_plans_are_removed(pipeline: Pipeline) -> None:
    pipeline.load("customers/a.csv", FILE)
    pipeline.load("customers/b.csv", FILE)
    execute(pipeline, "INSERT INTO bulk.import_plans SELECT id, 0, '', now() FROM bulk.import_jobs")
    execute(pipeline, "UPDATE bulk.import_batches SET load_failures = '' WHERE first_row = 1")
    age(pipeline)
    cleaning.fold_old_batches(pipeline.stores)
    assert pipeline.query("SELECT count(load_failures) FROM bulk.import_batches") == [(0,)]
    assert pipeline.query("SELECT count(*) FROM bulk.import_plans") == [(0,)]


def test_unless_the_settings_say_otherwise_uploads_stay_for_ever_and_reports_for_90_days(
    pipeline: Pipeline,
) -> None:
    job = pipeline.load("customers/a.csv", FILE)
    names = ("bulk_archive_retention_days", "bulk_report_retention_days")
    kept = {name: Settings.model_fields[name].default for name in names}
    with closing(Stores(pipeline.stores.settings.model_copy(update=kept))) as stores:
        execute(pipeline, "UPDATE bulk.import_jobs SET finished_at = now() - interval '89 days'")
        assert (cleaning.remove_old_uploads(stores), cleaning.remove_old_reports(stores)) == (0, 0)
        assert pipeline.report(job, "errors.csv")
        execute(pipeline, "UPDATE bulk.import_jobs SET finished_at = now() - interval '91 days'")
        assert (cleaning.remove_old_uploads(stores), cleaning.remove_old_reports(stores)) == (0, 1)


def test_an_old_upload_goes_and_its_job_stays(pipeline: Pipeline) -> None:
    job = pipeline.load("customers/a.csv", FILE)
    assert cleaning.remove_old_uploads(pipeline.stores) == 0
    age(pipeline)
    assert cleaning.remove_old_uploads(pipeline.stores) == 1
    assert kept_in(pipeline, "archive") == []
    after = pipeline.stores.ledger.get(job.id)
    assert (after.status, after.archive_key) == (Status.COMPLETED_WITH_ERRORS, None)
    with pytest.raises(NotFoundError, match="the archive does not have its file"):
        pipeline.stores.claims.retry(job.id)


def test_an_old_upload_stays_while_a_later_job_needs_it(pipeline: Pipeline) -> None:
    job = pipeline.load("customers/a.csv", FILE)
    age(pipeline)
    again = pipeline.stores.claims.retry(job.id)
    assert cleaning.remove_old_uploads(pipeline.stores) == 0
    pipeline.work_off()
    assert cleaning.remove_old_uploads(pipeline.stores) == 0
    assert pipeline.stores.ledger.get(again.id).total_rows == 11


def test_old_reports_go_and_the_counts_stay(pipeline: Pipeline) -> None:
    job = pipeline.load("customers/a.csv", FILE)
    assert len(kept_in(pipeline, "reports")) == 4
    age(pipeline)
    assert cleaning.remove_old_reports(pipeline.stores) == 1
    assert kept_in(pipeline, "reports") == []
    after: ImportJob = pipeline.stores.ledger.get(job.id)
    assert (after.reports, after.failure_counts) == ({}, job.failure_counts)


def test_a_tick_does_not_read_past_jobs(pipeline: Pipeline) -> None:
    """Measured in rows of the ledger that are read, which do not depend on the machine."""
    execute(
        pipeline,
        f"""
        SET LOCAL session_replication_role = replica;
        INSERT INTO bulk.import_jobs (
            id, table_name, mode, status, bucket, key, etag, size_bytes, arrived_at, archive_key, claimed_at, finished_at
        )
        SELECT
            bulk.uuid_v7(), 'customers', 'insert_only', 'completed', 'uploads', 'customers/' || number, '0', 1, now(),
            'customers/' || number, now(), now()
        FROM generate_series(1, {PAST_JOBS}) AS number
        """,
    )
    execute(pipeline, "ANALYZE bulk.import_jobs")
    pipeline.drop("customers/new.csv", FILE)
    before = rows_read(pipeline)
    intake = take_in(pipeline.stores, None)
    pipeline.stores.claims.finish_abandoned(older_than=timedelta(seconds=1))
    assert intake.claimed == 1
    assert rows_read(pipeline) - before < ROWS_OF_A_TICK


def rows_read(pipeline: Pipeline) -> int:
    """Return the number of rows of the ledger's jobs that all statements so far have read, by index or not."""
    pipeline.stores.postgres.close()  # a session's counts are complete when it has ended
    query = """
        SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE schemaname = 'bulk' AND relname = 'import_jobs'
    """
    with psycopg.connect(pipeline.stores.database_url, autocommit=True) as connection:
        others = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        while connection.execute(others + " AND backend_type = 'client backend'").fetchone() is not None:
            continue
        ((rows,),) = connection.execute(query.encode()).fetchall()
    return rows


def batches(pipeline: Pipeline) -> int:
    ((count,),) = pipeline.query("SELECT count(*) FROM bulk.import_batches")
    return count


def age(pipeline: Pipeline) -> None:
    """Date all jobs back by 40 days."""
    execute(pipeline, "UPDATE bulk.import_jobs SET finished_at = finished_at - interval '40 days'")


def execute(pipeline: Pipeline, statement: str) -> None:
    with psycopg.connect(pipeline.stores.database_url) as connection:
        connection.execute(statement.encode())


def kept_in(pipeline: Pipeline, use: str) -> list[str]:
    bucket = getattr(pipeline.stores.settings, f"s3_bucket_{use}")
    return [entry.key for entry in pipeline.stores.objects.page(bucket).objects]
