"""The ops of an export: read the config, run the jobs, report counts."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any, Literal

import dagster as dg
from pydantic import Field

from bulk_pipeline import tables
from bulk_pipeline.errors import BulkPipelineError, SelectionError, UnknownTableError
from bulk_pipeline.ledger.export_jobs import ExportJob, ExportStatus
from bulk_pipeline.orchestration import metadata, run_tags, runs
from bulk_pipeline.orchestration.nightly import nightly_formats
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.export_run import export_job
from bulk_pipeline.stages.export.request import ROWS_PER_PART, ExportRequest, read_request


class ExportConfig(dg.Config):
    """The export of a run. `job_id` is its job in the ledger; without one, the run creates it."""

    table: str = Field(description="The table, by the name of its folder in the inbox: `customers`.")
    format: Literal["csv", "ndjson", "parquet", "tsv", "json", "xlsx"] = Field(
        "csv", description="The format of the files."
    )
    compression: Literal["none", "gzip", "zstd"] = Field(
        "none", description="The compression of each file; of pages in Parquet."
    )
    kind: Literal["full", "incremental"] = Field(
        "full",
        description="`full`: all rows. `incremental`: rows that changed since the last export with these options.",
    )
    columns: list[str] = Field([], description="The columns, in this order; all of them without any.")
    filters: list[str] = Field(
        [], description="Conditions that all rows meet: `city=Rome`, `created_at>=2026-01-01`."
    )
    order: list[str] = Field(
        [], description="The order of the rows: `email`, `-created_at` for the newest first."
    )
    for_spreadsheets: bool = Field(
        False, description="Mark CSV and its cells so that Excel shows them as they are."
    )
    rows_per_part: int = Field(ROWS_PER_PART, description="The rows of each file.")
    prefix: str = Field("", description="Folders before `<table>/…` in the bucket: `backups/weekly`.")
    job_id: str | None = Field(None, description="Set by the sensor. Leave it out.")

    def request(self) -> ExportRequest:
        """Return the request. Raises `SelectionError` or `UnknownTableError`."""
        return read_request({name: value for name, value in self.model_dump().items() if name != "job_id"})


@dg.op(
    description="A snapshot of the table to files in the bucket, then the manifest that makes them an export."
)
def export(context: dg.OpExecutionContext, config: ExportConfig, stores: dg.ResourceParam[Stores]) -> None:
    with _noting_result(context) as finished:
        asked = (
            _repeated(context, stores, config.job_id) if config.job_id else _own_job(context, config, stores)
        )
        run_tags.update_at_start(context.instance, context.run, run_tags.of_export(asked))
        job = _export(context, stores, asked.id)
        finished.append(job)
        if job.status is not ExportStatus.COMPLETED:
            raise metadata.failure(
                f"the export of {job.table} is {job.status}: {job.error or 'it was stopped'}"
            )
        context.add_output_metadata(metadata.of_exports([job]))


@dg.op(description="All tables to the bucket, parents first, in the formats of the settings.")
def export_all(context: dg.OpExecutionContext, stores: dg.ResourceParam[Stores]) -> None:
    day = date.fromisoformat(context.partition_key)
    problems: list[str] = []
    with _noting_result(context) as finished:
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
            raise metadata.failure("\n".join(problems))


@contextmanager
def _noting_result(context: dg.OpExecutionContext) -> Iterator[list[ExportJob]]:
    """Yield a list for the finished exports of the run; tag the run at the end with what became of them."""
    finished = list[ExportJob]()
    try:
        yield finished
    except dg.Failure:
        result = run_tags.result_of_exports(finished, is_failed=True)
        run_tags.update(context.instance, context.run_id, result)
        raise
    except BaseException:
        is_cancelled = runs.is_cancelled(context.instance.get_run_by_id(context.run_id))
        status = run_tags.CANCELLED if is_cancelled else run_tags.INTERRUPTED
        run_tags.update(context.instance, context.run_id, {run_tags.STATUS: status})
        raise
    run_tags.update(context.instance, context.run_id, run_tags.result_of_exports(finished))


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


def _own_job(context: dg.OpExecutionContext, config: ExportConfig, stores: Stores) -> ExportJob:
    """Return the run's own job, the same one if the step is run again. Raises `Failure` for a wrong request."""
    root = context.run.root_run_id or context.run_id
    try:
        request = config.request()
    except (UnknownTableError, SelectionError) as error:
        raise metadata.failure(f"{error}: correct the config and launch the run again") from error
    return stores.exports.ask(
        request, requested_by="dagster", idempotency_key=f"run/{root}", run_id=context.run_id
    )


def _repeated(context: dg.OpExecutionContext, stores: Stores, job_id: str) -> ExportJob:
    """Return the job or, in a run that repeats another, a new one if it failed or was cancelled."""
    job = stores.exports.get(job_id)
    if context.run.parent_run_id is None or job.status not in (ExportStatus.FAILED, ExportStatus.CANCELLED):
        return job
    repeat = stores.exports.ask(job.request, requested_by=job.requested_by, run_id=context.run_id)
    context.log.info(f"export {job_id} is {job.status}: it is done again as export {repeat.id}")
    return repeat


def _export(context: dg.OpExecutionContext, stores: Stores, job_id: str) -> ExportJob:
    def was_cancelled() -> bool:
        return runs.is_cancelled(context.instance.get_run_by_id(context.run_id))

    job = export_job(stores, job_id, context.run_id, context.log.info, was_cancelled)
    if job.status is ExportStatus.COMPLETED and job.run_id == context.run_id:
        context.log_event(metadata.export_materialization(stores, job))
    return job


def config_of(job: ExportJob) -> dict[str, Any]:  # the shape of a run config
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
