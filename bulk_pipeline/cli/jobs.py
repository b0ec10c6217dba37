"""`jobs`, `job`, `errors`, `retry`, `cancel`: the ledger, job by job."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bulk_pipeline.cli import output, times
from bulk_pipeline.cli.connection import DEFAULT_HOME, HomeOption, JsonOption, stores_of
from bulk_pipeline.cli.export_jobs import cancel_export
from bulk_pipeline.cli.job_list import show_errors, show_imports
from bulk_pipeline.errors import JobNotFinishedError, NotFoundError
from bulk_pipeline.printable import printable
from bulk_pipeline.settings import Settings
from bulk_pipeline.stores.job_ids import JobIds
from bulk_pipeline.stores.jobs import Counts, ImportJob, Status

if TYPE_CHECKING:
    from bulk_pipeline.orchestration.stores import Stores

JobIdArgument = Annotated[
    str,
    typer.Argument(help="The job's id, as `jobs` shows it, or four or more digits of its beginning or end."),
]
_LAST = "last"


class Report(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"
    REJECTED = "rejected"


_REPORT_NAMES = {Report.CSV: "errors.csv", Report.NDJSON: "errors.ndjson", Report.REJECTED: "rejected"}


def jobs(
    table: Annotated[str | None, typer.Option(help="Only jobs of this table.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only jobs in this status.")] = None,
    file: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only files with this in their name; * and ? fit anything."),
    ] = None,
    since: times.SinceOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List imports, newest first, with their errors.

    Example: bulk-pipeline jobs --table users --status failed --file "march*.csv" --since 2h
    """
    at = stores_of(home)
    newest = at.ledger.newest(table=table, status=status, file=file, since=times.since(since), limit=limit)
    counts = at.ledger.counts(job.id for job in newest)
    found = [describe(job, counts[job.id], at.settings) for job in newest]
    if as_json:
        output.print_json(found)
    elif found:
        show_imports(found)
        show_errors(found)
    else:
        output.say("no such jobs")


def job(job_id: JobIdArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show one job: status, counts, failures by code, dialect, warnings, run and reports.

    Example: bulk-pipeline job 0199a1b2-0000-7000-8000-000000000000
    """
    at = stores_of(home)
    import_id = _import_id(at, job_id)
    document = describe(at.ledger.get(import_id), at.ledger.counts([import_id])[import_id], at.settings)
    if as_json:
        output.print_json(document)
    else:
        output.print_facts(document)


def errors(
    job_id: Annotated[
        str,
        typer.Argument(
            metavar="JOB_ID|last",
            help="The job's id, or a part of it; without one, the newest job that has errors.",
        ),
    ] = _LAST,
    report: Annotated[
        Report, typer.Option("--format", help="errors.csv, errors.ndjson or the rejected rows.")
    ] = (Report.CSV),
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file, not to stdout.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Fetch a report of a finished job; of a job that failed without one, show its error.

    Example: bulk-pipeline errors last --format rejected -o fix-me.csv
    """
    at = stores_of(home)
    found = _newest_with_errors(at) if job_id == _LAST else at.ledger.get(_import_id(at, job_id))
    if not found.status.is_final:
        raise JobNotFinishedError(f"job {found.id} is {found.status}: its reports come when it has finished")
    keys = [key for name, key in found.reports.items() if name.startswith(_REPORT_NAMES[report])]
    if not keys:
        raise NotFoundError(_why_no_report(found, at.ledger.counts([found.id])[found.id]))
    with at.objects.open(at.settings.s3_bucket_reports, keys[0]) as stream:
        if out is None:
            while block := stream.read(1 << 20):
                sys.stdout.buffer.write(block)
            sys.stdout.buffer.flush()
            return
        with out.open("wb") as file:
            while block := stream.read(1 << 20):
                file.write(block)
    output.err.print(f"wrote {out}", markup=False)


def retry(job_id: JobIdArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Import a finished job's archived file again, as a new job.

    Example: bulk-pipeline retry 0199a1b2-0000-7000-8000-000000000000
    """
    at = stores_of(home)
    made = at.claims.retry(_import_id(at, job_id))
    if as_json:
        output.print_json(describe(made, at.ledger.counts([made.id])[made.id], at.settings))
    else:
        output.say(f"job {made.id} will import {made.key} again; follow it with: bulk-pipeline job {made.id}")


def cancel(job_id: JobIdArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Stop a pending or running job: an import, whose committed rows stay in the table, or an export.

    Example: bulk-pipeline cancel 0199a1b2-0000-7000-8000-000000000000
    """
    at = stores_of(home)
    found = JobIds(at.postgres).find(job_id)
    if found.is_export:
        cancel_export(at, found.id, as_json)
        return
    stopped = at.ledger.cancel(found.id)
    counts = at.ledger.counts([found.id])[found.id]
    if as_json:
        output.print_json(describe(stopped, counts, at.settings))
    elif stopped.status is Status.CANCELLED:
        output.say(f"cancelled before any row was loaded: {stopped.key}")
    else:
        output.say(f"stopping after the batch it is at; the {counts.processed:,} rows settled so far stay")


def _import_id(at: "Stores", part: str) -> str:
    return JobIds(at.postgres).find(part, exports=False).id


def _newest_with_errors(at: "Stores") -> ImportJob:
    found = at.ledger.newest_with_errors()
    if found is None:
        raise NotFoundError("no job has errors: no file failed, and no row was rejected")
    output.err.print(
        f"job {found.id} ({printable(found.file_name)}): {found.status}", markup=False, soft_wrap=True
    )
    return found


def _why_no_report(found: ImportJob, counts: Counts) -> str:
    name = f"job {found.id} ({found.file_name})"
    if found.status is Status.SKIPPED:
        return f"{name} was skipped: for its rows, look at job {found.first_job_id}"
    if counts.rejected:
        return f"{name} is {found.status}, and its report has expired"
    if found.error:
        return f"{name} {found.status}: {found.error}"
    return f"{name} is {found.status} and has no report: no row was rejected"


def describe(found: ImportJob, counts: Counts, settings: Settings) -> dict[str, Any]:
    """A job as plain values, the way `--json` prints it."""
    seconds = found.seconds
    return {
        "id": found.id,
        "table": found.table,
        "mode": found.mode,
        "status": found.status,
        "key": found.key,
        "file": found.file_name,
        "total": counts.total,
        "inserted": counts.inserted,
        "updated": counts.updated,
        "unchanged": counts.unchanged,
        "superseded": counts.superseded,
        "rejected": counts.rejected,
        "unprocessed": counts.unprocessed,
        "failures": found.failure_counts,
        "error": found.error,
        "error_code": found.error_code,
        "warnings": found.warnings,
        "seconds": round(seconds, 3) if seconds is not None else None,
        "rows_per_second": round((counts.total or 0) / seconds) if seconds else None,
        "size_bytes": found.size_bytes,
        "sha256": found.sha256,
        "dialect": found.dialect,
        "attempt": found.attempt,
        "first_job_id": found.first_job_id,
        "retry_of": found.retry_of,
        "archive": f"s3://{settings.s3_bucket_archive}/{found.archive_key}" if found.archive_key else None,
        "reports": {name: f"s3://{settings.s3_bucket_reports}/{key}" for name, key in found.reports.items()},
        "run_id": found.run_id,
        "run_url": settings.run_url(found.run_id),
        "arrived_at": found.arrived_at,
        "created_at": found.created_at,
        "started_at": found.started_at,
        "finished_at": found.finished_at,
    }
