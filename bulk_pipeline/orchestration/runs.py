"""Looks up Dagster's runs, reports dead ones, and removes old ones."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from bulk_pipeline.orchestration import run_tags
from bulk_pipeline.pipeline.container import Stores

_WAITING = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_CANCELLED = (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED)
_FORGOTTEN_AT_ONCE = 500


def job_ids(run: dg.DagsterRun, stores: Stores | None = None) -> list[str]:
    """Return the jobs in the config of a run of `import_files`, none for other runs.

    If a person launched the run with `files`, or a run that it repeats, `stores` know the jobs that these became.
    """
    run_config: Any = run.run_config  # its shape is that of the job's ops
    config = run_config.get("ops", {}).get("parse", {}).get("config", {})
    if stores is not None and config.get("files"):
        return stores.ledger.of_run(run.root_run_id or run.run_id)
    return config.get("job_ids", [])


def started(instance: dg.DagsterInstance, job_name: str) -> Iterator[tuple[dg.DagsterRun, datetime]]:
    """Yield the runs of a Dagster job that have started and not ended, with their start times."""
    running = dg.RunsFilter(job_name=job_name, statuses=[dg.DagsterRunStatus.STARTED])
    for record in instance.get_run_records(running):
        since = record.start_time or record.create_timestamp.timestamp()
        yield record.dagster_run, datetime.fromtimestamp(since, UTC)


def newest_tagged(instance: dg.DagsterInstance, tag: str, value: str) -> dg.DagsterRun | None:
    """Return the newest run with the tag, or None."""
    runs = instance.get_runs(dg.RunsFilter(tags={tag: value}), limit=1)
    return runs[0] if runs else None


def is_waiting(run: dg.DagsterRun | None) -> bool:
    """Return True if the run may still begin its work."""
    return run is not None and run.status in _WAITING


def is_cancelled(run: dg.DagsterRun | None) -> bool:
    """Return True if a person stopped the run."""
    return run is not None and run.status in _CANCELLED


def report_dead(instance: dg.DagsterInstance, run_id: str, job_id: str) -> None:
    """Report a run as failed to Dagster, unless it is finished."""
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished:
        instance.report_run_failed(run, f"the run stopped sending heartbeats for job {job_id}")
        run_tags.update(instance, run_id, {run_tags.STATUS: run_tags.INTERRUPTED})


def forget_old(instance: dg.DagsterInstance, days: float) -> int:
    """Remove the oldest finished runs, some hundred at a time; Dagster's tables would otherwise grow without bound."""
    old = dg.RunsFilter(statuses=_FINISHED, created_before=datetime.now(UTC) - timedelta(days=days))
    runs = instance.get_runs(old, limit=_FORGOTTEN_AT_ONCE, ascending=True)
    for run in runs:
        instance.delete_run(run.run_id)
    return len(runs)
