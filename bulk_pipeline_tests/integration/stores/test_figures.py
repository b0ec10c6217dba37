"""The ledger in figures: everything is counted once, whoever ends it, and nothing that was counted is forgotten."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_pipeline.settings import Settings
from bulk_pipeline.stores.dagster_tables import Signs, signs
from bulk_pipeline.stores.figures import Figures, figures
from bulk_pipeline.stores.migrations import migrate, sql_folder
from bulk_pipeline.stores.postgres import Connections, Postgres
from bulk_pipeline_tests.integration.exports import Exporting
from bulk_pipeline_tests.integration.stores.dagster_signs import ALIVE, leave_signs
from bulk_pipeline_tests.integration.stores.ledger_world import World, at_once


@pytest.fixture
def world(settings: Settings) -> Iterator[World]:
    world = World(settings)
    yield world
    world.postgres.close()


def totals(found: Figures, what: str, table: str = "users") -> dict[str, float]:
    return {t.label: t.total for t in found.totals if (t.what, t.table) == (what, table) and t.total}


def opened(found: Figures) -> dict[tuple[str, str, str], int]:
    return {(one.kind, one.table, one.status): one.jobs for one in found.open}


def test_rows_are_counted_as_batches_are_committed_and_once(world: World) -> None:
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
def test_durations_are_counted_in_buckets_and_summed(world: World, what: str) -> None:
    job = world.finished()
    world.sql("DELETE FROM bulk.tallies")
    lease = world.taken(world.claimed("users/other.csv"))
    world.parsed(lease, 10)
    world.commit_batch(lease, 1, 10)
    world.sql("UPDATE bulk.import_batches SET committed_at = recorded_at - interval '7 s'")
    world.sql(f"UPDATE bulk.import_jobs SET started_at = now() - interval '7 s' WHERE id <> '{job.id}'")
    world.attempts.finish(lease.job_id, lease.attempt, failure_counts={}, reports={})
    found = figures(world.postgres)
    counted = totals(found, what)
    assert 7 <= counted.pop("sum") < 10
    assert counted == {"10": 1}
    assert found.bounds == sorted(found.bounds)
    assert 10 in found.bounds


def test_a_duration_beyond_every_bucket_is_counted_too(world: World) -> None:
    lease = world.taken(world.claimed())
    world.sql("UPDATE bulk.import_jobs SET started_at = now() - interval '1 day'")
    world.finish(lease, 1)
    counted = totals(figures(world.postgres), "import_seconds")
    assert (counted.pop("sum") >= 86_400, counted) == (True, {"more": 1})


def test_what_retention_removes_has_happened_all_the_same(world: World) -> None:
    world.finished()
    before = figures(world.postgres).totals
    world.sql("DELETE FROM bulk.import_jobs")
    assert figures(world.postgres).totals == before


def test_jobs_that_end_at_the_same_moment_are_all_counted(world: World) -> None:
    leases = [world.taken(world.claimed(f"users/{n}.csv")) for n in range(24)]
    at_once(lambda n: [world.finish(lease, 10) for lease in leases[n::8]], 8)
    found = figures(world.postgres)
    assert totals(found, "import_jobs") == {"completed": 24}
    assert totals(found, "rows") == {"inserted": 240}


def test_every_way_to_end_is_counted(world: World) -> None:
    world.finished("users/same.csv")
    world.claims.claim(world.drop("users/same.csv"))
    world.ledger.cancel(world.claimed("users/cancelled.csv").id)
    lease = world.taken(world.claimed("users/bad.csv"))
    world.attempts.fail_file(lease.job_id, lease.attempt, "no header", code="no_header")
    counted = totals(figures(world.postgres), "import_jobs")
    assert counted == {"completed": 1, "skipped": 1, "cancelled": 1, "failed": 1}


def test_names_that_uploads_made_up_are_not_kept(world: World) -> None:
    world.claimed("private-name/file.csv")
    found = figures(world.postgres)
    assert totals(found, "import_jobs", "unknown") == {"failed": 1}
    assert {total.table for total in found.totals} == {"unknown"}


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
    found = figures(postgres)
    postgres.close()
    assert totals(found, "import_jobs") == {"failed": 1}
    assert totals(found, "rows") == {"rejected": 3}
    assert totals(found, "failures") == {"required": 3}
    assert totals(found, "batch_seconds") == {}, "when they ended was not noted then"


def test_jobs_that_wait_and_jobs_at_work(world: World) -> None:
    world.claimed("users/waits.csv")
    world.taken(world.claimed("users/works.csv"))
    world.sql("UPDATE bulk.import_jobs SET created_at = now() - interval '1 hour' WHERE status = 'pending'")
    found = figures(world.postgres)
    assert opened(found) == {("import", "users", "pending"): 1, ("import", "users", "processing"): 1}
    (waiting,) = [one for one in found.open if one.status == "pending"]
    assert 3_600 <= waiting.oldest_seconds < 4_000


def test_an_upload_that_is_still_on_its_way_does_not_wait_for_us(world: World) -> None:
    world.claimed()
    world.sql("UPDATE bulk.import_jobs SET claimed_at = NULL")
    assert figures(world.postgres).open == []


def test_the_speed_is_that_of_the_last_minute(world: World) -> None:
    world.finish(world.taken(world.claimed()), 600)
    assert figures(world.postgres).rows_per_second == {"users": 10}
    world.sql("UPDATE bulk.import_batches SET recorded_at = recorded_at - interval '1 hour'")
    assert figures(world.postgres).rows_per_second == {}


def test_exports_are_counted_when_they_end_and_once(exporting: Exporting) -> None:
    exporting.have("a@x.co", "b@x.co")
    done = exporting.exported()
    exporting.stores.exports.files_removed(done.id)
    waiting = exporting.ask(format="ndjson")
    found = figures(exporting.stores.postgres)
    assert totals(found, "export_jobs", "customers") == {"completed": 1}
    assert totals(found, "export_rows", "customers") == {"": 2}
    assert opened(found) == {("export", "customers", "pending"): 1}
    assert done.finished_at is not None
    assert found.exported_at == {"customers": pytest.approx(done.finished_at.timestamp(), abs=0.001)}
    exporting.stores.exports.cancel(waiting.id)
    assert totals(figures(exporting.stores.postgres), "export_jobs", "customers") == {
        "completed": 1,
        "cancelled": 1,
    }


def test_without_dagster_there_are_no_signs_of_life(world: World) -> None:
    found = signs(world.postgres)
    assert found == Signs()
    assert found.problem == ("Dagster's daemon: no heartbeat from SENSOR, SCHEDULER, QUEUED_RUN_COORDINATOR")


def test_signs_of_life_are_told_by_their_age(world: World) -> None:
    leave_signs(world.postgres.database_url, ALIVE | {"BACKFILL": 5_000}, {"upload_sensor": 4})
    found = signs(world.postgres)
    assert found.heartbeats["SCHEDULER"] == pytest.approx(20, abs=15)
    assert found.ticks == {"upload_sensor": pytest.approx(4, abs=15)}
    assert found.problem is None


def test_a_part_of_the_daemon_that_is_silent_is_named(world: World) -> None:
    leave_signs(world.postgres.database_url, ALIVE | {"SCHEDULER": 600})
    assert signs(world.postgres).problem == "Dagster's daemon: no heartbeat from SCHEDULER"


def test_connections_are_in_use_or_idle(world: World) -> None:
    with world.postgres.transaction():
        assert world.postgres.connections == Connections(idle=0, in_use=1)
    assert world.postgres.connections == Connections(idle=1, in_use=0)
