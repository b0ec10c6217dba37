"""Removes what nobody needs any more: work files, debris of broken uploads, and Dagster's oldest runs.

Dagster's own tables grow without bound otherwise. The ledger and the archive are not touched.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg

from bulk_pipeline.errors import NotFoundError
from bulk_pipeline.orchestration import work
from bulk_pipeline.orchestration.stores import Stores

_STALE_UPLOAD = timedelta(days=1)
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_RUNS_AT_ONCE = 500


def remove_work_files(stores: Stores) -> int:
    """Remove the work files of jobs that are final and were left alone for the retention time."""
    root = stores.settings.bulk_work_dir
    left_alone = work.jobs_untouched_for(root, stores.settings.bulk_work_retention_hours * 3600)
    final = [job_id for job_id in left_alone if _is_final(stores, job_id)]
    for job_id in final:
        work.remove_job(root, job_id)
    return len(final)


def abort_broken_uploads(stores: Stores) -> int:
    """Throw away the parts of uploads that broke off, in the buckets that only the pipeline writes to."""
    settings = stores.settings
    ours = (settings.s3_bucket_archive, settings.s3_bucket_reports, settings.s3_bucket_exports)
    return sum(stores.objects.abort_stale_uploads(bucket, older_than=_STALE_UPLOAD) for bucket in ours)


def forget_old_runs(instance: dg.DagsterInstance, days: float) -> int:
    """Remove finished runs that are older, with their events, the oldest first; some hundred at a time."""
    old = dg.RunsFilter(statuses=_FINISHED, created_before=datetime.now(UTC) - timedelta(days=days))
    runs = instance.get_runs(old, limit=_RUNS_AT_ONCE, ascending=True)
    for run in runs:
        instance.delete_run(run.run_id)
    return len(runs)


def _is_final(stores: Stores, job_id: str) -> bool:
    try:
        return stores.ledger.get(job_id).status.is_final
    except NotFoundError:
        return True
