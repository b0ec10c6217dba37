"""Runs one export job from its lease to its manifest, without Dagster.

If the job ends early, for any reason, the bucket has no files that could be mistaken for an export.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any

import orjson

from bulk_pipeline.errors import (
    BulkPipelineError,
    JobCancelledError,
    JobGoneError,
    LeaseLostError,
    NotFoundError,
    SelectionError,
    SettingsError,
    StoreRefusedError,
    UnknownTableError,
    UnwritableValueError,
)
from bulk_pipeline.ledger.export_jobs import ExportJob, export_session
from bulk_pipeline.ledger.heartbeat import Heartbeat
from bulk_pipeline.ledger.leases import Lease
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.progress import Progress
from bulk_pipeline.rows.snapshots import Snapshot, Watermark, snapshot
from bulk_pipeline.s3.writer import ObjectWriter
from bulk_pipeline.schema import Column, ColumnType, Selection
from bulk_pipeline.stages.export import manifest
from bulk_pipeline.stages.export.layout import Layout
from bulk_pipeline.stages.export.manifest import Manifest
from bulk_pipeline.stages.export.parts import Part, write_file, write_parts
from bulk_pipeline.stages.export.request import Kind

_HOPELESS = (SelectionError, UnknownTableError, UnwritableValueError, StoreRefusedError, SettingsError)
"""Errors that the next attempt would raise again."""
_DELETED_AT = Column(name="deleted_at", type=ColumnType.TIMESTAMP)


def export_job(
    stores: Stores, job_id: str, run_id: str, tell: Callable[[str], None], was_cancelled: Callable[[], bool]
) -> ExportJob:
    """Run the job unless it is final, and return it as it is afterwards.

    A job that cannot be done becomes `failed`. An outage or a bug returns the job for another attempt, and is raised,
    as are `LeaseHeldError`, `LeaseLostError` and `NotFoundError`. `was_cancelled` returns True if a person stopped the
    run.
    """
    leases = stores.export_leases.take([job_id], run_id)
    if not leases:
        job = stores.exports.get(job_id)
        tell(f"export {job.id} is {job.status}: nothing to do")
        return job
    (lease,) = leases
    job = lease.job
    try:
        return _export(stores, lease, lambda text: tell(f"{job.label}: {text}"))
    except JobGoneError as error:
        remove_files(stores, job)  # no later attempt, and no cleaning, would find them
        raise LeaseLostError(f"export {job.id} is gone from the ledger") from error
    except LeaseLostError:
        raise
    except _HOPELESS as error:
        remove_files(stores, job)
        return stores.exports.fail(job, str(error))
    except JobCancelledError as error:
        remove_files(stores, job)
        return stores.export_leases.release(lease, error=str(error))
    except BaseException as error:
        _give_back(stores, lease, error, was_cancelled())
        raise


def remove_files(stores: Stores, job: ExportJob) -> int:
    """Remove the job's files from the bucket, after which no earlier attempt can add any; return their number."""
    return stores.objects.remove_folder(stores.settings.s3_bucket_exports, job.folder, first=manifest.NAME)


def _export(stores: Stores, lease: Lease[ExportJob], tell: Callable[[str], None]) -> ExportJob:
    job = lease.job
    if job.attempt > 1 and (complete := _complete_manifest(stores, job)) is not None:
        tell("the attempt before this one had written everything: only the ledger did not know")
        return stores.exports.finish(job, complete)
    request, settings = job.request, stores.settings
    selection, layout = request.selection, request.layout
    written = (0, 0)

    def note_progress(held: Iterable[Lease[ExportJob]]) -> None:
        for lease in held:
            stores.exports.note_progress(lease.job, *written)

    heartbeat = Heartbeat(
        stores.export_leases, [lease], seconds=settings.bulk_heartbeat_seconds, on_beat=note_progress
    )
    confirm = partial(heartbeat.confirm, job.id)
    with (
        heartbeat,
        heartbeat.hearing(job.id),
        snapshot(stores.database_url, export_session(job.id)) as source,
    ):
        heartbeat.interrupt_by(job.id, source.interrupt)
        if job.attempt > 1:
            remove_files(stores, job)
        since = _since(stores, job, source, tell)
        place = _Place(stores, job, layout, confirm)
        progress = Progress(tell)

        def note_written(rows: int, size: int) -> None:
            nonlocal written
            written = (rows, size)
            heartbeat.check(job.id)
            progress(f"{rows:,} rows written, {size / 1_000_000:,.0f} MB")

        parts = write_parts(
            source.rows(selection, since), layout, job.rows_per_part, place.file, note_written
        )
        deleted = _write_deleted(source, selection, layout, since, place) if since else None
        done = Manifest(
            job_id=job.id,
            folder=f"s3://{settings.s3_bucket_exports}/{job.folder}",
            selection=selection,
            layout=layout,
            parts=tuple(parts),
            snapshot_at=source.taken_at,
            watermark=source.watermark.as_dict(),
            since=since.as_dict() if since else None,
            deleted=deleted,
        )
        # An upload whose first answer was lost has been started twice.
        stores.objects.abort_uploads(settings.s3_bucket_exports, job.folder)
        confirm()
        stores.objects.put(
            settings.s3_bucket_exports,
            job.folder + manifest.NAME,
            done.to_json(),
            content_type="application/json",
        )
    return stores.exports.finish(job, done.as_dict())


def _complete_manifest(stores: Stores, job: ExportJob) -> dict[str, Any] | None:
    """Return the manifest of an earlier attempt that died before it recorded its end, or None."""
    try:
        with stores.objects.open(stores.settings.s3_bucket_exports, job.folder + manifest.NAME) as stream:
            return orjson.loads(stream.read())
    except NotFoundError:
        return None


def _since(stores: Stores, job: ExportJob, source: Snapshot, tell: Callable[[str], None]) -> Watermark | None:
    """Return the watermark where an incremental export begins, or None if it has all rows."""
    if job.kind is Kind.FULL:
        return None
    before = stores.exports.last_good(job)
    if before is None or before.manifest is None:
        tell("there is no export before this one: all rows come")
        return None
    since = Watermark.read(before.manifest["watermark"])
    if not source.can_compare(since):
        tell(f"what has changed since export {before.id} cannot be told any more: all rows come")
        return None
    tell(f"rows that changed since export {before.id} of {before.manifest['snapshot_at']}")
    return since


def _write_deleted(
    source: Snapshot, selection: Selection, layout: Layout, since: Watermark, place: "_Place"
) -> Part | None:
    """The ids of rows that are gone, in a file beside the parts; None if the table does not record them."""
    if not source.records_deletions(selection.table):
        return None
    of_ids = Layout((selection.table.column("id"), _DELETED_AT), layout.format, layout.compression)
    name = f"deleted-00000{of_ids.extension}"
    with place.file(name) as sink:
        return write_file(source.deleted(selection, since), of_ids, sink, name=name)


class _Place:
    """The job's folder in the bucket."""

    def __init__(
        self, stores: Stores, job: ExportJob, layout: Layout, may_complete: Callable[[], None]
    ) -> None:
        self._stores = stores
        self._job = job
        self._content_type = layout.format.facts.content_type
        self._may_complete = may_complete

    def file(self, name: str) -> AbstractContextManager[ObjectWriter]:
        return self._stores.objects.writing(
            self._stores.settings.s3_bucket_exports,
            self._job.folder + name,
            content_type=self._content_type,
            may_complete=self._may_complete,
        )


def _give_back(stores: Stores, lease: Lease[ExportJob], error: BaseException, is_cancelled: bool) -> None:
    """Remove the files and release the job; after an outage, the next attempt, reaper or nightly cleaning does."""
    with suppress(BulkPipelineError):
        news = stores.export_leases.renew([lease])
        is_complete = lease.job_id in news.ended  # only the answer to the last commit was lost
        if not is_complete and lease.job_id not in news.lost:
            remove_files(stores, lease.job)
    reason = str(error) or type(error).__name__
    stores.export_leases.give_back(lease, error=reason, is_cancelled=is_cancelled)
