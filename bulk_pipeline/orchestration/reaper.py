"""Finds runs that died, with their imports or exports, and requested runs that never started.

The default launcher does not notice when a run's process dies together with its parent. The leases show it.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Generic

import dagster as dg

from bulk_pipeline.errors import JobFinishedError, JobGoneError, StoreUnavailableError
from bulk_pipeline.ledger.export_jobs import ExportJob
from bulk_pipeline.ledger.job_table import J
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.ledger.leases import Leases
from bulk_pipeline.orchestration import run_tags, runs
from bulk_pipeline.orchestration.jobs import export_table, import_files, nightly_export
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.export_run import remove_files
from bulk_pipeline.pipeline.run_process import RunProcess

RUN_KEY_TAG = "dagster/run_key"


@dataclass(frozen=True)
class _Kind(Generic[J]):
    """One kind of job, as the reaper handles it.

    `works` are the Dagster jobs whose runs work on it. `newest_run` returns the run that was requested last for a job,
    `remove_files` removes the files of an attempt.
    """

    leases: Leases[J]
    works: tuple[dg.JobDefinition, ...]
    newest_run: Callable[[J], dg.DagsterRun | None]
    remove_files: Callable[[J], object]

    @property
    def noun(self) -> str:
        return self.leases.jobs.noun

    def cancel(self, job_id: str) -> None:
        with suppress(JobFinishedError, JobGoneError):
            self.leases.cancel(job_id)


def reap_dead_runs(stores: Stores, instance: dg.DagsterInstance) -> Iterator[str]:
    """Put jobs with expired leases back into the queue; yield a sentence for each.

    The run is reported as failed, which also frees its place in Dagster's queue. The jobs of a run that a person
    cancelled are cancelled. The files of an attempt are removed here if the job is final, else by the next attempt.
    """
    for kind in _kinds(stores, instance):
        for lease in kind.leases.expired():
            runs.report_dead(instance, lease.run_id, lease.job_id)
            if runs.is_cancelled(instance.get_run_by_id(lease.run_id)):
                kind.cancel(lease.job_id)
            is_crash = lease.process is not None and RunProcess.read(lease.process).died_alone()
            job = kind.leases.reap(lease, error=f"run {lease.run_id} died", is_crash=is_crash)
            if job is not None:
                if job.status.is_final:
                    with suppress(StoreUnavailableError):  # nightly cleaning removes the rest
                        kind.remove_files(job)
                yield f"run {lease.run_id} died with {kind.noun} {job.id}, which is {job.status} now"


def end_silent_runs(stores: Stores, instance: dg.DagsterInstance, older_than: timedelta) -> Iterator[str]:
    """Report runs as failed that have started and have had no job for `older_than`; yield a sentence for each.

    They died before, between or after their jobs, and would keep a place in Dagster's queue forever.
    """
    for kind in _kinds(stores, instance):
        article = "an" if kind.noun[0] in "aeiou" else "a"
        for run, since in (entry for work in kind.works for entry in runs.started(instance, work.name)):
            if kind.leases.is_silent(run.run_id, runs.job_ids(run), since=since, older_than=older_than):
                why = f"the run has no {kind.noun} to work on, and does not end: it must have died"
                instance.report_run_failed(run, why)
                run_tags.update(instance, run.run_id, {run_tags.STATUS: run_tags.INTERRUPTED})
                yield f"run {run.run_id} died without {article} {kind.noun}"


def forget_lost_requests(
    stores: Stores, instance: dg.DagsterInstance, older_than: timedelta
) -> Iterator[str]:
    """Let another run be requested for jobs whose run never started, or ended before it took them.

    Yields a sentence for each. The jobs of a run that a person cancelled in the queue are cancelled.
    """
    for kind in _kinds(stores, instance):
        for job in kind.leases.overdue(older_than=older_than):
            run, subject = kind.newest_run(job), f"the run for {kind.noun} {job.id}"
            if runs.is_cancelled(run):
                kind.cancel(job.id)
                yield f"{subject} was cancelled before it started, and so is the {kind.noun}"
            elif not runs.is_waiting(run) and kind.leases.forget_request(job):
                yield f"{subject} never started: another one will be asked for"


def _kinds(stores: Stores, instance: dg.DagsterInstance) -> tuple[_Kind[Any], ...]:  # each of its own type
    return (
        _Kind[ImportJob](
            stores.leases,
            (import_files,),
            lambda job: runs.newest_tagged(instance, RUN_KEY_TAG, job.group_id or ""),
            lambda job: stores.work.remove(job.id),
        ),
        _Kind[ExportJob](
            stores.export_leases,
            (export_table, nightly_export),
            partial(_run_of_export, instance),
            partial(remove_files, stores),
        ),
    )


def _run_of_export(instance: dg.DagsterInstance, job: ExportJob) -> dg.DagsterRun | None:
    """Return the newest run that was requested for an export, or the run that created the export."""
    requested = runs.newest_tagged(instance, run_tags.EXPORT_ID, job.id)
    return requested or (instance.get_run_by_id(job.run_id) if job.run_id else None)
