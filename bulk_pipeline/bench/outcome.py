"""The result that an import must have. Each is checked, because the time of a wrong result is worthless."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import assert_never

from bulk_pipeline.bench.choices import LoadMode
from bulk_pipeline.bench.workload import Workload
from bulk_pipeline.errors import WrongResultError
from bulk_pipeline.ledger.jobs import ImportJob, final_status
from bulk_pipeline.samples.sample import Expected
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline.stages.failures import Code


@dataclass(frozen=True)
class Outcome:
    """Counts of a finished job, and its failures by code."""

    counts: Counts
    failures: Mapping[str, int]


def outcome(workload: Workload, expected: Expected) -> Outcome:
    """Return the outcome in this workload. `expected`: the sample's result in an empty table."""
    total, superseded, rejected = expected.rows, expected.superseded, expected.rejected
    codes = dict(expected.codes)
    match workload.mode:
        case LoadMode.INSERT_ONLY | LoadMode.UPSERT:
            counts = Counts(total=total, inserted=expected.inserted, superseded=superseded, rejected=rejected)
        case LoadMode.UPSERT_EXISTING:
            updated = workload.sample.good_rows
            inserted = expected.inserted - updated
            counts = Counts(
                total=total, inserted=inserted, updated=updated, superseded=superseded, rejected=rejected
            )
        case LoadMode.REIMPORT:
            counts = Counts(total=total, rejected=total)
            repeated = codes.pop(str(Code.DUPLICATE_IN_FILE), 0)  # of rows that exist, and so claim no key
            codes[str(Code.ALREADY_EXISTS)] = expected.inserted + repeated
        case LoadMode.REIMPORT_UPSERT:
            counts = Counts(
                total=total, unchanged=expected.inserted, superseded=superseded, rejected=rejected
            )
        case other:
            assert_never(other)
    return Outcome(counts, codes)


def check(job: ImportJob, counts: Counts, wanted: Outcome) -> None:
    """Raise `WrongResultError` unless the job has exactly this outcome, at its first attempt."""
    status = final_status(wanted.counts)
    if (job.status, job.attempt) != (status, 1):
        raise WrongResultError(
            f"{job.key}: {job.status} at attempt {job.attempt}, must be {status} at attempt 1: {job.error}"
        )
    if counts != wanted.counts:
        raise WrongResultError(f"{job.key}: {asdict(counts)}, must be {asdict(wanted.counts)}")
    if job.failure_counts != wanted.failures:
        raise WrongResultError(f"{job.key}: failures {job.failure_counts}, must be {dict(wanted.failures)}")


def check_content(table: str, content: tuple[int, int], expected: Expected) -> None:
    """Raise `WrongResultError` unless the table has the expected number of rows and checksum."""
    wanted = (expected.inserted, expected.checksum)
    if content != wanted:
        raise WrongResultError(f"table {table}: rows and checksum are {content}, must be {wanted}")
