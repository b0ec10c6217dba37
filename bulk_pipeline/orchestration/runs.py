"""What Dagster knows of a run, as the ledgers need it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg

_WAITING = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)
_CANCELLED = (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED)


def job_ids(run: dg.DagsterRun) -> list[str]:
    """The jobs that a run of `import_files` was asked to work on; none for other runs."""
    config: Any = run.run_config  # its shape is that of the job's ops
    return config.get("ops", {}).get("parse", {}).get("config", {}).get("job_ids", [])


def started(instance: dg.DagsterInstance, job_name: str) -> Iterator[tuple[dg.DagsterRun, datetime]]:
    """The runs of a Dagster job that have started and not ended, and since when."""
    running = dg.RunsFilter(job_name=job_name, statuses=[dg.DagsterRunStatus.STARTED])
    for record in instance.get_run_records(running):
        since = record.start_time or record.create_timestamp.timestamp()
        yield record.dagster_run, datetime.fromtimestamp(since, UTC)


def newest_tagged(instance: dg.DagsterInstance, tag: str, value: str) -> dg.DagsterRun | None:
    """The newest run with the tag."""
    found = instance.get_runs(dg.RunsFilter(tags={tag: value}), limit=1)
    return found[0] if found else None


def is_waiting(run: dg.DagsterRun | None) -> bool:
    """Whether it may still begin its work."""
    return run is not None and run.status in _WAITING


def is_cancelled(run: dg.DagsterRun | None) -> bool:
    """Whether a person has stopped it."""
    return run is not None and run.status in _CANCELLED


def report_dead(instance: dg.DagsterInstance, run_id: str, job_id: str) -> None:
    """Tell Dagster that a run is over, unless it knows."""
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished:
        instance.report_run_failed(run, f"the run stopped sending heartbeats for job {job_id}")
