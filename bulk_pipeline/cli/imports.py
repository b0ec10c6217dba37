"""`import`: put files into the bucket, follow their jobs, and print the outcome."""

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
from bulk_pipeline.cli.options import takes_upload_format
from bulk_pipeline.errors import FileError, StoreUnavailableError
from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.ledger.upload_keys import metadata_of
from bulk_pipeline.printable import printable
from bulk_pipeline.schema import Mode, UploadFormat
from bulk_pipeline.stages import file_formats
from bulk_pipeline.stages.counts import Counts

if TYPE_CHECKING:
    from bulk_pipeline.pipeline.container import Stores

_POLL_SECONDS = 0.1
_SOME_REJECTED, _SKIPPED, _INTERRUPTED = 3, 4, 130
"""Exit statuses."""


@dataclass(frozen=True)
class _Upload:
    """A file that was put into the bucket. `earlier_job_id`: the newest job of its key at that time."""

    file: Path
    key: str
    earlier_job_id: str | None


@takes_upload_format()
def import_files(
    files: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, help="Files, compressed or not.")
    ],
    table: Annotated[str, typer.Option(help="The table to import into.")],
    mode: Annotated[
        Mode | None, typer.Option(help="Reject or update rows whose key exists. Default: the table's mode.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Import files even if they have been imported before.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the jobs have finished.")] = True,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    *,
    declared: UploadFormat,
) -> None:
    """Import files into a table. Exit 0: every row accepted; 4: a file was skipped because it was imported before;
    3: some rows rejected; 1: a file failed. With several files: the first of 1, 3, 4 that applies. Ctrl-C leaves the
    jobs running.

    Example: bulk-pipeline import users.csv more-users.ndjson.gz --table users --mode upsert
    """
    into = tables.get(table)
    for file in files:
        _refuse_no_table(file, into.format_of(declared).encoding)
    stores = stores_of(home)
    metadata = metadata_of(mode or into.default_mode, declared)
    if force:
        metadata["force"] = "true"
    uploads = list[_Upload]()
    jobs = dict[_Upload, ImportJob]()
    try:
        for file in files:
            uploads.append(_put(stores, file, into.upload_name, metadata))
        if not wait:
            _show_uploads(stores, uploads, as_json)
            return
        with _Bars(uploads) if output.err.is_terminal and not as_json else _Lines() as show:
            _follow(stores, uploads, jobs, show)
    except KeyboardInterrupt:
        _show_open_jobs(stores, uploads, jobs)
        raise typer.Exit(_INTERRUPTED) from None
    finished = [jobs[upload] for upload in uploads]
    documents = [describe(job, stores.ledger.counts([job.id])[job.id], stores.settings) for job in finished]
    if as_json:
        output.print_json(documents)
    else:
        _summarise(documents)
    raise typer.Exit(_exit_status(finished))


def _refuse_no_table(file: Path, encoding: str | None) -> None:
    """Raise the `FileError` that the job would fail with, before anything is sent."""
    with file.open("rb") as stream:
        head = stream.read(file_formats.HEAD_BYTES)
    try:
        file_formats.refuse_no_table(file.name, head, encoding)
    except FileError as error:
        raise FileError(error.code, f"{file}: {error}") from error


def _show_uploads(stores: "Stores", uploads: list[_Upload], as_json: bool) -> None:
    urls = [f"s3://{stores.settings.s3_bucket_uploads}/{upload.key}" for upload in uploads]
    if as_json:
        output.print_json(
            [{"file": str(upload.file), "object": url} for upload, url in zip(uploads, urls, strict=True)]
        )
        return
    for url in urls:
        output.say(f"uploaded {url}; its job will appear in: bulk-pipeline jobs")


def _put(stores: "Stores", file: Path, table: str, metadata: dict[str, str]) -> _Upload:
    """Upload a file under a key that holds a digest of its bytes: the same file again is the same object."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        stream.seek(0)
        bucket, key = stores.settings.s3_bucket_uploads, f"{table}/{digest[:12]}/{file.name}"
        earlier = stores.ledger.newest_of_object(bucket, key)
        stores.objects.upload(bucket, key, stream, metadata=metadata)
    return _Upload(file, key, earlier.id if earlier else None)


def _follow(
    stores: "Stores", uploads: list[_Upload], jobs: dict[_Upload, ImportJob], show: "_Lines | _Bars"
) -> None:
    """Update `jobs` and the progress shown until all jobs are final; print each job's id once it is known."""
    while not all(upload in jobs and jobs[upload].status.is_final for upload in uploads):
        for upload in uploads:
            if upload in jobs and jobs[upload].status.is_final:
                continue
            job = stores.ledger.get(jobs[upload].id) if upload in jobs else _job_of(stores, upload)
            if job is None:
                continue
            if upload not in jobs:
                output.err.print(printable(f"{upload.file.name}: job {job.id}"), markup=False, soft_wrap=True)
            jobs[upload] = job
            show.job(upload, job, stores.ledger.counts([job.id])[job.id])
        time.sleep(_POLL_SECONDS)


def _job_of(stores: "Stores", upload: _Upload) -> ImportJob | None:
    """Return the upload's job, or None if the sensor has not found it yet. Others may upload the same file meanwhile.

    The store's clock may count whole seconds. The same file put twice within a second is one upload without a second
    job: then the earlier job is followed.
    """
    bucket, earlier = stores.settings.s3_bucket_uploads, upload.earlier_job_id
    is_taken = earlier is not None and stores.objects.find(bucket, upload.key) is None
    job = stores.ledger.next_of_object(bucket, upload.key, earlier)
    return stores.ledger.get(earlier) if job is None and earlier and is_taken else job


def _show_open_jobs(stores: "Stores", uploads: list[_Upload], jobs: dict[_Upload, ImportJob]) -> None:
    """Print after Ctrl-C which jobs continue, and how to cancel them."""
    for upload in uploads:
        job = jobs.get(upload)
        if job is None:
            with suppress(StoreUnavailableError):
                job = _job_of(stores, upload)
        name = printable(upload.file.name)
        if job is None:
            line = f"{name} is uploaded and will be imported; find its job with: bulk-pipeline jobs --file '{name}'"
        elif job.status.is_final:
            continue
        else:
            line = f"job {job.id} ({name}) continues; cancel it with: bulk-pipeline cancel {job.id}"
        output.err.print(line, markup=False, soft_wrap=True)


class _Lines:
    """Prints a line on stderr whenever a job makes progress: for logs and pipes."""

    def __init__(self) -> None:
        self._last: dict[_Upload, str] = {}

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def job(self, upload: _Upload, job: ImportJob, counts: Counts) -> None:
        line = f"{upload.file.name}: {job.status}"
        if counts.total:
            line += f", {counts.processed:,} of {counts.total:,} rows"
        if self._last.get(upload) != line:
            self._last[upload] = line
            output.err.print(line, markup=False)


class _Bars:
    """Shows a progress bar per file on a terminal."""

    def __init__(self, uploads: list[_Upload]) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeElapsedColumn(),
            console=output.err,
        )
        self._bars: dict[_Upload, TaskID] = {
            upload: self._progress.add_task(upload.file.name, total=None, status="waiting")
            for upload in uploads
        }

    def __enter__(self) -> "_Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def job(self, upload: _Upload, job: ImportJob, counts: Counts) -> None:
        total = counts.total or (1 if job.status.is_final else None)
        done = total if job.status.is_final and total is not None else counts.processed
        self._progress.update(self._bars[upload], total=total, completed=done, status=str(job.status))


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
            output.say(f"see why rows were rejected: bulk-pipeline errors {document['id']}")
    if any(document["status"] == Status.SKIPPED for document in documents):
        output.say("import a skipped file again with: bulk-pipeline import --force")


def _exit_status(finished: list[ImportJob]) -> int:
    """Return the exit status of the file with the worst outcome."""
    statuses = {job.status for job in finished}
    if statuses & {Status.FAILED, Status.CANCELLED}:
        return 1
    if Status.COMPLETED_WITH_ERRORS in statuses:
        return _SOME_REJECTED
    return _SKIPPED if Status.SKIPPED in statuses else 0
