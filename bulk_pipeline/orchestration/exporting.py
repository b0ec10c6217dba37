"""One export job, from the lease to the manifest: what the op does, without Dagster.

Whatever ends it early, nothing is left in the bucket that could be taken for an export.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from time import monotonic
from typing import Any

import orjson

from bulk_pipeline.errors import (
    BulkPipelineError,
    JobCancelledError,
    JobFinishedError,
    LeaseLostError,
    NotFoundError,
    SelectionError,
    SettingsError,
    StoreRefusedError,
    StoreUnavailableError,
    UnknownTableError,
    UnwritableValueError,
)
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.schema import Column, ColumnType
from bulk_pipeline.stages.export import manifest
from bulk_pipeline.stages.export.formats import CONTENT_TYPES
from bulk_pipeline.stages.export.layout import Layout
from bulk_pipeline.stages.export.manifest import Manifest
from bulk_pipeline.stages.export.parts import Part, write_file, write_parts
from bulk_pipeline.stages.export.request import Kind
from bulk_pipeline.stores.export_heartbeat import ExportHeartbeat
from bulk_pipeline.stores.export_jobs import ExportJob, export_session
from bulk_pipeline.stores.object_writer import ObjectWriter
from bulk_pipeline.stores.snapshots import Snapshot, Watermark, snapshot

_HOPELESS = (SelectionError, UnknownTableError, UnwritableValueError, StoreRefusedError, SettingsError)
"""What the next attempt would meet again."""
_TELL_SECONDS = 2.0
_DELETED_AT = Column(name="deleted_at", type=ColumnType.TIMESTAMP)


def export_job(
    stores: Stores, job_id: str, run_id: str, tell: Callable[[str], None], was_cancelled: Callable[[], bool]
) -> ExportJob:
    """Do what the job asks for, and give the job as it is afterwards; one that is final already is left alone.

    A job that cannot be done is `failed`. An outage or a bug gives it back for another attempt, and is raised, as
    are `LeaseHeldError`, `LeaseLostError` and `NotFoundError`. `was_cancelled`: whether a person has stopped the run.
    """
    job = stores.export_leases.take(job_id, run_id)
    if job is None:
        job = stores.exports.get(job_id)
        tell(f"export {job.id} is {job.status}: nothing to do")
        return job
    try:
        return _export(stores, job, lambda text: tell(f"{job.label}: {text}"))
    except LeaseLostError:
        if _is_gone(stores, job):
            remove_files(stores, job)  # no later attempt, and no cleaning, would find them
        raise
    except _HOPELESS as error:
        remove_files(stores, job)
        return stores.export_leases.fail(job, str(error))
    except JobCancelledError as error:
        remove_files(stores, job)
        return stores.export_leases.release(job, str(error))
    except BaseException as error:
        _give_back(stores, job, error, was_cancelled())
        raise


def remove_files(stores: Stores, job: ExportJob) -> int:
    """Remove what a job has left in the bucket; from then on no earlier attempt at it can leave anything more."""
    return stores.objects.remove_folder(stores.settings.s3_bucket_exports, job.folder, first=manifest.NAME)


def _export(stores: Stores, job: ExportJob, tell: Callable[[str], None]) -> ExportJob:
    if job.attempt > 1 and (found := _left_behind(stores, job)) is not None:
        tell("the attempt before this one had written everything: only the ledger did not know")
        return stores.export_leases.finish(job, found)
    request, settings = job.request.checked(), stores.settings
    selection, layout = request.selection, request.layout
    with (
        ExportHeartbeat(stores.export_leases, job, seconds=settings.bulk_heartbeat_seconds) as heartbeat,
        snapshot(stores.database_url, export_session(job.id)) as taken,
    ):
        if job.attempt > 1:
            remove_files(stores, job)
        since = _since(stores, job, taken, tell)
        place = _Place(stores, job, layout, heartbeat.check)
        progress = _Telling(heartbeat, tell)
        parts = write_parts(taken.rows(selection, since), layout, job.rows_per_part, place.file, progress)
        deleted = _write_deleted(taken, job, layout, since, place) if since else None
        done = Manifest(
            job_id=job.id,
            folder=f"s3://{settings.s3_bucket_exports}/{job.folder}",
            selection=selection,
            layout=layout,
            parts=tuple(parts),
            snapshot_at=taken.taken_at,
            watermark=taken.watermark.as_dict(),
            since=since.as_dict() if since else None,
            deleted=deleted,
        )
        # Where the answer to the beginning of an upload was lost, it was begun once more.
        stores.objects.abort_uploads(settings.s3_bucket_exports, job.folder)
        heartbeat.check()
        stores.objects.put(
            settings.s3_bucket_exports,
            job.folder + manifest.NAME,
            done.to_json(),
            content_type="application/json",
        )
    return stores.export_leases.finish(job, done.as_dict())


def _left_behind(stores: Stores, job: ExportJob) -> dict[str, Any] | None:
    """The manifest of an attempt that died between writing it and saying so."""
    try:
        with stores.objects.open(stores.settings.s3_bucket_exports, job.folder + manifest.NAME) as stream:
            return orjson.loads(stream.read())
    except NotFoundError:
        return None


def _since(stores: Stores, job: ExportJob, taken: Snapshot, tell: Callable[[str], None]) -> Watermark | None:
    """Where an incremental export begins; None if all rows are to come."""
    if job.kind is Kind.FULL:
        return None
    before = stores.exports.last_good(job)
    if before is None or before.manifest is None:
        tell("there is no export before this one: all rows come")
        return None
    since = Watermark.read(before.manifest["watermark"])
    if not taken.can_compare(since):
        tell(f"what has changed since export {before.id} cannot be told any more: all rows come")
        return None
    tell(f"rows that changed since export {before.id} of {before.manifest['snapshot_at']}")
    return since


def _write_deleted(
    taken: Snapshot, job: ExportJob, layout: Layout, since: Watermark, place: "_Place"
) -> Part | None:
    """The ids of rows that are gone, in a file beside the parts; None if the table does not record them."""
    selection = job.request.selection
    if not taken.records_deletions(job.table):
        return None
    of_ids = Layout((selection.table.column("id"), _DELETED_AT), layout.format, layout.compression)
    name = f"deleted-00000{of_ids.extension}"
    with place.file(name) as sink:
        return write_file(taken.deleted(selection, since), of_ids, sink, name=name)


class _Place:
    """The job's folder in the bucket."""

    def __init__(
        self, stores: Stores, job: ExportJob, layout: Layout, may_complete: Callable[[], None]
    ) -> None:
        self._stores = stores
        self._job = job
        self._content_type = CONTENT_TYPES[layout.format]
        self._may_complete = may_complete

    def file(self, name: str) -> AbstractContextManager[ObjectWriter]:
        return self._stores.objects.writing(
            self._stores.settings.s3_bucket_exports,
            self._job.folder + name,
            content_type=self._content_type,
            may_complete=self._may_complete,
        )


def _is_gone(stores: Stores, job: ExportJob) -> bool:
    """Return whether the job's row is gone from the ledger."""
    try:
        stores.exports.get(job.id)
    except NotFoundError:
        return True
    return False


def _is_ours(stores: Stores, job: ExportJob) -> bool:
    with suppress(JobCancelledError):
        stores.export_leases.beat(job, 0, 0)
    return True


class _Telling:
    """Passes the progress on, and tells of it every few seconds."""

    def __init__(self, heartbeat: ExportHeartbeat, tell: Callable[[str], None]) -> None:
        self._heartbeat = heartbeat
        self._tell = tell
        self._told_at = monotonic()

    def __call__(self, rows: int, size: int) -> None:
        self._heartbeat(rows, size)
        if monotonic() - self._told_at >= _TELL_SECONDS:
            self._told_at = monotonic()
            self._tell(f"{rows:,} rows written, {size / 1_000_000:,.0f} MB")


def _give_back(stores: Stores, job: ExportJob, error: BaseException, is_cancelled: bool) -> None:
    """Whatever cannot be done now, in an outage, the next attempt, the reaper or the nightly cleaning does."""
    with suppress(BulkPipelineError):
        if _is_ours(stores, job):  # or the answer to the last commit got lost, and the export is complete
            remove_files(stores, job)
    with suppress(StoreUnavailableError, LeaseLostError):
        if is_cancelled:
            with suppress(JobFinishedError):
                stores.exports.cancel(job.id)
        stores.export_leases.release(job, str(error) or type(error).__name__)
