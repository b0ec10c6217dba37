"""Exports in Dagster: requests, runs, metadata, reaping, the nightly schedule and cleaning."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import dagster as dg
import pytest

from bulk_pipeline.errors import SettingsError
from bulk_pipeline.ledger.export_jobs import ExportJob, ExportStatus
from bulk_pipeline.orchestration import reaper, run_tags
from bulk_pipeline.orchestration.asset_keys import export_key
from bulk_pipeline.orchestration.export_ops import ExportConfig, config_of
from bulk_pipeline.orchestration.jobs import every_night, export_table, nightly_export
from bulk_pipeline.orchestration.nightly import nightly_formats
from bulk_pipeline.orchestration.sensors import upload_sensor
from bulk_pipeline.pipeline import cleaning
from bulk_pipeline.stages.export.formats import Compression, Format
from bulk_pipeline.stages.export.request import Kind
from bulk_pipeline_tests.rigs.exports import Exporting

YESTERDAY = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
NDJSON = {"table": "customers", "format": "ndjson"}


def run(exporting: Exporting, instance: dg.DagsterInstance, **config: Any) -> dg.ExecuteInProcessResult:
    return export_table.execute_in_process(
        run_config={"ops": {"export": {"config": config}}},
        resources={"stores": exporting.stores},
        instance=instance,
        raise_on_error=False,
    )


def tick(exporting: Exporting, instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    """Return the runs that the sensor requests."""
    context = dg.build_sensor_context(instance=instance, resources={"stores": exporting.stores})
    result = upload_sensor(context)
    assert isinstance(result, dg.SensorResult)
    return list(result.run_requests or [])


def tags_of(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> dict[str, str]:
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    return dict(run.tags)


def only(exporting: Exporting) -> ExportJob:
    (job,) = exporting.stores.exports.newest()
    return job


def test_a_request_becomes_a_run_and_the_run_an_export(
    exporting: Exporting, instance: dg.DagsterInstance
) -> None:
    exporting.have("a@x.co", "b@x.co")
    job = exporting.ask(format=Format.NDJSON, filters=("email=a@x.co",))
    (request,) = tick(exporting, instance)
    assert (request.job_name, request.tags[run_tags.EXPORT_ID]) == ("export_table", job.id)
    assert request.run_config["ops"]["export"]["config"]["filters"] == ["email = 'a@x.co'"]
    assert tick(exporting, instance) == []

    result = run(exporting, instance, **request.run_config["ops"]["export"]["config"])
    assert result.success
    done = exporting.stores.exports.get(job.id)
    assert (exporting.emails(done), done.run_id) == (["a@x.co"], result.run_id)
    (event,) = result.asset_materializations_for_node("export")
    assert (event.asset_key, event.partition) == (export_key("customers"), done.partition_date.isoformat())
    shown = {name: value.value for name, value in event.metadata.items()}
    assert (shown["rows"], shown["bytes"], shown["parts"]) == (1, done.bytes_written, 1)
    assert {"seconds", "rows_per_second", "snapshot_at"} <= set(shown)
    assert f"{done.id}/manifest.json" in str(shown["manifest"])


def test_a_run_by_itself_makes_its_job(exporting: Exporting, instance: dg.DagsterInstance) -> None:
    exporting.have("a@x.co")
    assert run(exporting, instance, **NDJSON).success
    assert exporting.emails(only(exporting)) == ["a@x.co"]
    assert (only(exporting).requested_by, tick(exporting, instance)) == ("dagster", [])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"table": "nobody"}, "unknown table 'nobody'"),
        ({"table": "users", "filters": ["age=7"]}, "users has no column 'age'"),
    ],
)
def test_a_run_with_an_invalid_request_fails_with_the_reason(
    exporting: Exporting, instance: dg.DagsterInstance, config: dict[str, Any], message: str
) -> None:
    result = run(exporting, instance, **config)
    assert not result.success
    (failure,) = [event for event in result.all_node_events if event.is_step_failure]
    assert message in str(failure.step_failure_data.user_failure_data)
    assert tags_of(instance, result)["bulk/status"] == "failed"
    assert exporting.stores.exports.newest() == []


def test_the_choices_in_the_launchpad_are_those_of_requests() -> None:
    fields = ExportConfig.model_fields
    choices = {name: get_args(fields[name].annotation) for name in ("format", "compression", "kind")}
    assert choices == {"format": (*Format,), "compression": (*Compression,), "kind": (*Kind,)}


def test_a_wrong_choice_is_refused_before_the_run_starts(
    exporting: Exporting, instance: dg.DagsterInstance
) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="not in enum type"):
        run(exporting, instance, table="users", format="xls")


def test_a_job_that_fails_fails_its_run(exporting: Exporting, instance: dg.DagsterInstance) -> None:
    exporting.execute("ALTER TABLE customers DROP city")
    assert not run(exporting, instance, **NDJSON).success
    assert only(exporting).status is ExportStatus.FAILED
    assert exporting.is_clean()


@pytest.mark.parametrize("is_launched_by_hand", [True, False])
def test_a_run_says_what_it_exports_and_what_became_of_it(
    exporting: Exporting, instance: dg.DagsterInstance, is_launched_by_hand: bool
) -> None:
    if is_launched_by_hand:
        result = run(exporting, instance, **NDJSON)
    else:
        config = config_of(exporting.ask(format=Format.NDJSON))
        result = run(exporting, instance, **config["ops"]["export"]["config"])
    tags = {name: value for name, value in tags_of(instance, result).items() if "bulk" in name}
    assert tags == {
        "bulk/table": "customers",
        "bulk/mode": "export, full",
        "bulk/status": "completed",
        "dagster/bulk_export_id": only(exporting).id,
    }


class TestReaping:
    def test_an_export_whose_run_died_is_done_by_another(
        self, exporting: Exporting, instance: dg.DagsterInstance
    ) -> None:
        exporting.have("a@x.co")
        job = exporting.ask(format=Format.NDJSON)
        dead = instance.create_run_for_job(export_table, run_config=config_of(job))
        exporting.stores.export_leases.take([job.id], dead.run_id)
        assert list(reaper.reap_dead_runs(exporting.stores, instance)) == []
        exporting.silence(job)
        (message,) = reaper.reap_dead_runs(exporting.stores, instance)
        assert message == f"run {dead.run_id} died with export {job.id}, which is processing now"
        exporting.execute("UPDATE bulk.export_jobs SET next_attempt_at = NULL")
        (request,) = tick(exporting, instance)
        assert run(exporting, instance, **request.run_config["ops"]["export"]["config"]).success
        assert exporting.emails(exporting.stores.exports.get(job.id)) == ["a@x.co"]

    def test_after_the_last_attempt_its_debris_goes(
        self, exporting: Exporting, instance: dg.DagsterInstance
    ) -> None:
        job = exporting.ask()
        for _ in range(exporting.stores.settings.bulk_max_attempts):
            (lease,) = exporting.stores.export_leases.take([job.id], "dead")
            exporting.silence(lease.job)
            exporting.stores.objects.put(exporting.bucket, f"{job.folder}part-00000.csv", b"half")
            list(reaper.reap_dead_runs(exporting.stores, instance))
        assert only(exporting).status is ExportStatus.FAILED
        assert exporting.is_clean()

    def test_a_run_that_died_before_it_took_its_export_is_reported(
        self, exporting: Exporting, instance: dg.DagsterInstance
    ) -> None:
        job = exporting.ask()
        exporting.stores.exports.requested(job.id)
        run = instance.create_run_for_job(
            export_table,
            run_config=config_of(job),
            tags={run_tags.EXPORT_ID: job.id},
            status=dg.DagsterRunStatus.STARTED,
        )
        (lease,) = exporting.stores.export_leases.take([exporting.ask().id], run.run_id)
        assert list(reaper.end_silent_runs(exporting.stores, instance, timedelta(0))) == []
        exporting.stores.exports.fail(lease.job, "x")
        assert list(reaper.end_silent_runs(exporting.stores, instance, timedelta(hours=1))) == []
        (message,) = reaper.end_silent_runs(exporting.stores, instance, timedelta(0))
        assert message == f"run {run.run_id} died without an export"
        (message,) = reaper.forget_lost_requests(exporting.stores, instance, timedelta(0))
        assert message == f"the run for export {job.id} never started: another one will be asked for"

    def test_a_run_that_never_started_is_requested_again(
        self, exporting: Exporting, instance: dg.DagsterInstance
    ) -> None:
        job = exporting.ask()
        tick(exporting, instance)
        (message,) = reaper.forget_lost_requests(exporting.stores, instance, timedelta(0))
        assert message == f"the run for export {job.id} never started: another one will be asked for"
        assert len(tick(exporting, instance)) == 1

    def test_a_run_that_waits_in_the_queue_is_let_be_and_its_cancel_heard(
        self, exporting: Exporting, instance: dg.DagsterInstance
    ) -> None:
        job = exporting.ask()
        tick(exporting, instance)
        waiting = instance.create_run_for_job(
            export_table, run_config=config_of(job), tags={run_tags.EXPORT_ID: job.id}
        )
        assert list(reaper.forget_lost_requests(exporting.stores, instance, timedelta(0))) == []
        instance.report_run_canceled(waiting)
        assert len(list(reaper.forget_lost_requests(exporting.stores, instance, timedelta(0)))) == 1
        assert only(exporting).status is ExportStatus.CANCELLED


class TestEveryNight:
    def night(
        self, exporting: Exporting, instance: dg.DagsterInstance, day: str
    ) -> dg.ExecuteInProcessResult:
        return nightly_export.execute_in_process(
            partition_key=day, resources={"stores": exporting.stores}, instance=instance, raise_on_error=False
        )

    def test_the_schedule_asks_for_the_day_that_begins(self) -> None:
        for moment in (datetime(2026, 3, 1, 1, 15, tzinfo=UTC), datetime(2026, 12, 31, 1, 15, tzinfo=UTC)):
            context = dg.build_schedule_context(scheduled_execution_time=moment)
            request = every_night(context)
            assert isinstance(request, dg.RunRequest)
            assert request.partition_key == moment.date().isoformat()
        assert every_night.cron_schedule == "15 1 * * *"

    def test_all_tables_are_exported_once_parents_first(
        self, exporting: Exporting, instance: dg.DagsterInstance
    ) -> None:
        exporting.have("a@x.co")
        result = self.night(exporting, instance, YESTERDAY)
        assert result.success
        jobs = exporting.stores.exports.newest()[::-1]
        tables = [job.table for job in jobs]
        assert len(tables) == 8
        assert tables.index("users") < tables.index("articles") < tables.index("comments")
        assert {(job.format, job.compression) for job in jobs} == {
            (Format.CSV, Compression.GZIP),
            (Format.PARQUET, Compression.ZSTD),
        }
        assert {job.status for job in jobs} == {ExportStatus.COMPLETED}
        assert {job.partition_date.isoformat() for job in jobs} == {YESTERDAY}
        assert len(result.asset_materializations_for_node("export_all")) == 8
        for job in jobs:
            exporting.manifest(job)

        assert self.night(exporting, instance, YESTERDAY).success
        assert len(exporting.stores.exports.newest()) == 8

    def test_one_table_in_trouble_does_not_keep_the_others(
        self, exporting: Exporting, instance: dg.DagsterInstance
    ) -> None:
        exporting.execute("ALTER TABLE users DROP role")
        result = self.night(exporting, instance, YESTERDAY)
        assert not result.success
        assert "users (csv):" in str(result.failure_data_for_node("export_all"))
        done = exporting.stores.exports.newest(status=ExportStatus.COMPLETED)
        assert sorted({job.table for job in done}) == ["articles", "comments", "customers"]

    def test_formats_are_file_names(self, exporting: Exporting) -> None:
        settings = exporting.stores.settings.model_copy(
            update={"bulk_nightly_export_formats": " .ndjson.zst, csv,parquet,csv"}
        )
        assert nightly_formats(settings) == [
            (Format.NDJSON, Compression.ZSTD),
            (Format.CSV, Compression.NONE),
            (Format.PARQUET, Compression.ZSTD),
        ]
        wrong = settings.model_copy(update={"bulk_nightly_export_formats": "xls"})
        with pytest.raises(
            SettingsError, match=r"BULK_NIGHTLY_EXPORT_FORMATS: 'xls' is not one of csv, csv.gz"
        ):
            nightly_formats(wrong)


class TestCleaningUp:
    def test_old_exports_go_but_never_the_last_good_one(self, exporting: Exporting) -> None:
        old, kept = exporting.exported(), exporting.exported()
        exporting.execute("UPDATE bulk.export_jobs SET finished_at = finished_at - interval '40 days'")
        assert cleaning.remove_old_exports(exporting.stores) == 1
        assert exporting.stores.exports.get(old.id).status is ExportStatus.EXPIRED
        assert [key for key in exporting.listed() if old.id in key] == []
        exporting.manifest(exporting.stores.exports.get(kept.id))
        assert cleaning.remove_old_exports(exporting.stores) == 0

    def test_debris_of_an_export_that_failed_without_its_bucket(self, exporting: Exporting) -> None:
        (lease,) = exporting.stores.export_leases.take([exporting.ask().id], "run")
        exporting.stores.objects.put(exporting.bucket, f"{lease.job.folder}part-00000.csv", b"half")
        exporting.stores.exports.fail(lease.job, "x")
        assert cleaning.remove_export_debris(exporting.stores) == 1
        assert exporting.is_clean()
