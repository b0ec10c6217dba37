"""`export`: a table to a file or to stdout here and now, or by a job into the bucket."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from bulk_pipeline.cli import output
from bulk_pipeline.cli.connection import DEFAULT_HOME, HomeOption, JsonOption, settings_of, stores_of
from bulk_pipeline.cli.export_jobs import describe, show_manifest
from bulk_pipeline.cli.whole_file import is_special, standard_output, whole_file
from bulk_pipeline.stages.export.formats import Compression, Format, of_file
from bulk_pipeline.stages.export.request import ROWS_PER_PART, ExportRequest, Kind
from bulk_pipeline.stores.export_jobs import ExportJob, ExportStatus

if TYPE_CHECKING:
    from bulk_pipeline.orchestration.stores import Stores

_POLL_SECONDS = 0.3
_STDOUT = "-"
_INTERRUPTED = 130
"""Exit status after Ctrl-C."""


def export_table(
    table: Annotated[str, typer.Argument(help="The table.")],
    format_: Annotated[
        Format | None, typer.Option("--format", help="Without it, what the name of the file says, else csv.")
    ] = None,
    out: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE|-", help="Write to this file, or to stdout.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="Only rows that meet this: role=admin. Again: and this.")
    ] = None,
    columns: Annotated[str, typer.Option(metavar="A,B", help="These columns; without it, all.")] = "",
    compression: Annotated[Compression | None, typer.Option(help="Of the file, or inside Parquet.")] = None,
    order: Annotated[
        str, typer.Option(metavar="A,B desc", help="Sorted so; without it, by primary key.")
    ] = "",
    incremental: Annotated[
        bool, typer.Option("--incremental", help="Only what changed since the last such export.")
    ] = False,
    for_spreadsheets: Annotated[
        bool, typer.Option("--for-spreadsheets", help="For Excel: marked as UTF-8, formulas made harmless.")
    ] = False,
    rows_per_part: Annotated[int, typer.Option(min=1, help="Of each file in the bucket.")] = ROWS_PER_PART,
    prefix: Annotated[str, typer.Option(help="Folders in the bucket before <table>/.")] = "",
    idempotency_key: Annotated[str | None, typer.Option(help="The same key again is the same job.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the job to its end.")] = True,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Export a table: with -o to a file or stdout at once, without it by a job into the bucket.

    Example: bulk-pipeline export users --where role=admin --where "created_at>=2026-01-01" -o admins.csv.gz
    """
    is_named = out is not None and out != _STDOUT and not is_special(Path(out))
    chosen_format, chosen_compression = of_file(out if is_named and out else "", format_, compression)
    request = ExportRequest(
        table=table,
        format=chosen_format,
        compression=chosen_compression,
        kind=Kind.INCREMENTAL if incremental else Kind.FULL,
        columns=_listed(columns),
        filters=tuple(where or ()),
        order=_listed(order),
        for_spreadsheets=for_spreadsheets,
        rows_per_part=rows_per_part,
        prefix=prefix,
    ).checked()
    if out is not None:
        if incremental:
            raise typer.BadParameter(
                "-o writes all rows: leave it out for an incremental export, which is a job"
            )
        _stream(home, request, out, as_json)
        return
    at = stores_of(home)
    job = at.exports.ask(
        request,
        requested_by="cli",
        idempotency_key=idempotency_key,
        expires_after=timedelta(hours=at.settings.bulk_export_expiry_hours),
    )
    if wait:
        output.err.print(f"export {job.id}", markup=False)
        try:
            job = _follow(at, job)
        except KeyboardInterrupt:
            told = f"export {job.id} goes on; cancel it with: bulk-pipeline cancel {job.id}"
            output.err.print(told, markup=False, soft_wrap=True)
            raise typer.Exit(_INTERRUPTED) from None
    if as_json:
        output.print_json(describe(job, at.settings))
    elif job.manifest is not None:
        show_manifest(job.manifest)
    elif job.error:
        output.say(f"export {job.id} is {job.status}: {job.error}")
    else:
        output.say(f"export {job.id} is {job.status}; look at it with: bulk-pipeline export-status {job.id}")
    if wait and job.status is not ExportStatus.COMPLETED:
        raise typer.Exit(1)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text.strip() else ()


def _stream(home: Path, request: ExportRequest, out: str, as_json: bool) -> None:
    from bulk_pipeline.orchestration.streaming import stream_export

    database_url = settings_of(home).database_url.get_secret_value()
    try:
        with _opened(out) as file:
            part = stream_export(database_url, request, file)
    except BrokenPipeError:
        # Whoever reads stdout has seen enough; Python would complain of it again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    if out == _STDOUT:
        return
    if as_json:
        output.print_json({"file": out, "rows": part.rows, "bytes": part.bytes, "sha256": part.sha256})
    else:
        output.err.print(f"wrote {out}: {part.rows:,} rows, {part.bytes:,} bytes", markup=False)


@contextmanager
def _opened(out: str) -> Iterator[IO[bytes]]:
    """Stdout, or a file that appears under its name when it is whole."""
    if out == _STDOUT:
        with standard_output() as stdout:
            yield stdout
        return
    with whole_file(Path(out)) as file:
        yield file


def _follow(at: "Stores", job: ExportJob) -> ExportJob:
    """Wait until it is final, telling on stderr whenever it gets on."""
    said = ""
    while True:
        line = f"{job.table}: {job.status}, {job.rows_written:,} rows"
        if line != said:
            said = line
            output.err.print(line, markup=False)
        if job.status.is_final:
            return job
        time.sleep(_POLL_SECONDS)
        job = at.exports.get(job.id)
