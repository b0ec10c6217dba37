"""One import through the stack: put a file into the bucket, and wait until its job and its run have ended."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bulk_pipeline.bench.harness import Rig
from bulk_pipeline.errors import StackError
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.stack.graphql import ask
from bulk_pipeline.stages.counts import Counts

_POLL_SECONDS = 0.2
_WAIT_SECONDS = 180
_SLOWEST_ROWS_PER_SECOND = 1000
_FINAL = {"SUCCESS", "FAILURE", "CANCELED"}
_RUN = """query ($id: ID!) {
  runOrError(runId: $id) { ... on Run { status stepStats { stepKey startTime endTime } } }
}"""


@dataclass(frozen=True)
class ImportTiming:
    """A finished job. `dropped_at`: time at which the upload was complete. `step_seconds`: by op of its run."""

    job: ImportJob
    counts: Counts
    dropped_at: datetime
    step_seconds: Mapping[str, float]

    @property
    def claim_seconds(self) -> float:
        """Seconds from the ledger row to the archived copy."""
        return between(self.job.created_at, self.job.claimed_at)


def import_file(rig: Rig, key: str, file: Path, *, rows: int) -> ImportTiming:
    """Drop the file and wait for its end. Raises `StackError` if that takes far too long."""
    bucket = rig.stores.settings.s3_bucket_uploads
    with file.open("rb") as stream:
        rig.stores.objects.upload(bucket, key, stream)
    return follow(rig, key, datetime.now(UTC), rows=rows)


def follow(rig: Rig, key: str, dropped_at: datetime, *, rows: int) -> ImportTiming:
    """Wait for the job of a dropped object, and for its run."""
    bucket = rig.stores.settings.s3_bucket_uploads
    job = finished(lambda: rig.stores.ledger.newest_of_object(bucket, key), key, rows=rows)
    counts = rig.stores.ledger.counts([job.id])[job.id]
    return ImportTiming(job, counts, dropped_at, step_seconds(rig, job))


def finished(find: Callable[[], ImportJob | None], name: str, *, rows: int) -> ImportJob:
    """Return the job that `find` finds, once it is final. Raises `StackError` if that takes far too long."""
    seconds = _WAIT_SECONDS + rows / _SLOWEST_ROWS_PER_SECOND
    deadline = time.monotonic() + seconds
    while True:
        job = find()
        if job is not None and job.status.is_final:
            return job
        if time.monotonic() > deadline:
            raise StackError(f"{name}: {job.status if job else 'unseen'} after {seconds:.0f} s")
        time.sleep(_POLL_SECONDS)


def step_seconds(rig: Rig, job: ImportJob) -> dict[str, float]:
    """Return the seconds of each op, once the run has ended: a running one would disturb the next measurement."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        run = ask(rig.dagster_url, _RUN, {"id": job.run_id})["runOrError"]
        if run.get("status") in _FINAL:
            return {
                step["stepKey"]: round(step["endTime"] - step["startTime"], 3)
                for step in run["stepStats"]
                if step["startTime"] and step["endTime"]
            }
        if time.monotonic() > deadline:
            raise StackError(f"run {job.run_id} has not ended {_WAIT_SECONDS} s after its job: {run}")
        time.sleep(_POLL_SECONDS)


def between(start: datetime | None, end: datetime | None) -> float:
    """Return the seconds between the times. Raises `StackError` if one of them is missing."""
    if start is None or end is None:
        raise StackError("a job lacks the time of one of its steps")
    return round((end - start).total_seconds(), 4)
