"""The tags of runs, by which people find them on the Runs page, and which say what became of them.

Tags that begin with `bulk/` are in the list of runs. Those that begin with `dagster/`, ids, are not, but a run's page
has them, and the list can be filtered by them.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Protocol

import dagster as dg

from bulk_pipeline.ledger.export_jobs import ExportJob, ExportStatus
from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.job_hold import JobHold
from bulk_pipeline.printable import printable

FILE = "bulk/file"
TABLE = "bulk/table"
MODE = "bulk/mode"
UPLOADED_BY = "bulk/uploaded_by"
STATUS = "bulk/status"
REJECTED = "bulk/rejected"
PROGRESS = "bulk/progress"
JOB_ID = "dagster/bulk_job_id"
EXPORT_ID = "dagster/bulk_export_id"
REQUEST_ID = "dagster/bulk_request_id"

RUNNING = "running"
COMPLETED = "completed"
REJECTS = "some rows rejected"
FAILED = "failed"
CANCELLED = "cancelled"
INTERRUPTED = "interrupted, retried"
QUEUED = "left to a later run"
CHECKED = "only checked"
NOTHING_TO_DO = "nothing to do"

_LONGEST = 100
_TAGGED_REQUESTS = 10

_log = logging.getLogger(__name__)


class UploadedFile(Protocol):
    """The fields of an import job that tags show."""

    @property
    def id(self) -> str: ...
    @property
    def file_name(self) -> str: ...
    @property
    def table(self) -> str: ...
    @property
    def mode(self) -> str: ...
    @property
    def owner_id(self) -> str | None: ...
    @property
    def request_id(self) -> str | None: ...


def of_imports(jobs: Sequence[UploadedFile], stores: Stores) -> dict[str, str]:
    """Return the tags of a run of `import_files` on these jobs. Asks Postgres who uploaded files with an owner."""
    if not jobs:
        return {}
    owners = stores.accounts.emails(filter(None, (job.owner_id for job in jobs)))
    tags = {
        FILE: _first_and_others([job.file_name for job in jobs]),
        TABLE: ", ".join(sorted({job.table for job in jobs})),
        MODE: ", ".join(sorted({str(job.mode) for job in jobs})),
    }
    if owners:
        tags[UPLOADED_BY] = _first_and_others(sorted(owners.values()))
    if len(jobs) == 1:
        tags[JOB_ID] = jobs[0].id
    return tags | _of_requests(job.request_id for job in jobs)


def of_check(files: Sequence[str], table: str) -> dict[str, str]:
    """Return the tags of a dry run."""
    names = [file.rpartition("/")[2] for file in files]
    return (
        {MODE: "dry run"}
        | ({FILE: _first_and_others(names)} if names else {})
        | ({TABLE: table} if table else {})
    )


def of_export(job: ExportJob) -> dict[str, str]:
    """Return the tags of a run of `export_table`."""
    tags = {TABLE: job.table, MODE: f"export, {job.kind}", EXPORT_ID: job.id}
    return tags | _of_requests([job.request_id])


def result_of_imports(hold: JobHold, *, is_cancelled: bool) -> dict[str, str]:
    """Return the tags for the end of a run: the worst that became of its files, and the number of rejected rows."""
    problems = {problem.status for problem in hold.problems.values()}
    rejected = sum(hold.rejected.values())
    if Status.FAILED in problems or hold.is_refused:
        status = FAILED
    elif is_cancelled or Status.CANCELLED in problems:
        status = CANCELLED
    elif None in problems or hold.is_interrupted:
        status = INTERRUPTED
    elif hold.checked is not None:
        status, rejected = CHECKED, hold.checked
    elif not hold.rejected:
        status = QUEUED if hold.is_left_to_others else NOTHING_TO_DO
    else:
        status = REJECTS if rejected else COMPLETED
    return {STATUS: status} | ({REJECTED: str(rejected)} if rejected else {})


def result_of_exports(jobs: Iterable[ExportJob], *, is_failed: bool = False) -> dict[str, str]:
    """Return the tag for the end of a run: the worst that became of its exports, or failed if the run has."""
    statuses = {job.status for job in jobs}
    if ExportStatus.CANCELLED in statuses and ExportStatus.FAILED not in statuses:
        return {STATUS: CANCELLED}
    return {STATUS: FAILED if is_failed or ExportStatus.FAILED in statuses else COMPLETED}


def update(instance: dg.DagsterInstance, run_id: str, tags: Mapping[str, str]) -> None:
    """Add tags to a run, or replace them. An error is only logged: the tags show what the ledger knows."""
    try:
        instance.add_run_tags(run_id, tags)
    except Exception as error:  # storages raise what their drivers do
        _log.warning("run %s: its tags cannot be updated: %s", run_id, error)


def update_at_start(instance: dg.DagsterInstance, run: dg.DagsterRun, tags: Mapping[str, str]) -> None:
    """Give a run the tags that it lacks, or that it took over from the run that it repeats.

    The sensor gives its runs all tags: they cost nothing here.
    """
    if STATUS in run.tags:
        stale = {REJECTED: "0", PROGRESS: "0%"}
        tags = {**tags, STATUS: RUNNING} | {name: stale[name] for name in stale if name in run.tags}
    if any(run.tags.get(name) != value for name, value in tags.items()):
        update(instance, run.run_id, tags)


def _first_and_others(names: Sequence[str]) -> str:
    first = printable(names[0])
    first = first if len(first) <= _LONGEST else f"{first[: _LONGEST // 2]}…{first[1 - _LONGEST // 2 :]}"
    return first if len(names) == 1 else f"{first} +{len(names) - 1}"


def _of_requests(request_ids: Iterable[str | None]) -> dict[str, str]:
    """Return a tag with the HTTP requests of a run, at most `_TAGGED_REQUESTS`; the run's log names all."""
    ids = list(islice(dict.fromkeys(filter(None, request_ids)), _TAGGED_REQUESTS))
    return {REQUEST_ID: ", ".join(ids)} if ids else {}
