"""The Dagster jobs, with their graphs of ops, and the schedules."""

import dagster as dg

from bulk_pipeline.orchestration import export_ops, import_ops
from bulk_pipeline.orchestration.nightly import NIGHTS, nightly_cron


@dg.job(
    description="Import files: parse, validate, split good rows from bad, load the good ones, report the others.",
    executor_def=dg.in_process_executor,
)
def import_files() -> None:
    import_ops.emit(import_ops.load(import_ops.split(import_ops.validate(import_ops.parse()))))


@dg.job(description="Export a table to the bucket.", executor_def=dg.in_process_executor)
def export_table() -> None:
    export_ops.export()


@dg.job(
    description="Exports all tables, parents first. A backfilled night contains today's rows.",
    executor_def=dg.in_process_executor,
    partitions_def=NIGHTS,
)
def nightly_export() -> None:
    export_ops.export_all()


@dg.schedule(
    name="every_night",
    job=nightly_export,
    cron_schedule=nightly_cron(),
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Exports all tables every night, in the formats of BULK_NIGHTLY_EXPORT_FORMATS.",
)
def every_night(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Return the run request for the night of the scheduled day."""
    day = context.scheduled_execution_time.date().isoformat()
    return dg.RunRequest(run_key=day, partition_key=day)


@dg.job(
    description="Nightly housekeeping: deletes expired work files, exports and old runs.",
    executor_def=dg.in_process_executor,
)
def clean_up() -> None:
    import_ops.clean()


nightly_clean_up = dg.ScheduleDefinition(
    name="nightly_clean_up",
    job=clean_up,
    cron_schedule="30 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Deletes what has expired every night: work files, exports, reports, logs and runs.",
)

check_tables = dg.define_asset_job(
    "check_tables",
    selection=dg.AssetSelection.all_asset_checks(),
    description="Compares all tables with their declarations, and looks for references to missing rows.",
    executor_def=dg.in_process_executor,
)

nightly_checks = dg.ScheduleDefinition(
    name="nightly_checks",
    job=check_tables,
    cron_schedule="30 2 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Compares all tables with their declarations every night, and looks for references to missing rows.",
)
