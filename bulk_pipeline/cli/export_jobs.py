"""`exports` and `export-status`: export jobs, as lists and one by one."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bulk_pipeline.cli import options, output
from bulk_pipeline.cli.connection import DEFAULT_HOME, HomeOption, JsonOption, stores_of
from bulk_pipeline.cli.job_list import show_errors, show_exports
from bulk_pipeline.ledger.export_jobs import ExportJob, ExportStatus
from bulk_pipeline.ledger.job_ids import JobIds
from bulk_pipeline.settings import Settings

if TYPE_CHECKING:
    from bulk_pipeline.pipeline.container import Stores


def exports(
    table: Annotated[str | None, typer.Option(help="Only exports of this table.")] = None,
    status: Annotated[ExportStatus | None, typer.Option(help="Only exports in this status.")] = None,
    since: options.SinceOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Number of exports, newest first.")] = 20,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List exports, newest first.

    Example: bulk-pipeline exports --table users --status failed --since 1d
    """
    stores = stores_of(home)
    newest = stores.exports.newest(table=table, status=status, since=options.since(since), limit=limit)
    documents = [describe(job, stores.settings) for job in newest]
    if as_json:
        output.print_json(documents)
    elif documents:
        show_exports(documents)
        show_errors(documents)
    else:
        output.say("no such exports")


def export_status(
    job_id: Annotated[
        str,
        typer.Argument(
            metavar="JOB_ID|last",
            help="The export's id, as `exports` shows it, the beginning or end of it, or `last` for the newest.",
        ),
    ],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show one export: its request, progress, run, and its manifest once it is complete.

    Example: bulk-pipeline export-status 0199a1b2-0000-7000-8000-000000000000
    """
    stores = stores_of(home)
    export_id = JobIds(stores.postgres).find(job_id, imports=False).id
    document = describe(stores.exports.get(export_id), stores.settings)
    if as_json:
        output.print_json(document)
        return
    output.print_facts({name: value for name, value in document.items() if name != "manifest"})


def cancel_export(stores: "Stores", job_id: str, as_json: bool) -> None:
    """Cancel an export, and print the outcome."""
    job = stores.export_leases.cancel(job_id)
    if as_json:
        output.print_json(describe(job, stores.settings))
    elif job.status is ExportStatus.CANCELLED:
        output.say(f"cancelled before it started: export of {job.table}")
    else:
        output.say(f"stopping the export of {job.table}; its files are removed from the bucket")


def show_manifest(manifest: Mapping[str, Any]) -> None:
    """Print the manifest's facts and its parts."""
    names = ("table", "kind", "format", "compression", "rows", "bytes", "snapshot_at", "folder", "filters")
    output.print_facts({name: manifest[name] for name in names})
    deleted = [manifest["deleted"]] if manifest["deleted"] else []
    parts = [*manifest["parts"], *deleted]
    if parts:
        output.print_grid(
            ("part", "rows", "bytes", "sha256"),
            [[part["name"], part["rows"], part["bytes"], part["sha256"]] for part in parts],
        )


def describe(job: ExportJob, settings: Settings) -> dict[str, Any]:
    """Return the export as plain values, as `--json` prints it."""
    seconds = job.seconds
    return {
        "id": job.id,
        "table": job.table,
        "kind": job.kind,
        "format": job.format,
        "compression": job.compression,
        "status": job.status,
        "rows": job.rows_written,
        "bytes": job.bytes_written,
        "error": job.error,
        "seconds": round(seconds, 3) if seconds is not None else None,
        "rows_per_second": round(job.rows_written / seconds) if seconds else None,
        "folder": f"s3://{settings.s3_bucket_exports}/{job.folder}",
        **asdict(job.words),
        "for_spreadsheets": job.for_spreadsheets,
        "rows_per_part": job.rows_per_part,
        "attempt": job.attempt,
        "requested_by": job.requested_by,
        "idempotency_key": job.idempotency_key,
        "run_id": job.run_id,
        "run_url": settings.run_url(job.run_id),
        "created_at": job.created_at,
        "expires_at": job.expires_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "manifest": job.manifest,
    }
