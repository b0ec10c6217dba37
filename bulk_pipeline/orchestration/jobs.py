"""The Dagster jobs: how the ops hang together."""

import dagster as dg

from bulk_pipeline.orchestration import ops


@dg.job(
    description="Import files: parse, validate, split good rows from bad, load the good ones, report the others.",
    executor_def=dg.in_process_executor,
)
def import_files() -> None:
    ops.emit(ops.load(ops.split(ops.validate(ops.parse()))))
