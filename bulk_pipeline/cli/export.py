"""`export`: a table to a file or to stdout directly, or into the bucket by a job."""

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
from bulk_pipeline.cli.output_files import is_special, standard_output, whole_file
from bulk_pipeline.ledger.export_jobs import ExportJob, ExportStatus
from bulk_pipeline.stages.export.formats import Compression, Format, of_file
from bulk_pipeline.stages.export.request import ROWS_PER_PART, ExportRequest, Kind

if TYPE_CHECKING:
    from bulk_pipeline.pipeline.container import Stores

_POLL_SECONDS = 0.3
_STDOUT = "-"
_INTERRUPTED = 130
"""Exit status after Ctrl-C."""


def export_table(
    table: Annotated[str, typer.Argument(help="The table.")],
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="Default: the format that the file name implies, else csv."),
    ] = None,
    out: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE|-", help="Write to this file, or to stdout.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Only rows that match, such as role=admin. Repeated: rows that match all."),
    ] = None,
    columns: Annotated[str, typer.Option(metavar="A,B", help="Columns to export. Default: all.")] = "",
    compression: Annotated[
        Compression | None, typer.Option(help="Compression of the file, or inside Parquet.")
    ] = None,
    order: Annotated[
        str, typer.Option(metavar="A,B desc", help="Columns to sort by. Default: the primary key.")
    ] = "",
    incremental: Annotated[
        bool, typer.Option("--incremental", help="Only rows changed since the last incremental export.")
    ] = False,
    for_spreadsheets: Annotated[
        bool,
        typer.Option("--for-spreadsheets", help="For Excel: with a UTF-8 mark, and with formulas disarmed."),
    ] = False,
    rows_per_part: Annotated[int, typer.Option(min=1, help="Rows in each file in the bucket.")] = (
        ROWS_PER_PART
    ),
    prefix: Annotated[str, typer.Option(help="Folder in the bucket above <table>/.")] = "",
    idempotency_key: Annotated[
        str | None, typer.Option(help="A second request with the same key returns the first one's job.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the job has finished.")] = True,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Export a table: with -o directly to a file or stdout, without it into the bucket by a job.

    Example: bulk-pipeline export users --where role=admin --where "created_at>=2026-01-01" -o admins.csv.gz
    """
    is_named = out is not None and out != _STDOUT and not is_special(Path(out))
    chosen_format, chosen_compression = of_file(out if is_named and out else "", format_, compression)
    request = ExportRequest.of(
        table,
        format=chosen_format,
        compression=chosen_compression,
        kind=Kind.INCREMENTAL if incremental else Kind.FULL,
        columns=_listed(columns),
        filters=where or (),
        order=_listed(order),
        for_spreadsheets=for_spreadsheets,
        rows_per_part=rows_per_part,
        prefix=prefix,
    )
    if out is not None:
        if incremental:
            raise typer.BadParameter(
                "an incremental export is a job that writes into the bucket: leave out -o"
            )
        _stream(home, request, out, as_json)
        return
    stores = stores_of(home)
    job = stores.exports.ask(
        request,
        requested_by="cli",
        idempotency_key=idempotency_key,
        expires_after=timedelta(hours=stores.settings.bulk_export_expiry_hours),
    )
    if wait:
        output.err.print(f"export {job.id}", markup=False)
        try:
            job = _follow(stores, job)
        except KeyboardInterrupt:
            line = f"export {job.id} continues; cancel it with: bulk-pipeline cancel {job.id}"
            output.err.print(line, markup=False, soft_wrap=True)
            raise typer.Exit(_INTERRUPTED) from None
    if as_json:
        output.print_json(describe(job, stores.settings))
    elif job.manifest is not None:
        show_manifest(job.manifest)
    elif job.error:
        output.say(f"export {job.id} is {job.status}: {job.error}")
    else:
        output.say(f"export {job.id} is {job.status}; see: bulk-pipeline export-status {job.id}")
    if wait and job.status is not ExportStatus.COMPLETED:
        raise typer.Exit(1)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text.strip() else ()


def _stream(home: Path, request: ExportRequest, out: str, as_json: bool) -> None:
    from bulk_pipeline.pipeline.stream import stream_export

    database_url = settings_of(home).database_url.get_secret_value()
    try:
        with _open(out) as file:
            part = stream_export(database_url, request, file)
    except BrokenPipeError:
        # The reader of stdout has closed it; without this, Python's flush at exit would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    if out == _STDOUT:
        return
    if as_json:
        output.print_json({"file": out, "rows": part.rows, "bytes": part.bytes, "sha256": part.sha256})
    else:
        output.err.print(f"wrote {out}: {part.rows:,} rows, {part.bytes:,} bytes", markup=False)


@contextmanager
def _open(out: str) -> Iterator[IO[bytes]]:
    """Open stdout, or a file that appears under its name once it is complete."""
    if out == _STDOUT:
        with standard_output() as stdout:
            yield stdout
        return
    with whole_file(Path(out)) as file:
        yield file


def _follow(stores: "Stores", job: ExportJob) -> ExportJob:
    """Wait until the job is final, printing its progress on stderr."""
    last_line = ""
    while True:
        line = f"{job.table}: {job.status}, {job.rows_written:,} rows"
        if line != last_line:
            last_line = line
            output.err.print(line, markup=False)
        if job.status.is_final:
            return job
        time.sleep(_POLL_SECONDS)
        job = stores.exports.get(job.id)
