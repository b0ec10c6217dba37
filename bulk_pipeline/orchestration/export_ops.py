"""The ops of an export: read the config, run the jobs, report counts."""

from collections.abc import Iterator
from datetime import date

import dagster as dg
from pydantic import Field

from bulk_pipeline import tables
from bulk_pipeline.errors import BulkPipelineError
from bulk_pipeline.ledger.export_jobs import ExportJob, ExportStatus
from bulk_pipeline.orchestration import metadata, runs
from bulk_pipeline.orchestration.nightly import nightly_formats
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.export_run import export_job
from bulk_pipeline.stages.export.request import ROWS_PER_PART, ExportRequest, read_request


class ExportConfig(dg.Config):
    """The export of a run. `job_id` is its job in the ledger; without one, the run creates it."""

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
    job_id = config.job_id or _own_job(context, config, stores)
    job = _export(context, stores, _repeated(context, stores, job_id))
    context.add_output_metadata(metadata.of_exports([job]))
    if job.status is not ExportStatus.COMPLETED:
        raise dg.Failure(description=f"export {job.id} is {job.status}: {job.error}", allow_retries=False)


@dg.op(description="All tables to the bucket, parents first, in the formats of the settings.")
def export_all(context: dg.OpExecutionContext, stores: dg.ResourceParam[Stores]) -> None:
    day = date.fromisoformat(context.partition_key)
    finished: list[ExportJob] = []
    problems: list[str] = []
    for job in _nightly_jobs(context, stores, day):
        try:
            finished.append(_export(context, stores, job.id))
        except BulkPipelineError as error:  # of one table; the others are exported nevertheless
            problems.append(f"{job.table} ({job.format}): {error}")
    problems += [
        f"{j.table} ({j.format}): {j.error}" for j in finished if j.status is not ExportStatus.COMPLETED
    ]
    context.add_output_metadata(metadata.of_exports(finished))
    if problems:
        raise dg.Failure(description="; ".join(problems), allow_retries=False)


def _nightly_jobs(context: dg.OpExecutionContext, stores: Stores, day: date) -> Iterator[ExportJob]:
    for table in tables.in_load_order():
        for format_, compression in nightly_formats(stores.settings):
            yield stores.exports.ask(
                ExportRequest.of(table.upload_name, format=format_, compression=compression),
                requested_by="nightly",
                idempotency_key=f"nightly/{day}/{format_}/{compression}",
                partition_date=day,
                run_id=context.run_id,
            )


def _own_job(context: dg.OpExecutionContext, config: ExportConfig, stores: Stores) -> str:
    """Return the id of the run's own job, the same one if the step is run again."""
    root = context.run.root_run_id or context.run_id
    job = stores.exports.ask(
        config.request(), requested_by="dagster", idempotency_key=f"run/{root}", run_id=context.run_id
    )
    return job.id


def _repeated(context: dg.OpExecutionContext, stores: Stores, job_id: str) -> str:
    """Return the job or, in a run that repeats another, a new one if it failed or was cancelled."""
    job = stores.exports.get(job_id)
    if context.run.parent_run_id is None or job.status not in (ExportStatus.FAILED, ExportStatus.CANCELLED):
        return job_id
    repeat = stores.exports.ask(job.request, requested_by=job.requested_by, run_id=context.run_id)
    context.log.info(f"export {job_id} is {job.status}: it is done again as export {repeat.id}")
    return repeat.id


def _export(context: dg.OpExecutionContext, stores: Stores, job_id: str) -> ExportJob:
    def was_cancelled() -> bool:
        return runs.is_cancelled(context.instance.get_run_by_id(context.run_id))

    job = export_job(stores, job_id, context.run_id, context.log.info, was_cancelled)
    if job.status is ExportStatus.COMPLETED and job.run_id == context.run_id:
        context.log_event(metadata.export_materialization(stores, job))
    return job


def config_of(job: ExportJob) -> dict[str, object]:
    """Return the run config for a job of the ledger, with its whole request, so that the run shows it."""
    words = job.words
    return {
        "ops": {
            "export": {
                "config": {
                    "table": job.table,
                    "format": str(job.format),
                    "compression": str(job.compression),
                    "kind": str(job.kind),
                    "columns": list(words.columns),
                    "filters": list(words.filters),
                    "order": list(words.order),
                    "for_spreadsheets": job.for_spreadsheets,
                    "rows_per_part": job.rows_per_part,
                    "prefix": job.prefix,
                    "job_id": job.id,
                }
            }
        }
    }
