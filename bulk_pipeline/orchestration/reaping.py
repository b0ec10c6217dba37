"""Finds what died on the way: runs with jobs, and requests whose runs never came.

The default launcher does not notice when a run's process dies together with its parent, so the ledger's leases tell.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from bulk_pipeline.errors import JobFinishedError
from bulk_pipeline.orchestration.jobs import import_files
from bulk_pipeline.orchestration.stores import Stores

RUN_KEY_TAG = "dagster/run_key"
_WAITING = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)


def reap_dead_runs(stores: Stores, instance: dg.DagsterInstance) -> Iterator[str]:
    """Give back the jobs of runs that have been silent for too long; tells of each.

    The run is reported as failed, which also frees its place in the queue. A run that a person has cancelled takes
    its jobs with it.
    """
    for lease in stores.leases.expired():
        report_dead(instance, lease.run_id, lease.job_id)
        if is_cancelled(instance.get_run_by_id(lease.run_id)):
            _cancel(stores, lease.job_id)
        job = stores.leases.reap(lease, error=f"run {lease.run_id} died")
        if job is not None:
            yield f"run {lease.run_id} died with job {job.id}, which is {job.status} now"


def end_silent_runs(stores: Stores, instance: dg.DagsterInstance, older_than: timedelta) -> Iterator[str]:
    """Report runs as failed that have started and worked on nothing for so long: they died before they took their
    jobs, or after they finished them. They would keep a place in the queue for ever.
    """
    started = dg.RunsFilter(job_name=import_files.name, statuses=[dg.DagsterRunStatus.STARTED])
    for record in instance.get_run_records(started):
        run = record.dagster_run
        since = datetime.fromtimestamp(record.start_time or record.create_timestamp.timestamp(), UTC)
        if stores.leases.is_silent(run.run_id, _jobs_of(run), since=since, older_than=older_than):
            instance.report_run_failed(
                run, "the run has no job to work on, and does not end: it must have died"
            )
            yield f"run {run.run_id} died without a job"


def forget_lost_requests(
    stores: Stores, instance: dg.DagsterInstance, older_than: timedelta
) -> Iterator[str]:
    """Let runs be asked for again that never came, or ended before they took their jobs.

    The jobs of a run that a person has cancelled in the queue are cancelled.
    """
    for job in stores.leases.unstarted(older_than=older_than):
        run = _run_of_group(instance, job.group_id)
        if is_cancelled(run):
            _cancel(stores, job.id)
            yield f"the run for job {job.id} was cancelled before it started, and so is the job"
        elif not is_waiting(run) and stores.leases.forget_request(job):
            yield f"the run for job {job.id} never started: another one will be asked for"


def _jobs_of(run: dg.DagsterRun) -> list[str]:
    ops: Any = run.run_config["ops"]  # as sensors write it; Dagster types it as object
    return ops["parse"]["config"]["job_ids"]


def report_dead(instance: dg.DagsterInstance, run_id: str, job_id: str) -> None:
    """Tell Dagster that a run is over, unless it knows."""
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished:
        instance.report_run_failed(run, f"the run stopped sending heartbeats for job {job_id}")


def _run_of_group(instance: dg.DagsterInstance, group_id: str | None) -> dg.DagsterRun | None:
    found = instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: group_id or ""}), limit=1)
    return found[0] if found else None


def is_waiting(run: dg.DagsterRun | None) -> bool:
    """Whether it may still begin its work."""
    return run is not None and run.status in _WAITING


def is_cancelled(run: dg.DagsterRun | None) -> bool:
    """Whether a person has stopped it."""
    return run is not None and run.status in (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED)


def _cancel(stores: Stores, job_id: str) -> None:
    with suppress(JobFinishedError):
        stores.ledger.cancel(job_id)
