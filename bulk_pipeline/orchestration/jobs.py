"""The Dagster jobs: how the ops hang together, and what runs by the clock."""

import dagster as dg

from bulk_pipeline.orchestration import ops


@dg.job(
    description="Import files: parse, validate, split good rows from bad, load the good ones, report the others.",
    executor_def=dg.in_process_executor,
)
def import_files() -> None:
    ops.emit(ops.load(ops.split(ops.validate(ops.parse()))))


@dg.job(description="Remove what nobody needs any more.", executor_def=dg.in_process_executor)
def clean_up() -> None:
    ops.clean()


nightly_clean_up = dg.ScheduleDefinition(
    name="nightly_clean_up",
    job=clean_up,
    cron_schedule="30 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
