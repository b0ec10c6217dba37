"""What an import must come to: a benchmark of wrong results is worthless, so each is checked."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from bulk_pipeline.bench.choices import LoadMode
from bulk_pipeline.bench.workload import Workload
from bulk_pipeline.errors import WrongResultError
from bulk_pipeline.samples.sample import Expected
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stores.jobs import Counts, ImportJob, final_status


@dataclass(frozen=True)
class Outcome:
    """Counts of a finished job, and its failures by code."""

    counts: Counts
    failures: Mapping[str, int]


def outcome(workload: Workload, expected: Expected) -> Outcome:
    """From what the sample must come to in an empty table to what it must come to in this workload."""
    total, superseded, rejected = expected.rows, expected.superseded, expected.rejected
    if workload.mode is LoadMode.REIMPORT:
        counts = Counts(total=total, rejected=total)
        return Outcome(counts, {**expected.codes, str(Code.ALREADY_EXISTS): expected.inserted})
    if workload.mode is LoadMode.REIMPORT_UPSERT:
        counts = Counts(total=total, unchanged=expected.inserted, superseded=superseded, rejected=rejected)
    elif workload.mode is LoadMode.UPSERT_EXISTING:
        updated = workload.sample.good_rows
        inserted = expected.inserted - updated
        counts = Counts(
            total=total, inserted=inserted, updated=updated, superseded=superseded, rejected=rejected
        )
    else:
        counts = Counts(total=total, inserted=expected.inserted, superseded=superseded, rejected=rejected)
    return Outcome(counts, dict(expected.codes))


def check(job: ImportJob, counts: Counts, wanted: Outcome) -> None:
    """`WrongResultError` unless the job came, at its first attempt, to exactly what is wanted."""
    status = final_status(wanted.counts)
    if (job.status, job.attempt) != (status, 1):
        raise WrongResultError(
            f"{job.key}: {job.status} at attempt {job.attempt}, must be {status} at attempt 1: {job.error}"
        )
    if counts != wanted.counts:
        raise WrongResultError(f"{job.key}: {asdict(counts)}, must be {asdict(wanted.counts)}")
    if job.failure_counts != wanted.failures:
        raise WrongResultError(f"{job.key}: failures {job.failure_counts}, must be {dict(wanted.failures)}")


def check_content(table: str, found: tuple[int, int], expected: Expected) -> None:
    """Compare number of rows and checksum of the table afterwards."""
    wanted = (expected.inserted, expected.checksum)
    if found != wanted:
        raise WrongResultError(f"table {table}: {found} rows and checksum, must be {wanted}")
