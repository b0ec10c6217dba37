"""Finds exports that died on the way, and requests whose runs never came; like `reaping`, for the other ledger."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import dagster as dg

from bulk_pipeline.errors import JobFinishedError
from bulk_pipeline.orchestration import runs
from bulk_pipeline.orchestration.exporting import remove_files
from bulk_pipeline.orchestration.jobs import export_table, nightly_export
from bulk_pipeline.orchestration.stores import Stores

EXPORT_TAG = "bulk/export_id"


def reap_dead_runs(stores: Stores, instance: dg.DagsterInstance) -> Iterator[str]:
    """Give back the exports of runs that have been silent for too long; tells of each.

    What the last attempt has left goes here; what another one has left, when the next attempt begins, which first
    looks whether it was complete.
    """
    for job in stores.export_leases.expired():
        run_id = job.run_id or ""
        runs.report_dead(instance, run_id, job.id)
        if runs.is_cancelled(instance.get_run_by_id(run_id)):
            _cancel(stores, job.id)
        reaped = stores.export_leases.reap(job, f"run {run_id} died")
        if reaped is not None:
            if reaped.status.is_final:
                remove_files(stores, reaped)
            yield f"run {run_id} died with export {job.id}, which is {reaped.status} now"


def end_silent_runs(stores: Stores, instance: dg.DagsterInstance, older_than: timedelta) -> Iterator[str]:
    """Report runs as failed that have started and done nothing for an export for so long: they died between two."""
    for job in (export_table, nightly_export):
        for run, since in runs.started(instance, job.name):
            if stores.exports.is_silent(run.run_id, since=since, older_than=older_than):
                instance.report_run_failed(
                    run, "the run has no export to work on, and does not end: it must have died"
                )
                yield f"run {run.run_id} died without an export"


def forget_lost_requests(
    stores: Stores, instance: dg.DagsterInstance, older_than: timedelta
) -> Iterator[str]:
    """Let runs be asked for again that never came; exports whose run a person has cancelled in the queue end."""
    for job in stores.exports.overdue(older_than=older_than):
        run = _run_of(instance, job.id, job.run_id)
        if runs.is_cancelled(run):
            _cancel(stores, job.id)
            yield f"the run for export {job.id} was cancelled before it started, and so is the export"
        elif not runs.is_waiting(run):
            stores.exports.forget_request(job.id)
            yield f"the run for export {job.id} never started: another one will be asked for"


def _run_of(instance: dg.DagsterInstance, job_id: str, run_id: str | None) -> dg.DagsterRun | None:
    """The newest run that was asked for, or the one that asked itself."""
    asked = runs.newest_tagged(instance, EXPORT_TAG, job_id)
    return asked or (instance.get_run_by_id(run_id) if run_id else None)


def _cancel(stores: Stores, job_id: str) -> None:
    with suppress(JobFinishedError):
        stores.exports.cancel(job_id)
