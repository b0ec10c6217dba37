"""Removes work files, parts of interrupted uploads, old exports and old reports.

Jobs stay in the ledger forever, and uploads unless the settings limit their retention.
"""

import tempfile
from datetime import timedelta
from pathlib import Path

from bulk_pipeline.errors import NotFoundError
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.export_run import remove_files
from bulk_pipeline.settings import S3Folder
from bulk_pipeline.stages.parse import spool

_GIVEN_UP_WITHIN = timedelta(days=2)
"""Since the cleaning is nightly, each job is checked at least once."""
_OLD_CHECK = timedelta(days=1)
STALE_UPLOAD = timedelta(days=1)
"""Age from which on an incomplete upload counts as interrupted."""


def remove_work_files(stores: Stores) -> int:
    """Remove the work files of final jobs, and of runs, that have not changed for the retention time."""
    unchanged = stores.work.untouched_for(stores.settings.bulk_work_retention_hours * 3600)
    final = [owner for owner in unchanged if _is_final(stores, owner)]
    for owner in final:
        stores.work.remove(owner)
    return len(final)


def remove_abandoned_parses(stores: Stores) -> int:
    """Remove temporary folders of dead parsers on this machine, for example of `bulk-pipeline parse`."""
    seconds = stores.settings.bulk_work_retention_hours * 3600
    return spool.remove_abandoned(Path(tempfile.gettempdir()), seconds)


def abort_broken_uploads(stores: Stores) -> int:
    """Remove the parts of interrupted uploads from the places to which only the pipeline writes."""
    settings = stores.settings
    ours = (settings.s3_bucket_archive, settings.s3_bucket_reports, settings.s3_bucket_exports)
    folders = [S3Folder(bucket) for bucket in ours]
    if settings.s3_bucket_logs:
        folders.append(S3Folder(settings.s3_bucket_logs))
    if isinstance(settings.bulk_work_dir, S3Folder):
        folders.append(settings.bulk_work_dir)
    return sum(
        stores.objects.abort_uploads(folder.bucket, folder.key(""), older_than=STALE_UPLOAD)
        for folder in folders
    )


def remove_old_exports(stores: Stores) -> int:
    """Remove the files of expired exports, but never those of the last full export or of later ones."""
    old = stores.exports.past_retention(timedelta(days=stores.settings.bulk_export_retention_days))
    for job in old:
        remove_files(stores, job)
        stores.exports.files_removed(job.id)
    return len(old)


def remove_export_debris(stores: Stores) -> int:
    """Remove objects that failed exports left because the bucket was unavailable; return the number of objects."""
    return sum(remove_files(stores, job) for job in stores.exports.given_up(_GIVEN_UP_WITHIN))


def remove_old_checks(stores: Stores) -> int:
    """Remove the checks that are older than a day, with their files; return their number."""
    old = stores.file_checks.older_than(_OLD_CHECK)
    for check in old:
        stores.objects.remove(stores.settings.s3_bucket_archive, check.object_key)
        stores.file_checks.remove(check.id)
    return len(old)


def remove_old_messages(stores: Stores) -> int:
    """Remove messages that were sent or given up before the retention time of the ledger; return their number."""
    return stores.outbox.forget(timedelta(days=stores.settings.bulk_ledger_retention_days))


def fold_old_batches(stores: Stores) -> int:
    """Merge the batches of old finished jobs into sums; return the number of batches removed."""
    return stores.retention.fold_batches(timedelta(days=stores.settings.bulk_ledger_retention_days))


def remove_old_uploads(stores: Stores) -> int:
    """Remove uploads from the archive after their retention time, if one is set; return their number."""
    days = stores.settings.bulk_archive_retention_days
    return stores.retention.remove_archived(timedelta(days=days)) if days else 0


def remove_old_reports(stores: Stores) -> int:
    """Remove expired reports; return the number of their jobs."""
    return stores.retention.remove_reports(timedelta(days=stores.settings.bulk_report_retention_days))


def _is_final(stores: Stores, owner: str) -> bool:
    """Return True if the owner of the files is a final job, or a run, which needs its files only while it works."""
    try:
        return stores.ledger.get(owner).status.is_final
    except NotFoundError:
        return True
