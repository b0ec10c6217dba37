"""`jobs`, `job`, `errors`, `retry`, `cancel`: list import jobs, and act on one."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bulk_pipeline.cli import options, output
from bulk_pipeline.cli.connection import DEFAULT_HOME, HomeOption, JsonOption, stores_of
from bulk_pipeline.cli.export_jobs import cancel_export
from bulk_pipeline.cli.job_list import show_errors, show_imports
from bulk_pipeline.cli.output_files import output_path, standard_output, whole_file
from bulk_pipeline.errors import JobNotFinishedError, NotFoundError
from bulk_pipeline.ledger.job_ids import LAST, JobIds
from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.ledger.visibility import pace_of_job
from bulk_pipeline.printable import printable
from bulk_pipeline.settings import Settings
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline.stages.report_names import ERRORS_CSV, ERRORS_NDJSON, REJECTED_ROWS, WORKBOOK

if TYPE_CHECKING:
    from bulk_pipeline.pipeline.container import Stores

JobIdArgument = Annotated[
    str,
    typer.Argument(
        metavar="JOB_ID|last",
        help="The job's id, as `jobs` shows it, four or more digits of its beginning or end, or `last` for the newest.",
    ),
]


class Report(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"
    REJECTED = "rejected"
    XLSX = "xlsx"


_REPORT_NAMES = {
    Report.CSV: (ERRORS_CSV,),
    Report.NDJSON: (ERRORS_NDJSON,),
    Report.REJECTED: REJECTED_ROWS,
    Report.XLSX: (WORKBOOK,),
}


def jobs(
    table: Annotated[str | None, typer.Option(help="Only jobs of this table.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only jobs in this status.")] = None,
    file: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only files whose name contains this; * and ? are wildcards."),
    ] = None,
    since: options.SinceOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Number of jobs, newest first.")] = 20,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List imports, newest first, with their errors.

    Example: bulk-pipeline jobs --table users --status failed --file "march*.csv" --since 2h
    """
    stores = stores_of(home)
    newest = stores.ledger.newest(
        table=table, status=status, file=file, since=options.since(since), limit=limit
    )
    counts = stores.ledger.counts(job.id for job in newest)
    documents = [describe(job, counts[job.id], stores.settings) for job in newest]
    if as_json:
        output.print_json(documents)
    elif documents:
        show_imports(documents)
        show_errors(documents)
    else:
        output.say("no such jobs")


def job(job_id: JobIdArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show one job: status, counts, failures by code, dialect, warnings, run and reports.

    Example: bulk-pipeline job last
    """
    stores = stores_of(home)
    import_id = _import_id(stores, job_id)
    document = describe(
        stores.ledger.get(import_id), stores.ledger.counts([import_id])[import_id], stores.settings
    )
    if as_json:
        output.print_json(document)
    else:
        output.print_facts(document)


def errors(
    job_id: Annotated[
        str,
        typer.Argument(
            metavar="JOB_ID|last",
            help="The job's id or a part of it. Default, and `last`: the newest job with errors.",
        ),
    ] = LAST,
    report: Annotated[
        Report,
        typer.Option(
            "--format", help="errors.csv, errors.ndjson, the rejected rows, or these as a workbook."
        ),
    ] = (Report.CSV),
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file instead of stdout.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Fetch a report of a finished job; if the job failed without a report, show its error.

    Example: bulk-pipeline errors last --format rejected -o fix-me.csv
    """
    stores = stores_of(home)
    job = _newest_with_errors(stores) if job_id == LAST else stores.ledger.get(_import_id(stores, job_id))
    if not job.status.is_final:
        raise JobNotFinishedError(f"job {job.id} is {job.status}: its reports appear when it has finished")
    keys = [key for name, key in job.reports.items() if name in _REPORT_NAMES[report]]
    if not keys:
        raise NotFoundError(_why_no_report(job, stores.ledger.counts([job.id])[job.id]))
    out = output_path(out)
    with (
        stores.objects.open(stores.settings.s3_bucket_reports, keys[0]) as stream,
        standard_output() if out is None else whole_file(out) as file,
    ):
        while block := stream.read(1 << 20):
            file.write(block)
    if out is not None:
        output.err.print(f"wrote {out}", markup=False, soft_wrap=True)


def retry(job_id: JobIdArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Import the archived file of a finished job again, in a new job.

    Example: bulk-pipeline retry 0199a1b2-0000-7000-8000-000000000000
    """
    stores = stores_of(home)
    job = stores.claims.retry(_import_id(stores, job_id))
    if as_json:
        output.print_json(describe(job, stores.ledger.counts([job.id])[job.id], stores.settings))
    else:
        output.say(f"job {job.id} will import {job.key} again; see: bulk-pipeline job {job.id}")


def cancel(job_id: JobIdArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Cancel a pending or running import or export. Rows that an import has committed stay in the table.

    Example: bulk-pipeline cancel 0199a1b2-0000-7000-8000-000000000000
    """
    stores = stores_of(home)
    reference = JobIds(stores.postgres).find(job_id)
    if reference.is_export:
        cancel_export(stores, reference.id, as_json)
        return
    job = stores.leases.cancel(reference.id)
    counts = stores.ledger.counts([job.id])[job.id]
    if as_json:
        output.print_json(describe(job, counts, stores.settings))
    elif job.status is Status.CANCELLED:
        output.say(f"cancelled before any row was loaded: {job.key}")
    else:
        output.say(f"stopping after the current batch; the {counts.processed:,} rows processed so far stay")


def _import_id(stores: "Stores", part: str) -> str:
    return JobIds(stores.postgres).find(part, exports=False).id


def _newest_with_errors(stores: "Stores") -> ImportJob:
    job = stores.ledger.newest_with_errors()
    if job is None:
        raise NotFoundError("no job has errors: no file failed, and no row was rejected")
    output.err.print(f"job {job.id} ({printable(job.file_name)}): {job.status}", markup=False, soft_wrap=True)
    return job


def _why_no_report(job: ImportJob, counts: Counts) -> str:
    name = f"job {job.id} ({job.file_name})"
    if job.status is Status.SKIPPED:
        return f"{name} was skipped: its rows belong to job {job.first_job_id}"
    if counts.rejected:
        return f"{name} is {job.status}, and its report has expired"
    if job.error:
        return f"{name} {job.status}: {job.error}"
    return f"{name} is {job.status} and has no report: no row was rejected"


def describe(job: ImportJob, counts: Counts, settings: Settings) -> dict[str, Any]:
    """Return the job as plain values, as `--json` prints it."""
    seconds, pace = job.seconds, pace_of_job(job, counts)
    return {
        "id": job.id,
        "table": job.table,
        "mode": job.mode,
        "status": job.status,
        "key": job.key,
        "file": job.file_name,
        "total": counts.total,
        "inserted": counts.inserted,
        "updated": counts.updated,
        "unchanged": counts.unchanged,
        "superseded": counts.superseded,
        "rejected": counts.rejected,
        "rejected_again": counts.rejected_again,
        "fixed": counts.fixed,
        "open": counts.open,
        "unprocessed": counts.unprocessed,
        "failures": job.failure_counts,
        "error": job.error,
        "error_code": job.error_code,
        "warnings": job.warnings,
        "seconds": round(seconds, 3) if seconds is not None else None,
        "percent": pace.percent,
        "rows_per_second": None if pace.rows_per_second is None else round(pace.rows_per_second),
        "seconds_left": None if pace.seconds_left is None else round(pace.seconds_left, 1),
        "size_bytes": job.size_bytes,
        "sha256": job.sha256,
        "dialect": job.dialect,
        "attempt": job.attempt,
        "first_job_id": job.first_job_id,
        "retry_of": job.retry_of,
        "parents": job.parents,
        "archive": f"s3://{settings.s3_bucket_archive}/{job.archive_key}" if job.archive_key else None,
        "reports": {name: f"s3://{settings.s3_bucket_reports}/{key}" for name, key in job.reports.items()},
        "run_id": job.run_id,
        "run_url": settings.run_url(job.run_id),
        "arrived_at": job.arrived_at,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
    }
