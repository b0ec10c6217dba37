"""`exports`, `export-status`, and how an export is shown: the ledger of exports, job by job."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bulk_pipeline.cli import output, times
from bulk_pipeline.cli.connection import DEFAULT_HOME, HomeOption, JsonOption, stores_of
from bulk_pipeline.cli.job_list import show_errors, show_exports
from bulk_pipeline.settings import Settings
from bulk_pipeline.stores.export_jobs import ExportJob, ExportStatus
from bulk_pipeline.stores.job_ids import JobIds

if TYPE_CHECKING:
    from bulk_pipeline.orchestration.stores import Stores


def exports(
    table: Annotated[str | None, typer.Option(help="Only exports of this table.")] = None,
    status: Annotated[ExportStatus | None, typer.Option(help="Only exports in this status.")] = None,
    since: times.SinceOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List exports, newest first.

    Example: bulk-pipeline exports --table users --status failed --since 1d
    """
    at = stores_of(home)
    newest = at.exports.newest(table=table, status=status, since=times.since(since), limit=limit)
    found = [describe(job, at.settings) for job in newest]
    if as_json:
        output.print_json(found)
    elif found:
        show_exports(found)
        show_errors(found)
    else:
        output.say("no such exports")


def export_status(
    job_id: Annotated[
        str, typer.Argument(help="The export's id, as `exports` shows it, or its beginning or end.")
    ],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show one export: what was asked for, how far it is, its run, and its manifest when it is complete.

    Example: bulk-pipeline export-status 0199a1b2-0000-7000-8000-000000000000
    """
    at = stores_of(home)
    export_id = JobIds(at.postgres).find(job_id, imports=False).id
    document = describe(at.exports.get(export_id), at.settings)
    if as_json:
        output.print_json(document)
        return
    output.print_facts({name: value for name, value in document.items() if name != "manifest"})


def cancel_export(at: "Stores", job_id: str, as_json: bool) -> None:
    """What `cancel` does with an export."""
    stopped = at.exports.cancel(job_id)
    if as_json:
        output.print_json(describe(stopped, at.settings))
    elif stopped.status is ExportStatus.CANCELLED:
        output.say(f"cancelled before it began: export of {stopped.table}")
    else:
        output.say(f"stopping the export of {stopped.table}; nothing of it will be left in the bucket")


def show_manifest(manifest: Mapping[str, Any]) -> None:
    """What a person wants to know of it."""
    names = ("table", "kind", "format", "compression", "rows", "bytes", "snapshot_at", "folder", "filters")
    output.print_facts({name: manifest[name] for name in names})
    deleted = [manifest["deleted"]] if manifest["deleted"] else []
    parts = [*manifest["parts"], *deleted]
    if parts:
        output.print_grid(
            ("part", "rows", "bytes", "sha256"),
            [[p["name"], p["rows"], p["bytes"], p["sha256"]] for p in parts],
        )


def describe(job: ExportJob, settings: Settings) -> dict[str, Any]:
    """An export as plain values, the way `--json` prints it."""
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
        "columns": job.columns,
        "filters": job.filters,
        "order": job.sort_order,
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
