"""Metrics of the ledger: every job counts once, however it ends, and totals never decrease."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_pipeline.errors import FileErrorCode
from bulk_pipeline.ledger.metrics import LedgerFigures, figures
from bulk_pipeline.postgres.connection import Connections, Postgres
from bulk_pipeline.postgres.dagster_tables import Signs, signs
from bulk_pipeline.postgres.migrations import migrate, sql_folder
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.dagster_signs import ALIVE, leave_signs
from bulk_pipeline_tests.rigs.exports import Exporting
from bulk_pipeline_tests.rigs.ledger import LedgerRig, at_once


@pytest.fixture
def world(settings: Settings) -> Iterator[LedgerRig]:
    world = LedgerRig(settings)
    yield world
    world.postgres.close()


def totals(found: LedgerFigures, what: str, table: str = "users") -> dict[str, float]:
    return {t.label: t.total for t in found.totals if (t.what, t.table) == (what, table) and t.total}


def opened(found: LedgerFigures) -> dict[tuple[str, str, str], int]:
    return {(one.kind, one.table, one.status): one.jobs for one in found.open}


def test_rows_are_counted_as_batches_are_committed_and_once(world: LedgerRig) -> None:
    lease = world.taken(world.claimed())
    world.parsed(lease, 20)
    world.commit_batch(lease, 1, 10, rejected=4)
    under_way = figures(world.postgres)
    assert totals(under_way, "rows") == {"inserted": 6, "rejected": 4}
    assert totals(under_way, "import_jobs") == totals(under_way, "import_seconds") == {}
    world.commit_batch(lease, 11, 20)
    world.attempts.finish(lease.job_id, lease.attempt, failure_counts={"required": 5}, reports={})
    done = figures(world.postgres)
    assert totals(done, "rows") == {"inserted": 16, "rejected": 4}
    assert totals(done, "failures") == {"required": 5}
    assert totals(done, "import_jobs") == {"completed_with_errors": 1}


@pytest.mark.parametrize("what", ["import_seconds", "batch_seconds"])
def test_durations_are_counted_in_buckets_and_summed(world: LedgerRig, what: str) -> None:
    job = world.finished()
    world.sql("DELETE FROM bulk.tallies")
    lease = world.taken(world.claimed("users/other.csv"))
    world.parsed(lease, 10)
    world.commit_batch(lease, 1, 10)
    world.sql("UPDATE bulk.import_batches SET committed_at = recorded_at - interval '7 s'")
    world.sql(f"UPDATE bulk.import_jobs SET started_at = now() - interval '7 s' WHERE id <> '{job.id}'")
    world.attempts.finish(lease.job_id, lease.attempt, failure_counts={}, reports={})
    result = figures(world.postgres)
    counted = totals(result, what)
    assert 7 <= counted.pop("sum") < 10
    assert counted == {"10": 1}
    assert result.bounds == sorted(result.bounds)
    assert 10 in result.bounds


def test_a_duration_beyond_every_bucket_is_counted_too(world: LedgerRig) -> None:
    lease = world.taken(world.claimed())
    world.sql("UPDATE bulk.import_jobs SET started_at = now() - interval '1 day'")
    world.finish(lease, 1)
    counted = totals(figures(world.postgres), "import_seconds")
    assert (counted.pop("sum") >= 86_400, counted) == (True, {"more": 1})


def test_jobs_removed_by_retention_still_count(world: LedgerRig) -> None:
    world.finished()
    before = figures(world.postgres).totals
    world.sql("DELETE FROM bulk.import_jobs")
    assert figures(world.postgres).totals == before


def test_jobs_that_end_at_the_same_moment_are_all_counted(world: LedgerRig) -> None:
    leases = [world.taken(world.claimed(f"users/{n}.csv")) for n in range(24)]
    at_once(lambda n: [world.finish(lease, 10) for lease in leases[n::8]], 8)
    result = figures(world.postgres)
    assert totals(result, "import_jobs") == {"completed": 24}
    assert totals(result, "rows") == {"inserted": 240}


def test_every_way_to_end_is_counted(world: LedgerRig) -> None:
    world.finished("users/same.csv")
    world.claims.claim(world.drop("users/same.csv"))
    world.leases.cancel(world.claimed("users/cancelled.csv").id)
    lease = world.taken(world.claimed("users/bad.csv"))
    world.attempts.fail_file(lease.job_id, lease.attempt, "no header", code=FileErrorCode.NO_HEADER)
    counted = totals(figures(world.postgres), "import_jobs")
    assert counted == {"completed": 1, "skipped": 1, "cancelled": 1, "failed": 1}


def test_made_up_names_of_uploads_are_not_remembered(world: LedgerRig) -> None:
    world.claimed("private-name/file.csv")
    result = figures(world.postgres)
    assert totals(result, "import_jobs", "unknown") == {"failed": 1}
    assert {total.table for total in result.totals} == {"unknown"}


def test_jobs_before_the_first_total_are_counted(empty_database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "sql"
    shutil.copytree(sql_folder(), folder)
    later = [path for path in folder.glob("*.sql") if path.name >= "0011"]
    kept = {path: path.read_bytes() for path in later}
    for path in later:
        path.unlink()
    migrate(empty_database_url, folder)
    postgres = Postgres(empty_database_url)
    with postgres.transaction() as connection:
        connection.execute(
            """
            INSERT INTO bulk.import_jobs (
                id, table_name, mode, status, bucket, key, etag, size_bytes, arrived_at, finished_at, failure_counts)
            VALUES (bulk.uuid_v7(), 'users', 'upsert', 'failed', 'b', 'k', 'e', 1, now(), now(), '{"required": 3}')
            """
        )
        connection.execute(
            """
            INSERT INTO bulk.import_batches
                (job_id, first_row, last_row, attempt, inserted, updated, unchanged, superseded, rejected)
            SELECT id, 1, 3, 1, 0, 0, 0, 0, 3 FROM bulk.import_jobs
            """
        )
    for path, content in kept.items():
        path.write_bytes(content)
    migrate(empty_database_url, folder)
    result = figures(postgres)
    postgres.close()
    assert totals(result, "import_jobs") == {"failed": 1}
    assert totals(result, "rows") == {"rejected": 3}
    assert totals(result, "failures") == {"required": 3}
    assert totals(result, "batch_seconds") == {}, "when they ended was not noted then"


def test_jobs_that_wait_and_jobs_at_work(world: LedgerRig) -> None:
    world.claimed("users/waits.csv")
    world.taken(world.claimed("users/works.csv"))
    world.sql("UPDATE bulk.import_jobs SET created_at = now() - interval '1 hour' WHERE status = 'pending'")
    result = figures(world.postgres)
    assert opened(result) == {("import", "users", "pending"): 1, ("import", "users", "processing"): 1}
    (waiting,) = [one for one in result.open if one.status == "pending"]
    assert 3_600 <= waiting.oldest_seconds < 4_000


def test_an_upload_that_is_still_on_its_way_does_not_wait_for_us(world: LedgerRig) -> None:
    world.claimed()
    world.sql("UPDATE bulk.import_jobs SET claimed_at = NULL")
    assert figures(world.postgres).open == []


def test_the_speed_is_that_of_the_last_minute(world: LedgerRig) -> None:
    world.finish(world.taken(world.claimed()), 600)
    assert figures(world.postgres).rows_per_second == {"users": 10}
    world.sql("UPDATE bulk.import_batches SET recorded_at = recorded_at - interval '1 hour'")
    assert figures(world.postgres).rows_per_second == {}


def test_exports_are_counted_when_they_end_and_once(exporting: Exporting) -> None:
    exporting.have("a@x.co", "b@x.co")
    done = exporting.exported()
    exporting.stores.exports.files_removed(done.id)
    waiting = exporting.ask(format="ndjson")
    result = figures(exporting.stores.postgres)
    assert totals(result, "export_jobs", "customers") == {"completed": 1}
    assert totals(result, "export_rows", "customers") == {"": 2}
    assert opened(result) == {("export", "customers", "pending"): 1}
    assert done.finished_at is not None
    assert result.exported_at == {"customers": pytest.approx(done.finished_at.timestamp(), abs=0.001)}
    exporting.stores.export_leases.cancel(waiting.id)
    assert totals(figures(exporting.stores.postgres), "export_jobs", "customers") == {
        "completed": 1,
        "cancelled": 1,
    }


def test_without_dagster_there_are_no_signs_of_life(world: LedgerRig) -> None:
    result = signs(world.postgres)
    assert result == Signs()
    assert result.problem == ("Dagster's daemon: no heartbeat from SENSOR, SCHEDULER, QUEUED_RUN_COORDINATOR")


def test_signs_of_life_are_reported_by_their_age(world: LedgerRig) -> None:
    leave_signs(world.postgres.database_url, ALIVE | {"BACKFILL": 5_000}, {"upload_sensor": 4})
    result = signs(world.postgres)
    assert result.heartbeats["SCHEDULER"] == pytest.approx(20, abs=15)
    assert result.ticks == {"upload_sensor": pytest.approx(4, abs=15)}
    assert result.problem is None


def test_a_part_of_the_daemon_that_is_silent_is_named(world: LedgerRig) -> None:
    leave_signs(world.postgres.database_url, ALIVE | {"SCHEDULER": 600})
    assert signs(world.postgres).problem == "Dagster's daemon: no heartbeat from SCHEDULER"


def test_connections_are_in_use_or_idle(world: LedgerRig) -> None:
    with world.postgres.transaction():
        assert world.postgres.connections == Connections(idle=0, in_use=1)
    assert world.postgres.connections == Connections(idle=1, in_use=0)
