"""Removes what nobody needs any more: work files, debris of broken uploads, old exports, Dagster's oldest runs.

Dagster's own tables grow without bound otherwise. Jobs stay in the ledger for ever, and uploads unless the
settings say how long.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg

from bulk_pipeline.errors import NotFoundError
from bulk_pipeline.orchestration.exporting import remove_files
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.settings import S3Folder

_GIVEN_UP_WITHIN = timedelta(days=2)
"""The cleaning is nightly: each job is looked at at least once."""
_STALE_UPLOAD = timedelta(days=1)
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_RUNS_AT_ONCE = 500


def remove_work_files(stores: Stores) -> int:
    """Remove the work files of jobs that are final, and of runs, if they were left alone for the retention time."""
    left_alone = stores.work.untouched_for(stores.settings.bulk_work_retention_hours * 3600)
    final = [owner for owner in left_alone if _is_final(stores, owner)]
    for owner in final:
        stores.work.remove(owner)
    return len(final)


def abort_broken_uploads(stores: Stores) -> int:
    """Throw away the parts of uploads that broke off, in the places that only the pipeline writes to."""
    settings = stores.settings
    ours = (settings.s3_bucket_archive, settings.s3_bucket_reports, settings.s3_bucket_exports)
    folders = [S3Folder(bucket) for bucket in ours]
    if isinstance(settings.bulk_work_dir, S3Folder):
        folders.append(settings.bulk_work_dir)
    return sum(
        stores.objects.abort_uploads(folder.bucket, folder.key(""), older_than=_STALE_UPLOAD)
        for folder in folders
    )


def remove_old_exports(stores: Stores) -> int:
    """Remove the files of exports whose time is over; never those of the last full one, nor of any after it."""
    old = stores.exports.past_retention(timedelta(days=stores.settings.bulk_export_retention_days))
    for job in old:
        remove_files(stores, job)
        stores.exports.files_removed(job.id)
    return len(old)


def remove_export_debris(stores: Stores) -> int:
    """Remove what exports that failed have left, if the bucket was away when they did; gives how many objects."""
    return sum(remove_files(stores, job) for job in stores.exports.given_up(_GIVEN_UP_WITHIN))


def fold_old_batches(stores: Stores) -> int:
    """Keep the sums of jobs that are long finished, not their batches; gives how many batches that saves."""
    return stores.retention.fold_batches(timedelta(days=stores.settings.bulk_ledger_retention_days))


def remove_old_uploads(stores: Stores) -> int:
    """Remove uploads from the archive whose time is over, if any is set."""
    days = stores.settings.bulk_archive_retention_days
    return stores.retention.remove_archived(timedelta(days=days)) if days else 0


def remove_old_reports(stores: Stores) -> int:
    """Remove reports whose time is over; gives how many jobs had some."""
    return stores.retention.remove_reports(timedelta(days=stores.settings.bulk_report_retention_days))


def forget_old_runs(instance: dg.DagsterInstance, days: float) -> int:
    """Remove finished runs that are older, with their events, the oldest first; some hundred at a time."""
    old = dg.RunsFilter(statuses=_FINISHED, created_before=datetime.now(UTC) - timedelta(days=days))
    runs = instance.get_runs(old, limit=_RUNS_AT_ONCE, ascending=True)
    for run in runs:
        instance.delete_run(run.run_id)
    return len(runs)


def _is_final(stores: Stores, owner: str) -> bool:
    """Whether no job that is still to be done owns the files. A run needs its own only while it goes on."""
    try:
        return stores.ledger.get(owner).status.is_final
    except NotFoundError:
        return True
