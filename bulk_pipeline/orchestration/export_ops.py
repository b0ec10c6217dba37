"""The ops of an export. Glue: read the config, do the jobs, report counts."""

from collections.abc import Iterator
from datetime import date

import dagster as dg
from pydantic import Field

from bulk_pipeline import tables
from bulk_pipeline.errors import BulkPipelineError
from bulk_pipeline.orchestration import export_metadata, runs
from bulk_pipeline.orchestration.exporting import export_job
from bulk_pipeline.orchestration.nightly import nightly_formats
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.stages.export.request import ROWS_PER_PART, ExportRequest, read_request
from bulk_pipeline.stores.export_jobs import ExportJob, ExportStatus


class ExportConfig(dg.Config):
    """What to export. `job_id`: the job of the ledger that asks for it; without one, the run makes one."""

    table: str
    format: str = "csv"
    compression: str = "none"
    kind: str = "full"
    columns: list[str] = Field(default_factory=list)
    filters: list[str] = Field(default_factory=list)
    order: list[str] = Field(default_factory=list)
    for_spreadsheets: bool = False
    rows_per_part: int = ROWS_PER_PART
    prefix: str = ""
    job_id: str | None = None

    def request(self) -> ExportRequest:
        return read_request({name: value for name, value in self.model_dump().items() if name != "job_id"})


@dg.op(
    description="A snapshot of the table to files in the bucket, then the manifest that makes them an export."
)
def export(context: dg.OpExecutionContext, config: ExportConfig, stores: dg.ResourceParam[Stores]) -> None:
    job_id = config.job_id or _asked(context, config, stores)
    done = _export(context, stores, _again(context, stores, job_id))
    context.add_output_metadata(export_metadata.of_jobs([done]))
    if done.status is not ExportStatus.COMPLETED:
        raise dg.Failure(description=f"export {done.id} is {done.status}: {done.error}", allow_retries=False)


@dg.op(description="All tables to the bucket, parents first, in the formats of the settings.")
def export_all(context: dg.OpExecutionContext, stores: dg.ResourceParam[Stores]) -> None:
    day = date.fromisoformat(context.partition_key)
    finished: list[ExportJob] = []
    trouble: list[str] = []
    for job in _nightly_jobs(context, stores, day):
        try:
            finished.append(_export(context, stores, job.id))
        except BulkPipelineError as error:  # of one table; the others have their exports all the same
            trouble.append(f"{job.table} ({job.format}): {error}")
    trouble += [
        f"{j.table} ({j.format}): {j.error}" for j in finished if j.status is not ExportStatus.COMPLETED
    ]
    context.add_output_metadata(export_metadata.of_jobs(finished))
    if trouble:
        raise dg.Failure(description="; ".join(trouble), allow_retries=False)


def _nightly_jobs(context: dg.OpExecutionContext, stores: Stores, day: date) -> Iterator[ExportJob]:
    for table in tables.in_load_order():
        for format_, compression in nightly_formats(stores.settings):
            yield stores.exports.ask(
                ExportRequest(table=table.name, format=format_, compression=compression),
                requested_by="nightly",
                idempotency_key=f"nightly/{day}/{format_}/{compression}",
                partition_date=day,
                run_id=context.run_id,
            )


def _asked(context: dg.OpExecutionContext, config: ExportConfig, stores: Stores) -> str:
    """The run's own job: the same one if the step is run again."""
    root = context.run.root_run_id or context.run_id
    asked = stores.exports.ask(
        config.request(), requested_by="dagster", idempotency_key=f"run/{root}", run_id=context.run_id
    )
    return asked.id


def _again(context: dg.OpExecutionContext, stores: Stores, job_id: str) -> str:
    """The job or, in a run that repeats another, a new one if it came to nothing."""
    job = stores.exports.get(job_id)
    if context.run.parent_run_id is None or job.status not in (ExportStatus.FAILED, ExportStatus.CANCELLED):
        return job_id
    again = stores.exports.ask(job.request, requested_by=job.requested_by, run_id=context.run_id)
    context.log.info(f"export {job_id} is {job.status}: it is done again as export {again.id}")
    return again.id


def _export(context: dg.OpExecutionContext, stores: Stores, job_id: str) -> ExportJob:
    def was_cancelled() -> bool:
        return runs.is_cancelled(context.instance.get_run_by_id(context.run_id))

    done = export_job(stores, job_id, context.run_id, context.log.info, was_cancelled)
    if done.status is ExportStatus.COMPLETED and done.run_id == context.run_id:
        context.log_event(export_metadata.materialization(stores, done))
    return done


def config_of(job: ExportJob) -> dict[str, object]:
    """Run config for a job of the ledger: everything it asks for, so that the run shows it."""
    request = job.request
    return {
        "ops": {
            "export": {
                "config": {
                    "table": request.table,
                    "format": str(request.format),
                    "compression": str(request.compression),
                    "kind": str(request.kind),
                    "columns": list(request.columns),
                    "filters": list(request.filters),
                    "order": list(request.order),
                    "for_spreadsheets": request.for_spreadsheets,
                    "rows_per_part": request.rows_per_part,
                    "prefix": request.prefix,
                    "job_id": job.id,
                }
            }
        }
    }
