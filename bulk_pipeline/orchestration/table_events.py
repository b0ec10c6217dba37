"""The events of a run on the assets of its tables: a materialization, an observation of failed files, a check.

Each table has one event of a kind for a run, not one for each file: the UI plots the last hundred events.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import dagster as dg
import pyarrow as pa

from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.orchestration import metadata
from bulk_pipeline.orchestration.asset_keys import EVERY_ROW_ACCEPTED, table_key
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.job_hold import Problem
from bulk_pipeline.printable import printable
from bulk_pipeline.stages.counts import COUNTERS, Counts

_SHOWN = 100
"""Most rows of a table in an event."""


@dataclass(frozen=True)
class ImportedFile:
    """A job that the run has finished. `first` are its first failures."""

    job: ImportJob
    counts: Counts
    first: pa.RecordBatch


def log(
    context: dg.OpExecutionContext,
    stores: Stores,
    files: Sequence[ImportedFile],
    problems: Iterable[Problem],
) -> None:
    """Log the events of a run on the assets of its tables, and a warning about rejected rows.

    A table is materialized if rows of a file may have changed it. A failed file leaves an observation.
    """
    problems = list(problems)
    for table in sorted({file.job.table for file in files} | {problem.job.table for problem in problems}):
        ours = [file for file in files if file.job.table == table]
        failed = [problem for problem in problems if problem.job.table == table]
        if loaded := [file for file in ours if file.job.status is not Status.FAILED]:
            context.log_event(
                dg.AssetMaterialization(asset_key=table_key(table), metadata=_entries(stores, loaded))
            )
        if failed:
            refused = [file for file in ours if file.job.status is Status.FAILED]
            entries = metadata.of_problems(failed) | (_entries(stores, refused) if refused else {})
            context.log_event(dg.AssetObservation(asset_key=table_key(table), metadata=entries))
        # Dagster (1.13.27) takes evaluations here, and does not say so in the type.
        context.log_event(evaluation(table, ours, failed))  # pyright: ignore[reportArgumentType]
    if rejecting := [file for file in files if file.counts.rejected]:
        context.log.warning(_rejects(rejecting))


def evaluation(
    table: str, files: Sequence[ImportedFile], failed: Sequence[Problem]
) -> dg.AssetCheckEvaluation:
    """Return whether every row of every file was accepted: rejected rows are a warning, a failed file an error."""
    rows, rejected = _sum(files, "total"), _sum(files, "rejected")
    if failed:
        text = failed[0].sentence + (f" And {len(failed) - 1} more files failed." if len(failed) > 1 else "")
    else:
        text = f"{rejected:,} of {rows:,} rows rejected ({rejected / rows if rows else 0:.2%})"
    return dg.AssetCheckEvaluation(
        asset_key=table_key(table),
        check_name=EVERY_ROW_ACCEPTED,
        passed=not (failed or rejected),
        severity=dg.AssetCheckSeverity.ERROR if failed else dg.AssetCheckSeverity.WARN,
        description=text,
        metadata={
            "rows": rows,
            "rejected": rejected,
            "failed_files": len(failed),
            **metadata.error_rate(rejected, rows),
        },
    )


def _entries(stores: Stores, files: Sequence[ImportedFile]) -> dict[str, Any]:
    """Return the sums of the files, which the UI plots, first failures and, of a single file, links to its reports."""
    rows = _sum(files, "total")
    outcomes = {name: _sum(files, name) for name in (*COUNTERS, *_further(files))}
    values: dict[str, Any] = _single(stores, files[0]) if len(files) == 1 else _several(files)
    values |= {"rows": rows, **outcomes, **metadata.error_rate(outcomes["rejected"], rows)}
    values |= metadata.speed(rows, _seconds(files))
    first = [
        ({"file": printable(file.job.file_name)} if len(files) > 1 else {}) | failure
        for file in files
        for failure in file.first.to_pylist()
    ]
    if first:
        values["first_failures"] = metadata.table(first[:_SHOWN])
    return values


def _single(stores: Stores, file: ImportedFile) -> dict[str, Any]:
    job = file.job
    values: dict[str, Any] = {
        "file": job.key,
        "mode": str(job.mode),
        "status": str(job.status),
        "job_id": job.id,
    }
    if job.warnings:
        values["warnings"] = dg.MetadataValue.json(job.warnings)
    links = {
        name: metadata.link(stores, stores.settings.s3_bucket_reports, key)
        for name, key in job.reports.items()
    }
    return values | links


def _several(files: Sequence[ImportedFile]) -> dict[str, Any]:
    """Return the number of files, and a table of them: those with rejected rows first."""
    worst_first = sorted(files, key=lambda file: -file.counts.rejected)
    return {
        "files": len(files),
        "mode": ", ".join(sorted({str(file.job.mode) for file in files})),
        "per_file": metadata.table(
            {
                "file": printable(file.job.file_name),
                "status": str(file.job.status),
                "rows": file.counts.total or 0,
                "rejected": file.counts.rejected,
                "job": file.job.id,
            }
            for file in worst_first[:_SHOWN]
        ),
    }


def _rejects(files: Sequence[ImportedFile]) -> str:
    """Return a sentence about the files with rejected rows, the worst first."""
    worst_first = sorted(files, key=lambda file: -file.counts.rejected)
    named = [
        f"{printable(file.job.file_name)} ({file.counts.rejected:,} of {file.counts.total or 0:,} rows)"
        for file in worst_first[:10]
    ]
    others = f" and {len(files) - 10} more files" if len(files) > 10 else ""
    return f"rejected rows: {', '.join(named)}{others}; see errors.csv of each job"


def _further(files: Sequence[ImportedFile]) -> list[str]:
    return [name for name in asdict(files[0].counts) if name not in (*COUNTERS, "total")]


def _sum(files: Sequence[ImportedFile], name: str) -> int:
    return sum(getattr(file.counts, name) or 0 for file in files)


def _seconds(files: Sequence[ImportedFile]) -> float:
    """Return the seconds from the first start to the last end."""
    started = [file.job.started_at for file in files if file.job.started_at]
    finished = [file.job.finished_at for file in files if file.job.finished_at]
    return (max(finished) - min(started)).total_seconds() if started and finished else 0.0
