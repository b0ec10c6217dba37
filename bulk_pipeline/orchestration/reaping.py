"""Finds what died on the way: runs with jobs, and requests whose runs never came.

The default launcher does not notice when a run's process dies together with its parent, so the ledger's leases tell.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import dagster as dg

from bulk_pipeline.errors import JobFinishedError, JobGoneError, StoreUnavailableError
from bulk_pipeline.orchestration import runs
from bulk_pipeline.orchestration.jobs import import_files
from bulk_pipeline.orchestration.run_process import RunProcess
from bulk_pipeline.orchestration.stores import Stores

RUN_KEY_TAG = "dagster/run_key"


def reap_dead_runs(stores: Stores, instance: dg.DagsterInstance) -> Iterator[str]:
    """Give back the jobs of runs that have been silent for too long; tells of each.

    The run is reported as failed, which also frees its place in the queue. A run that a person has cancelled takes
    its jobs with it.
    """
    for lease in stores.leases.expired():
        runs.report_dead(instance, lease.run_id, lease.job_id)
        if runs.is_cancelled(instance.get_run_by_id(lease.run_id)):
            _cancel(stores, lease.job_id)
        is_crash = lease.process is not None and RunProcess.read(lease.process).died_alone()
        job = stores.leases.reap(lease, error=f"run {lease.run_id} died", is_crash=is_crash)
        if job is not None:
            if job.status.is_final:
                with suppress(StoreUnavailableError):  # what stays goes at night
                    stores.work.remove(job.id)
            yield f"run {lease.run_id} died with job {job.id}, which is {job.status} now"


def end_silent_runs(stores: Stores, instance: dg.DagsterInstance, older_than: timedelta) -> Iterator[str]:
    """Report runs as failed that have started and worked on nothing for so long: they died before they took their
    jobs, or after they finished them. They would keep a place in the queue for ever.
    """
    for run, since in runs.started(instance, import_files.name):
        if stores.leases.is_silent(run.run_id, runs.job_ids(run), since=since, older_than=older_than):
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
        run = runs.newest_tagged(instance, RUN_KEY_TAG, job.group_id or "")
        if runs.is_cancelled(run):
            _cancel(stores, job.id)
            yield f"the run for job {job.id} was cancelled before it started, and so is the job"
        elif not runs.is_waiting(run) and stores.leases.forget_request(job):
            yield f"the run for job {job.id} never started: another one will be asked for"


def _cancel(stores: Stores, job_id: str) -> None:
    with suppress(JobFinishedError, JobGoneError):
        stores.ledger.cancel(job_id)
