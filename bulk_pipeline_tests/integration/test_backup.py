"""A dump of the database and a mirror of the archive, as in docs/operations.md, are enough to continue."""

import subprocess
from pathlib import Path

import pytest

from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.orchestration import reaper
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.postgres import migrations
from bulk_pipeline.rows.row_store import PostgresRowStore
from bulk_pipeline.s3 import client as s3
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack.binaries import installed
from bulk_pipeline_tests.rigs.dying_import import (
    BATCH_ROWS,
    KEY,
    batch_by_batch,
    outcome,
    run_that_dies,
    silence,
    undisturbed_outcome,
)
from bulk_pipeline_tests.rigs.pipeline import Pipeline


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return batch_by_batch(settings)


def test_jobs_open_at_the_backup_are_finished_after_the_restore(
    pipeline: Pipeline,
    settings: Settings,
    s3_client: s3.Client,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    undisturbed = undisturbed_outcome(pipeline)
    with monkeypatch.context() as patch:
        run_that_dies(pipeline, patch, PostgresRowStore, "settle", 6, True)
    dump(settings, tmp_path / "bulk.dump")
    archive = mirrored(s3_client, settings.s3_bucket_archive)

    go_on(pipeline)
    pipeline.load("customers/later.csv", b"email\nlater@example.com\n")
    for key in mirrored(s3_client, settings.s3_bucket_archive):
        s3_client.delete_object(Bucket=settings.s3_bucket_archive, Key=key)
    pipeline.stores.close()

    restore(settings, tmp_path / "bulk.dump")
    for key, body in archive.items():
        s3_client.put_object(Bucket=settings.s3_bucket_archive, Key=key, Body=body)
    restored = Pipeline(Stores(settings), pipeline.instance)
    assert migrations.migrate(restored.stores.database_url) == []
    assert restored.counts(restored.job(KEY)).processed == 6 * BATCH_ROWS
    go_on(restored)
    assert outcome(restored, restored.job(KEY)) == undisturbed
    assert restored.job("customers/undisturbed.csv").status is Status.COMPLETED_WITH_ERRORS
    assert restored.query("SELECT key FROM bulk.import_jobs WHERE key LIKE '%later%'") == []
    again = restored.load("customers/later.csv", b"email\nlater@example.com\n")
    assert (again.status, restored.counts(again).inserted) == (Status.COMPLETED, 1)
    restored.stores.close()


def dump(settings: Settings, file: Path) -> None:
    run(settings, "pg_dump", "-Fc", f"--file={file}")


def restore(settings: Settings, file: Path) -> None:
    run(settings, "pg_restore", "--clean", "--if-exists", str(file))


def run(settings: Settings, program: str, *options: str) -> None:
    where = f"--dbname={settings.database_url.get_secret_value()}"
    command = [installed(18).psql.with_name(program), where, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def mirrored(s3_client: s3.Client, bucket: str) -> dict[str, bytes]:
    result = s3_client.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {one["Key"]: s3_client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in result}


def go_on(pipeline: Pipeline) -> None:
    """Reap dead runs as a stack does."""
    silence(pipeline)
    list(reaper.reap_dead_runs(pipeline.stores, pipeline.instance))
    pipeline.work_off()
