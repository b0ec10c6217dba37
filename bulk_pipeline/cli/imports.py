"""`import`: put files into the bucket, follow their jobs, and say how they ended."""

import hashlib
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bulk_pipeline import tables
from bulk_pipeline.cli import output
from bulk_pipeline.cli.connection import DEFAULT_HOME, HomeOption, JsonOption, stores_of
from bulk_pipeline.cli.job_list import show_imports
from bulk_pipeline.cli.jobs import describe
from bulk_pipeline.cli.upload_options import (
    ColumnOption,
    EncodingOption,
    HeaderOption,
    RecordsOption,
    SheetOption,
    upload_format,
)
from bulk_pipeline.errors import FileError, StoreUnavailableError
from bulk_pipeline.printable import printable
from bulk_pipeline.schema import Mode
from bulk_pipeline.stages import file_formats
from bulk_pipeline.stores.addresses import metadata_of
from bulk_pipeline.stores.jobs import Counts, ImportJob, Status

if TYPE_CHECKING:
    from bulk_pipeline.orchestration.stores import Stores

_POLL_SECONDS = 0.3
_SOME_REJECTED, _SKIPPED, _INTERRUPTED = 3, 4, 130
"""Exit statuses."""


@dataclass(frozen=True)
class _Dropped:
    """A file that was put into the inbox. `before`: the newest job its key had until then."""

    file: Path
    key: str
    before: str | None


def import_files(
    files: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, help="Files, compressed or not.")
    ],
    table: Annotated[str, typer.Option(help="The table they are for.")],
    mode: Annotated[
        Mode | None, typer.Option(help="When a row's key exists: reject it, or update it.")
    ] = None,
    encoding: EncodingOption = None,
    header: HeaderOption = None,
    columns: ColumnOption = None,
    sheet: SheetOption = None,
    records: RecordsOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Import files even if they were imported before.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the jobs to their end.")] = True,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Import files into a table. Exit 0: every row accepted; 4: a file was skipped, as it was imported before; 3: some
    rows were rejected; 1: a file failed; of several, the worst: 1, then 3, then 4. Ctrl-C leaves the jobs running.

    Example: bulk-pipeline import users.csv more-users.ndjson.gz --table users --mode upsert
    """
    declared = tables.get(table)
    format_ = upload_format(encoding, header, columns, sheet, records)
    for file in files:
        _refuse_no_table(file, format_.over(declared.upload_format).encoding)
    at = stores_of(home)
    metadata = metadata_of(mode or declared.default_mode, format_)
    if force:
        metadata["force"] = "true"
    dropped = list[_Dropped]()
    jobs = dict[_Dropped, ImportJob]()
    try:
        for file in files:
            dropped.append(_drop(at, file, declared.name, metadata))
        if not wait:
            _say_dropped(at, dropped, as_json)
            return
        with _Bars(dropped) if output.err.is_terminal and not as_json else _Lines() as show:
            _follow(at, dropped, jobs, show)
    except KeyboardInterrupt:
        _say_what_goes_on(at, dropped, jobs)
        raise typer.Exit(_INTERRUPTED) from None
    finished = [jobs[drop] for drop in dropped]
    documents = [describe(job, at.ledger.counts([job.id])[job.id], at.settings) for job in finished]
    if as_json:
        output.print_json(documents)
    else:
        _summarise(documents)
    raise typer.Exit(_exit_status(finished))


def _refuse_no_table(file: Path, encoding: str | None) -> None:
    """`FileError` before anything is sent, in the words with which the job would fail."""
    with file.open("rb") as stream:
        head = stream.read(file_formats.HEAD_BYTES)
    try:
        file_formats.refuse_no_table(file.name, head, encoding)
    except FileError as error:
        raise FileError(error.code, f"{file}: {error}") from error


def _say_dropped(at: "Stores", dropped: list[_Dropped], as_json: bool) -> None:
    places = [f"s3://{at.settings.s3_bucket_uploads}/{drop.key}" for drop in dropped]
    if as_json:
        output.print_json(
            [{"file": str(d.file), "object": place} for d, place in zip(dropped, places, strict=True)]
        )
        return
    for place in places:
        output.say(f"dropped {place}; its job will show in: bulk-pipeline jobs")


def _drop(at: "Stores", file: Path, table: str, metadata: dict[str, str]) -> _Dropped:
    """Upload a file under a key that holds a digest of its bytes: the same file again is the same object."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        stream.seek(0)
        bucket, key = at.settings.s3_bucket_uploads, f"{table}/{digest[:12]}/{file.name}"
        earlier = at.ledger.newest_of_object(bucket, key)
        at.objects.upload(bucket, key, stream, metadata=metadata)
    return _Dropped(file, key, earlier.id if earlier else None)


def _follow(
    at: "Stores", dropped: list[_Dropped], jobs: dict[_Dropped, ImportJob], show: "_Lines | _Bars"
) -> None:
    """Keep in `jobs` what is known of each file's job, until all are final; say each id as soon as it is known."""
    while not all(drop in jobs and jobs[drop].status.is_final for drop in dropped):
        for drop in dropped:
            if drop in jobs and jobs[drop].status.is_final:
                continue
            job = at.ledger.get(jobs[drop].id) if drop in jobs else _job_of(at, drop)
            if job is None:
                continue
            if drop not in jobs:
                output.err.print(printable(f"{drop.file.name}: job {job.id}"), markup=False, soft_wrap=True)
            jobs[drop] = job
            show.job(drop, job, at.ledger.counts([job.id])[job.id])
        time.sleep(_POLL_SECONDS)


def _job_of(at: "Stores", drop: _Dropped) -> ImportJob | None:
    """Return the first job after the drop, None while it lies in the inbox. Others may drop the same file meanwhile.

    The store's clock may have whole seconds only. The same file dropped twice within one is the same drop, and has no
    job of its own: the earlier one is followed.
    """
    bucket = at.settings.s3_bucket_uploads
    earlier = drop.before if drop.before and at.objects.find(bucket, drop.key) is None else None
    job = at.ledger.next_of_object(bucket, drop.key, drop.before)
    return at.ledger.get(earlier) if job is None and earlier else job


def _say_what_goes_on(at: "Stores", dropped: list[_Dropped], jobs: dict[_Dropped, ImportJob]) -> None:
    """Say that the jobs go on after Ctrl-C, and how to cancel them."""
    for drop in dropped:
        job = jobs.get(drop)
        if job is None:
            with suppress(StoreUnavailableError):
                job = _job_of(at, drop)
        name = printable(drop.file.name)
        if job is None:
            told = f"{name} is dropped and will be imported; find its job with: bulk-pipeline jobs --file '{name}'"
        elif job.status.is_final:
            continue
        else:
            told = f"job {job.id} ({name}) goes on; cancel it with: bulk-pipeline cancel {job.id}"
        output.err.print(told, markup=False, soft_wrap=True)


class _Lines:
    """One line to stderr whenever a file gets on: for logs and pipes."""

    def __init__(self) -> None:
        self._said: dict[_Dropped, str] = {}

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def job(self, drop: _Dropped, job: ImportJob, counts: Counts) -> None:
        line = f"{drop.file.name}: {job.status}"
        if counts.total:
            line += f", {counts.processed:,} of {counts.total:,} rows"
        if self._said.get(drop) != line:
            self._said[drop] = line
            output.err.print(line, markup=False)


class _Bars:
    """A progress bar per file, on a terminal."""

    def __init__(self, dropped: list[_Dropped]) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeElapsedColumn(),
            console=output.err,
        )
        self._bars: dict[_Dropped, TaskID] = {
            drop: self._progress.add_task(drop.file.name, total=None, status="waiting") for drop in dropped
        }

    def __enter__(self) -> "_Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def job(self, drop: _Dropped, job: ImportJob, counts: Counts) -> None:
        total = counts.total or (1 if job.status.is_final else None)
        done = total if job.status.is_final and total is not None else counts.processed
        self._progress.update(self._bars[drop], total=total, completed=done, status=str(job.status))


def _summarise(documents: list[dict[str, Any]]) -> None:
    show_imports(documents)
    for document in documents:
        if document["error"]:
            output.say(f"{document['key']}: {document['error']}")
        for warning in document["warnings"]:
            if document["status"] == Status.SKIPPED:
                output.say(f"{document['file']}: {warning}")
            else:
                output.say(f"{document['key']}: warning: {warning}")
        if document["reports"]:
            output.say(f"why rows were rejected: bulk-pipeline errors {document['id']}")
    if any(document["status"] == Status.SKIPPED for document in documents):
        output.say("to import a skipped file again: bulk-pipeline import --force")


def _exit_status(finished: list[ImportJob]) -> int:
    """That of the worst of the files."""
    statuses = {job.status for job in finished}
    if statuses & {Status.FAILED, Status.CANCELLED}:
        return 1
    if Status.COMPLETED_WITH_ERRORS in statuses:
        return _SOME_REJECTED
    return _SKIPPED if Status.SKIPPED in statuses else 0
