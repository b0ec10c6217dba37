"""The ops of an import: parse, validate, split, load, emit. Each unpacks its input, calls a step and reports counts.

An op runs one step for every file of its run; `job_hold` decides what an error of a file means for its job.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from time import monotonic
from typing import Any, Literal

import dagster as dg
import pyarrow as pa
from dagster_aws.s3 import S3Resource
from pydantic import Field

from bulk_pipeline import tables
from bulk_pipeline.arrow.uuids import IdMaker
from bulk_pipeline.concurrency import ordered_map
from bulk_pipeline.errors import (
    FileError,
    FileErrorCode,
    JobGoneError,
    NotFoundError,
    SelectionError,
    StoreRefusedError,
    StoreUnavailableError,
    UnknownTableError,
)
from bulk_pipeline.ledger.import_batches import load_failures
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.orchestration import metadata, run_tags, runs, table_events
from bulk_pipeline.orchestration.io_manager import STATES
from bulk_pipeline.orchestration.launch import run_logs
from bulk_pipeline.orchestration.run_progress import RunProgress
from bulk_pipeline.orchestration.table_events import ImportedFile
from bulk_pipeline.pipeline import cleaning, import_steps, requested_files
from bulk_pipeline.pipeline.budget import TooManyRejectedRowsError
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.import_state import FAILURES_BEFORE_LOAD, ImportState
from bulk_pipeline.pipeline.intake import take_in
from bulk_pipeline.pipeline.job_hold import JobHold
from bulk_pipeline.pipeline.known_rows import PostgresKnownRows
from bulk_pipeline.pipeline.requested_files import FileOptions
from bulk_pipeline.printable import printable
from bulk_pipeline.rows.key_forms import key_forms
from bulk_pipeline.rows.references import PostgresReferences
from bulk_pipeline.rows.row_store import PostgresRowStore
from bulk_pipeline.rows.server_types import PostgresServerTypes
from bulk_pipeline.schema import NO_FORMS, KeyForm
from bulk_pipeline.stages.formats import content_type_of
from bulk_pipeline.stages.load.batches import rows_of_a_range
from bulk_pipeline.stages.origins import Corrections
from bulk_pipeline.stages.parse.upload import PARSER_VERSION, open_upload
from bulk_pipeline.stages.report import ReportSummary
from bulk_pipeline.stages.sink import Sink

_STATES = dg.Out(io_manager_key=STATES)
_LOGGED_FILES = 10
"""Most files of a run whose progress is logged: each line is a transaction, and the op has the sums."""
_FILES_AT_ONCE = 4
"""Files in parallel: a small file spends most of its time waiting for the stores."""


class ImportConfig(dg.Config):
    """The files of a run. The sensor sets `job_ids`, people set `files`."""

    files: list[str] = Field(
        [],
        description="Files: `s3://bucket/folder/march.csv`, the key of an upload (`customers/march.csv`), or the id of "
        "a job. Without any, the run imports what waits in the inbox.",
    )
    table: str = Field("", description="The table, for files in a folder that does not have its name.")
    mode: Literal["", "insert_only", "upsert"] = Field(
        "", description="What to do with rows whose key exists. Empty: as the table says."
    )
    force: bool = Field(False, description="Import files again of which every row has been imported.")
    dry_run: bool = Field(False, description="Check the files, show the first failures, and import nothing.")
    job_ids: list[str] = Field([], description="Set by the sensor. Leave it out.")

    @property
    def options(self) -> FileOptions:
        return FileOptions(self.table, self.mode, self.force)


@dg.op(
    description="The archived upload to numbered text records; malformed records become failures.",
    out=_STATES,
)
def parse(
    context: dg.OpExecutionContext, config: ImportConfig, worker: dg.ResourceParam[JobHold]
) -> list[ImportState]:
    if config.dry_run:
        return _check_files(context, config, worker)
    try:
        job_ids = config.job_ids or _requested_jobs(context, config, worker)
    except (NotFoundError, SelectionError, StoreRefusedError, UnknownTableError) as error:
        worker.is_refused = True
        raise metadata.failure(str(error)) from error
    jobs = worker.take(worker.to_take(job_ids) if config.job_ids else job_ids)
    run_tags.update_at_start(context.instance, context.run, run_tags.of_imports(jobs, worker.stores))
    return _each(context, worker, jobs, lambda job: _parse_one(job, worker))


def _requested_jobs(context: dg.OpExecutionContext, config: ImportConfig, worker: JobHold) -> list[str]:
    """Return the jobs of the requested files that this run may work on, or those of the first group in the inbox."""
    if not config.files:
        return _waiting_jobs(context, worker.stores)
    jobs = requested_files.jobs_of(worker.stores, config.files, config.options)
    ours = worker.reserve([job for job in jobs if not job.status.is_final])
    for job in jobs:
        if job.status.is_final:
            reason = job.error or "; ".join(job.warnings) or "set `force` to import it again"
            context.log.warning(f"{job.label} is {job.status}: {printable(reason)}")
        elif job.id not in ours:
            context.log.info(f"{job.label} waits for earlier files: a later run imports it")
    return ours


def _waiting_jobs(context: dg.OpExecutionContext, stores: Stores) -> list[str]:
    """Claim what lies in the inbox; return the jobs of the first group that can start."""
    requests = take_in(stores, None, watch_seconds=0).requests
    if not requests:
        context.log.info("nothing waits in the inbox: name the files to import in `files`")
        return []
    stores.ledger.requested(requests[0].key)
    return [job.id for job in requests[0].jobs]


def _check_files(context: dg.OpExecutionContext, config: ImportConfig, worker: JobHold) -> list[ImportState]:
    """Check the files of a dry run, and fail if one cannot be read."""
    run_tags.update_at_start(context.instance, context.run, run_tags.of_check(config.files, config.table))
    rows = rejected = 0
    first: list[dict[str, Any]] = []
    problems: list[str] = []
    for file in config.files:
        try:
            checked = requested_files.check_file(worker.stores, file, config.options)
        except (FileError, NotFoundError, SelectionError, StoreRefusedError, UnknownTableError) as error:
            problems.append(f"{printable(file)}: {error}")
            continue
        rows, rejected = rows + checked.rows, rejected + checked.rows - checked.good
        first += [{"file": file, **failure} for failure in checked.reported.first.to_pylist()]
    worker.checked = rejected
    context.add_output_metadata(metadata.of_check(len(config.files), rows, rejected, first))
    if problems:
        worker.is_refused = True
        raise metadata.failure("\n".join(problems))
    return []


@dg.op(
    description="Text records to typed rows, by the table's pandera schema; broken rules become failures.",
    out=_STATES,
)
def validate(
    context: dg.OpExecutionContext, parsed: list[ImportState], worker: dg.ResourceParam[JobHold]
) -> list[ImportState]:
    return _run_step(context, worker, parsed, partial(_validate_one, worker=worker))


@dg.op(
    description="Good rows parted from rejected ones: unknown references, and keys used twice in the file.",
    out=_STATES,
)
def split(
    context: dg.OpExecutionContext, validated: list[ImportState], worker: dg.ResourceParam[JobHold]
) -> list[ImportState]:
    return _run_step(context, worker, validated, partial(_split_one, worker=worker))


@dg.op(
    description="Good rows into Postgres, batch by batch, each in one transaction with its ledger row.",
    out=_STATES,
)
def load(
    context: dg.OpExecutionContext, separated: list[ImportState], worker: dg.ResourceParam[JobHold]
) -> list[ImportState]:
    tell = context.log.info if len(separated) <= _LOGGED_FILES else _nothing
    with RunProgress(context.instance, context.run_id, sum(state.rows for state in separated)) as progress:
        step = partial(_load_one, worker=worker, ids=IdMaker(), tell=tell, progress=progress)
        return _run_step(context, worker, separated, step, at_once=1)  # in the order in which they arrived


@dg.op(description="Failures to errors.csv, errors.ndjson and the rejected rows; the job's final status.")
def emit(
    context: dg.OpExecutionContext, loaded: list[ImportState], worker: dg.ResourceParam[JobHold]
) -> None:
    files: list[ImportedFile] = []  # in which threads append
    try:
        _run_step(context, worker, loaded, partial(_emit_one, worker=worker, files=files), is_last=True)
    finally:
        table_events.log(context, worker.stores, files, worker.problems.values())
    _remove_states(context, worker)
    if worker.problems:
        raise metadata.failure_of(worker.problems.values())


@dg.op(
    description="Deletes work files of finished jobs, broken uploads, old exports, reports, logs and Dagster's runs; "
    "merges old batches. Archived uploads are deleted if the settings say when."
)
def clean(context: dg.OpExecutionContext, stores: dg.ResourceParam[Stores], bulk_s3: S3Resource) -> None:
    days = stores.settings.bulk_dagster_retention_days
    context.add_output_metadata(
        {
            "jobs_without_work_files": cleaning.remove_work_files(stores),
            "abandoned_parses": cleaning.remove_abandoned_parses(stores),
            "broken_uploads": cleaning.abort_broken_uploads(stores),
            "old_exports": cleaning.remove_old_exports(stores),
            "objects_of_failed_exports": cleaning.remove_export_debris(stores),
            "batches_saved": cleaning.fold_old_batches(stores),
            "old_messages": cleaning.remove_old_messages(stores),
            "old_checks": cleaning.remove_old_checks(stores),
            "old_uploads": cleaning.remove_old_uploads(stores),
            "jobs_with_old_reports": cleaning.remove_old_reports(stores),
            "local_logs_of_runs": run_logs.clear(context.instance, stores.settings),
            "old_logs_of_runs": run_logs.remove_old(bulk_s3.get_client(), stores.settings),
            "runs_forgotten": runs.forget_old(context.instance, days),
        }
    )


def _parse_one(job: ImportJob, worker: JobHold) -> ImportState:
    stores, settings, table = worker.stores, worker.stores.settings, tables.get(job.table)
    if job.parser_version not in (None, PARSER_VERSION):
        raise FileError(
            FileErrorCode.PARSER_CHANGED, f"the parser has changed since this job started: retry job {job.id}"
        )
    budget = worker.budget(job)
    work = worker.work_within(job, budget)
    stores.disk.check()
    work.remove_earlier(job.id, job.attempt)
    with ExitStack() as stack:
        stream = stack.enter_context(stores.objects.open(settings.s3_bucket_archive, str(job.archive_key)))
        upload = open_upload(
            stream,
            job.file_name,
            table=table,
            mode=job.mode,
            declared=job.upload_format,
            limits=settings.limits,
            spool_dir=work.area(job.id, job.attempt).folder,
            check=work.check,
        )
        stack.callback(upload.close)
        _row_store(job, worker).check_fit(upload.columns, job.mode)
        state = import_steps.parse_upload(upload, job.id, job.attempt, table, job.mode, work, budget)
    batch_rows = rows_of_a_range(
        settings.bulk_batch_rows, state.rows, stores.work.size_bytes(state.files["records"])
    )
    if table.refers_to_itself(upload.columns):
        batch_rows = max(state.rows, 1)  # a row may refer to a later one: all are written by one transaction
    parents, strangers = stores.rejected_rows.parents(job, import_steps.rows_by_origin(state, work))
    recorded = stores.attempts.note_parsed(
        job.id,
        job.attempt,
        columns=upload.columns,
        dialect=upload.dialect.as_dict(),
        warnings=[*upload.warnings, *strangers],
        total_rows=upload.rows,
        sha256=upload.sha256,
        batch_rows=batch_rows,
        parser_version=PARSER_VERSION,
        parents=parents,
    )
    return replace(state, batch_rows=recorded.batch_rows, parents=tuple(parents))


def _validate_one(job: ImportJob, state: ImportState, *, worker: JobHold) -> ImportState:
    budget = worker.budget(job)
    types = PostgresServerTypes(worker.stores.postgres, state.table)
    return import_steps.validate_rows(state, worker.work_within(job, budget), budget, types)


def _split_one(job: ImportJob, state: ImportState, *, worker: JobHold) -> ImportState:
    stores, budget = worker.stores, worker.budget(job)
    work = worker.work_within(job, budget)
    if warning := import_steps.warning_of_keys(state, work):
        stores.ledger.warn(job.id, warning)
    forms = key_forms(stores.postgres, state.table)
    known = PostgresKnownRows(_row_store(job, worker, forms))
    references = PostgresReferences(stores.postgres, state.table)
    return import_steps.split_rows(state, references, known, work, budget, forms)


def _load_one(
    job: ImportJob,
    state: ImportState,
    *,
    worker: JobHold,
    ids: IdMaker,
    tell: Callable[[str], None],
    progress: RunProgress,
) -> ImportState:
    forms, work = key_forms(worker.stores.postgres, state.table), worker.work(job)
    store = _row_store(job, worker, forms, import_steps.corrections(state, work))
    known = PostgresKnownRows(store)
    return import_steps.load_rows(
        state,
        work,
        store,
        known,
        ids,
        lambda text: tell(f"{job.label}: {text}"),
        forms,
        partial(progress.note, job.id),
    )


def _row_store(
    job: ImportJob,
    worker: JobHold,
    forms: Mapping[str, KeyForm] = NO_FORMS,
    corrections: Corrections | None = None,
) -> PostgresRowStore:
    stores, declared = worker.stores, tables.get(job.table)
    table = replace(declared.matching(declared.format_of(job.upload_format)), key_forms=forms)
    connections = stores.settings.bulk_load_connections
    store = PostgresRowStore(
        stores.postgres,
        table,
        job.id,
        job.attempt,
        connections=connections,
        check=partial(worker.check, job),
        corrections=corrections,
    )
    worker.interrupt_by(job, store.interrupt)
    return store


def _emit_one(
    job: ImportJob, state: ImportState, *, worker: JobHold, files: list[ImportedFile]
) -> ImportState:
    stores, bucket = worker.stores, worker.stores.settings.s3_bucket_reports
    reported, reports = _write_reports(job, state, load_failures(stores.postgres, job.id), worker)
    try:
        final = stores.attempts.finish(job.id, job.attempt, failure_counts=reported.codes, reports=reports)
    except JobGoneError:
        for key in reports.values():
            stores.objects.remove(bucket, key)
        raise
    worker.finished(final)
    counts = stores.ledger.counts([job.id])[job.id]
    worker.rejected[job.id] = counts.rejected
    files.append(ImportedFile(final, counts, reported.first))
    with suppress(StoreUnavailableError):  # the job is done; nightly cleaning removes remaining files
        stores.work.remove(job.id)
    return state


def _write_reports(
    job: ImportJob, state: ImportState, from_load: Iterable[pa.RecordBatch], worker: JobHold
) -> tuple[ReportSummary, dict[str, str]]:
    """Write the reports of a job; return their summary, and the key of each."""
    stores, work = worker.stores, worker.work(job)
    bucket = stores.settings.s3_bucket_reports

    def open_report(name: str) -> AbstractContextManager[Sink]:
        return stores.objects.streaming(bucket, f"{job.id}/{name}", content_type=content_type_of(name))

    if state.good < state.rows:
        stores.attempts.check(job.id, job.attempt)  # nothing would remove the reports of a job that is gone
    failures = [state.batches(work, name) for name in FAILURES_BEFORE_LOAD if name in state.files]
    reported, names = import_steps.write_job_reports(state, [*failures, from_load], open_report, work)
    return reported, {name: f"{job.id}/{name}" for name in names}


def _run_step(
    context: dg.OpExecutionContext,
    worker: JobHold,
    items: Iterable[ImportState],
    step: Callable[[ImportJob, ImportState], ImportState],
    *,
    at_once: int = _FILES_AT_ONCE,
    is_last: bool = False,
) -> list[ImportState]:
    """Run a step for the states that the previous op returned."""
    states = {item.job_id: item for item in items}

    def one(job: ImportJob) -> ImportState:
        return step(job, replace(states[job.id], attempt=job.attempt))

    return _each(context, worker, worker.take(states), one, at_once=at_once, is_last=is_last)


def _each(
    context: dg.OpExecutionContext,
    worker: JobHold,
    jobs: Sequence[ImportJob],
    step: Callable[[ImportJob], ImportState],
    *,
    at_once: int = _FILES_AT_ONCE,
    is_last: bool = False,
) -> list[ImportState]:
    """Run a step for the jobs that this run holds, in order, and show the sums on the op.

    If no file is left for the next op, this op fails with their problems. Several jobs run in threads; a single one
    runs in this thread, where it notices a cancelled run. A file that ran out of memory beside others is repeated
    alone.
    """
    started = monotonic()

    def one(job: ImportJob, *, is_alone: bool = True) -> list[ImportState]:
        states: list[ImportState] = []
        with worker.working_on(job, is_alone=is_alone):
            worker.check(job)
            try:
                states.append(step(job))
            except TooManyRejectedRowsError as error:
                reported, error.reports = _write_reports(job, error.state, (), worker)
                error.codes = reported.codes
                raise
        return states

    if at_once == 1 or len(jobs) == 1:
        results = list(map(one, jobs))
    else:
        in_threads = ordered_map(partial(one, is_alone=False), jobs, at_once=at_once)
        results = [
            one(job) if worker.crowd.had_none(job.id) else result
            for job, result in zip(jobs, in_threads, strict=True)
        ]
    done = list(chain.from_iterable(results))
    if jobs and worker.problems and not done and not is_last:
        table_events.log(context, worker.stores, [], worker.problems.values())
        _remove_states(context, worker)
        raise metadata.failure_of(worker.problems.values())
    context.add_output_metadata(metadata.of_imports(done, monotonic() - started))
    return done


def _remove_states(context: dg.OpExecutionContext, worker: JobHold) -> None:
    """Remove what the ops passed on, unless a job of the run is left to another run.

    After an outage, nightly cleaning does it.
    """
    if all(problem.status is not None for problem in worker.problems.values()):
        with suppress(StoreUnavailableError):
            worker.stores.work.remove(context.run_id)


def _nothing(_: str) -> None:
    pass
