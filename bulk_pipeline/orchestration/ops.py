"""The ops of an import: parse, validate, split, load, emit. Glue: unpack, call a step, report counts.

An op passes every file of its run through one step; what a file's trouble means for its job is decided in `worker`.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import PurePath
from time import monotonic

import dagster as dg
import pyarrow as pa

from bulk_pipeline import tables
from bulk_pipeline.errors import FileError, JobGoneError, StoreUnavailableError
from bulk_pipeline.orchestration import cleaning, metadata, steps
from bulk_pipeline.orchestration.budget import Budget, TooManyRejectedRowsError
from bulk_pipeline.orchestration.materializations import Materializations
from bulk_pipeline.orchestration.staged import FOUND_BEFORE_LOAD, Staged
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.orchestration.worker import Worker
from bulk_pipeline.stages.load.batches import rows_of_a_range
from bulk_pipeline.stages.load.ids import IdMaker
from bulk_pipeline.stages.parse.upload import PARSER_VERSION, open_upload
from bulk_pipeline.stages.report import Reported
from bulk_pipeline.stages.sink import Sink
from bulk_pipeline.stores.jobs import ImportJob
from bulk_pipeline.stores.known_rows import PostgresKnownRows
from bulk_pipeline.stores.references import PostgresReferences
from bulk_pipeline.stores.rows import PostgresRowStore
from bulk_pipeline.stores.settlements import load_failures

_LINK_SECONDS = 7 * 24 * 3600
"""How long the links to reports in the UI work: as long as S3 allows."""

_CONTENT_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".tsv": "text/tab-separated-values; charset=utf-8",
    ".ndjson": "application/x-ndjson",
}

_FILES_TOLD = 10
"""A line of a run's log is a transaction: with more files than that, the sums on the op must do."""
_FILES_AT_ONCE = 4
"""Much of the time with a small file goes into waiting for the stores."""


class ImportConfig(dg.Config):
    """Which jobs of the ledger the run works on."""

    job_ids: list[str]


@dg.op(description="The archived upload to numbered text records; malformed records become failures.")
def parse(
    context: dg.OpExecutionContext, config: ImportConfig, worker: dg.ResourceParam[Worker]
) -> list[Staged]:
    jobs = worker.to_take(config.job_ids)
    return _each(context, worker, jobs, lambda job: _parse_one(job, worker))


@dg.op(description="Text records to typed rows, by the table's pandera schema; broken rules become failures.")
def validate(
    context: dg.OpExecutionContext, parsed: list[Staged], worker: dg.ResourceParam[Worker]
) -> list[Staged]:
    return _pass_on(
        context,
        worker,
        parsed,
        lambda job, staged: steps.validate_rows(staged, worker.work(job), _budget(worker)),
    )


@dg.op(description="Good rows apart from rejected ones: references, and keys used twice in the file.")
def split(
    context: dg.OpExecutionContext, validated: list[Staged], worker: dg.ResourceParam[Worker]
) -> list[Staged]:
    return _pass_on(context, worker, validated, partial(_split_one, worker=worker))


@dg.op(description="Good rows into Postgres, batch by batch, each in one transaction with its ledger row.")
def load(
    context: dg.OpExecutionContext, separated: list[Staged], worker: dg.ResourceParam[Worker]
) -> list[Staged]:
    tell = context.log.info if len(separated) <= _FILES_TOLD else _nothing
    step = partial(_load_one, worker=worker, ids=IdMaker(), tell=tell)
    return _pass_on(context, worker, separated, step, at_once=1)  # in the order in which they arrived


@dg.op(description="Failures to errors.csv, errors.ndjson and the rejected rows; the job's final status.")
def emit(context: dg.OpExecutionContext, loaded: list[Staged], worker: dg.ResourceParam[Worker]) -> None:
    with Materializations(context) as materializations:
        _pass_on(
            context, worker, loaded, partial(_emit_one, worker=worker, materializations=materializations)
        )
    if worker.trouble:
        told = "; ".join(f"job {job_id}: {why}" for job_id, why in worker.trouble.items())
        raise dg.Failure(description=told, metadata={"failed_jobs": len(worker.trouble)}, allow_retries=False)
    with suppress(StoreUnavailableError):
        worker.stores.work.remove(context.run_id)


@dg.op(
    description="Deletes work files of finished jobs, broken uploads, old exports, reports and Dagster's runs; "
    "merges old batches. Archived uploads are deleted if the settings say when."
)
def clean(context: dg.OpExecutionContext, stores: dg.ResourceParam[Stores]) -> None:
    days = stores.settings.bulk_dagster_retention_days
    context.add_output_metadata(
        {
            "jobs_without_work_files": cleaning.remove_work_files(stores),
            "broken_uploads": cleaning.abort_broken_uploads(stores),
            "old_exports": cleaning.remove_old_exports(stores),
            "objects_of_failed_exports": cleaning.remove_export_debris(stores),
            "batches_saved": cleaning.fold_old_batches(stores),
            "old_uploads": cleaning.remove_old_uploads(stores),
            "jobs_with_old_reports": cleaning.remove_old_reports(stores),
            "runs_forgotten": cleaning.forget_old_runs(context.instance, days),
        }
    )


def _parse_one(job: ImportJob, worker: Worker) -> Staged:
    stores, settings, table = worker.stores, worker.stores.settings, tables.get(job.table)
    if job.parser_version not in (None, PARSER_VERSION):
        raise FileError("parser_changed", f"the parser is another one now; start anew: retry job {job.id}")
    work = worker.work(job)
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
            check=partial(worker.check, job),
        )
        stack.callback(upload.close)
        _row_store(job, worker).check_fit(upload.columns, job.mode)
        staged = steps.parse_upload(upload, job.id, job.attempt, table, job.mode, work, _budget(worker))
    batch_rows = rows_of_a_range(
        settings.bulk_batch_rows, staged.rows, stores.work.size_bytes(staged.files["records"])
    )
    noted = stores.attempts.note_parsed(
        job.id,
        job.attempt,
        columns=upload.columns,
        dialect=upload.dialect.as_dict(),
        warnings=upload.warnings,
        total_rows=upload.rows,
        sha256=upload.sha256,
        batch_rows=batch_rows,
        parser_version=PARSER_VERSION,
    )
    return replace(staged, batch_rows=noted.batch_rows)


def _split_one(job: ImportJob, staged: Staged, *, worker: Worker) -> Staged:
    stores, work = worker.stores, worker.work(job)
    if warning := steps.warning_of_keys(staged, work):
        stores.ledger.warn(job.id, warning)
    known = PostgresKnownRows(_row_store(job, worker))
    references = PostgresReferences(stores.postgres, staged.table)
    return steps.split_rows(staged, references, known, work, _budget(worker))


def _load_one(
    job: ImportJob, staged: Staged, *, worker: Worker, ids: IdMaker, tell: Callable[[str], None]
) -> Staged:
    store, work = _row_store(job, worker), worker.work(job)
    known = PostgresKnownRows(store)
    return steps.load_rows(staged, work, store, known, ids, lambda text: tell(f"{job.label}: {text}"))


def _row_store(job: ImportJob, worker: Worker) -> PostgresRowStore:
    stores, table = worker.stores, tables.get(job.table)
    connections = stores.settings.bulk_load_connections
    store = PostgresRowStore(
        stores.postgres,
        table,
        job.id,
        job.attempt,
        connections=connections,
        check=partial(worker.check, job),
    )
    worker.interrupt_by(job, store.interrupt)
    return store


def _emit_one(
    job: ImportJob, staged: Staged, *, worker: Worker, materializations: Materializations
) -> Staged:
    stores, bucket = worker.stores, worker.stores.settings.s3_bucket_reports
    reported, reports = _write_reports(job, staged, load_failures(stores.postgres, job.id), worker)
    try:
        final = stores.attempts.finish(job.id, job.attempt, failure_counts=reported.codes, reports=reports)
    except JobGoneError:
        for key in reports.values():
            stores.objects.remove(bucket, key)
        raise
    worker.finished(final)
    counts = stores.ledger.counts([job.id])[job.id]
    links = {
        name: stores.objects.presigned_url(bucket, key, seconds=_LINK_SECONDS)
        for name, key in reports.items()
    }
    materializations.add(metadata.materialization(final, counts, reported.first, links))
    with suppress(StoreUnavailableError):  # the job is done; what is left of it goes at night
        stores.work.remove(job.id)
    return staged


def _write_reports(
    job: ImportJob, staged: Staged, found_by_load: Iterable[pa.RecordBatch], worker: Worker
) -> tuple[Reported, dict[str, str]]:
    """Write the reports of a job; gives what they say, and the key of each."""
    stores, work = worker.stores, worker.work(job)
    bucket = stores.settings.s3_bucket_reports

    def open_report(name: str) -> AbstractContextManager[Sink]:
        content_type = _CONTENT_TYPES[PurePath(name).suffix]
        return stores.objects.streaming(bucket, f"{job.id}/{name}", content_type=content_type)

    if staged.good < staged.rows:
        stores.attempts.check(job.id, job.attempt)  # nobody would remove the reports of a job that is gone
    found = [staged.batches(work, name) for name in FOUND_BEFORE_LOAD if name in staged.files]
    reported, names = steps.write_job_reports(staged, [*found, found_by_load], open_report, work)
    return reported, {name: f"{job.id}/{name}" for name in names}


def _budget(worker: Worker) -> Budget:
    settings = worker.stores.settings
    return Budget(settings.bulk_max_rejected_rows, settings.bulk_max_report_bytes)


def _pass_on(
    context: dg.OpExecutionContext,
    worker: Worker,
    items: Iterable[Staged],
    step: Callable[[ImportJob, Staged], Staged],
    *,
    at_once: int = _FILES_AT_ONCE,
) -> list[Staged]:
    """Pass what the op before has left of each file through a step."""
    staged = {item.job_id: item for item in items}

    def one(job: ImportJob) -> Staged:
        return step(job, replace(staged[job.id], attempt=job.attempt))

    return _each(context, worker, staged, one, at_once=at_once)


def _each(
    context: dg.OpExecutionContext,
    worker: Worker,
    job_ids: Iterable[str],
    step: Callable[[ImportJob], Staged],
    *,
    at_once: int = _FILES_AT_ONCE,
) -> list[Staged]:
    """Take the jobs that are still ours through a step, in order; show the sums on the op.

    Several at once are in threads. One by itself is in this one, where it hears of it if the run is cancelled.
    """
    started, done = monotonic(), list[Staged]()

    def one(job: ImportJob) -> list[Staged]:
        found: list[Staged] = []
        with worker.working_on(job):
            worker.check(job)
            try:
                found.append(step(job))
            except TooManyRejectedRowsError as error:
                reported, error.reports = _write_reports(job, error.staged, (), worker)
                error.codes = reported.codes
                raise
        return found

    jobs = worker.take(job_ids)
    if at_once == 1 or len(jobs) == 1:
        done += chain.from_iterable(map(one, jobs))
    else:
        with ThreadPoolExecutor(at_once, thread_name_prefix="files") as threads:
            working = [threads.submit(one, job) for job in jobs]
            try:
                done += chain.from_iterable(future.result() for future in working)
            finally:
                threads.shutdown(cancel_futures=True)
    context.add_output_metadata(metadata.of_op(done, monotonic() - started))
    return done


def _nothing(_: str) -> None:
    pass
