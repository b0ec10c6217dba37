"""Metadata of ops, failures and exports for Dagster's UI, and the parts of which it is made."""

from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg

from bulk_pipeline.ledger.export_jobs import ExportJob
from bulk_pipeline.orchestration.asset_keys import export_key
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.import_state import ImportState
from bulk_pipeline.pipeline.job_hold import Problem
from bulk_pipeline.printable import printable
from bulk_pipeline.stages.export.manifest import NAME

_LINK_SECONDS = 7 * 24 * 3600
"""Validity of links to reports and manifests: the longest that S3 allows."""
_FAILURE_LINES = 20
"""Most files that the text of a failure names."""


def of_imports(states: Sequence[ImportState], seconds: float) -> dict[str, Any]:
    """Return the sums over the files of a run, as metadata of an op."""
    rows = sum(state.rows for state in states)
    rejected = rows - sum(state.good for state in states)
    return {
        "files": len(states),
        "rows": rows,
        "good": rows - rejected,
        "rejected": rejected,
        **error_rate(rejected, rows),
        **speed(rows, seconds),
    }


def of_check(files: int, rows: int, rejected: int, first: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the results of a dry run, with its first failures, as metadata of an op."""
    values: dict[str, Any] = {"files": files, "rows": rows, "good": rows - rejected, "rejected": rejected}
    if first:
        values["first_failures"] = table(first)
    return values


def of_exports(jobs: Sequence[ExportJob]) -> dict[str, Any]:
    """Return the sums over the exports of a run, as metadata of its op."""
    return {"exports": len(jobs), **_written(jobs)}


def export_materialization(stores: Stores, job: ExportJob) -> dg.AssetMaterialization:
    """Return the materialization of an export: counts, which the UI plots, and a link to the manifest."""
    manifest = job.manifest or {}
    values: dict[str, Any] = _written([job]) | {
        "job_id": job.id,
        "kind": manifest["kind"],
        "format": str(job.format),
        "compression": str(job.compression),
        "folder": manifest["folder"],
        "parts": len(manifest["parts"]),
        "snapshot_at": manifest["snapshot_at"],
        "dagster/row_count": job.rows_written,
        "dagster/uri": manifest["folder"],
        "manifest": link(stores, stores.settings.s3_bucket_exports, job.folder + NAME),
    }
    if filters := job.words.filters:
        values["filters"] = ", ".join(filters)
    return dg.AssetMaterialization(
        asset_key=export_key(job.table), metadata=values, partition=job.partition_date.isoformat()
    )


def failure_of(problems: Iterable[Problem]) -> dg.Failure:
    """Return the failure of an op: a line for each file with what is wrong and what to do, and all as a table."""
    problems = sorted(problems, key=lambda problem: (problem.job.arrived_at, problem.job.id))
    lines = [problem.sentence for problem in problems[:_FAILURE_LINES]]
    if len(problems) > _FAILURE_LINES:
        lines.append(f"and {len(problems) - _FAILURE_LINES} more files, in the table of failed files")
    return failure("\n".join(lines), **of_problems(problems))


def of_problems(problems: Sequence[Problem]) -> dict[str, Any]:
    """Return a table of failed files as metadata."""
    records = [
        {
            "file": printable(problem.job.file_name),
            "reason": problem.reason,
            "to do": problem.remedy,
            "job": problem.job.id,
        }
        for problem in problems
    ]
    return {"failed_jobs": len(problems), "failed_files": table(records)}


def failure(sentence: str, **entries: Any) -> dg.Failure:
    """Return the failure of an op for a reason that a retry does not change, with metadata."""
    return dg.Failure(description=sentence, metadata=entries, allow_retries=False)


def _written(jobs: Sequence[ExportJob]) -> dict[str, Any]:
    rows, seconds = sum(job.rows_written for job in jobs), sum(job.seconds or 0.0 for job in jobs)
    return {"rows": rows, "bytes": sum(job.bytes_written for job in jobs), **speed(rows, seconds)}


def error_rate(rejected: int, rows: int) -> dict[str, float]:
    """Return the share of rejected rows."""
    return {"error_rate": rejected / rows if rows else 0.0}


def speed(rows: int, seconds: float) -> dict[str, float]:
    """Return the seconds and the rows per second."""
    return {"seconds": round(seconds, 3), "rows_per_second": round(rows / seconds) if seconds else 0}


def link(stores: Stores, bucket: str, key: str) -> dg.MetadataValue:
    """Return a link to an object that is valid for a week."""
    return dg.MetadataValue.url(stores.objects.presigned_url(bucket, key, seconds=_LINK_SECONDS))


def table(records: Iterable[dict[str, Any]]) -> dg.TableMetadataValue:
    """Return a table whose cells show untrusted texts unchanged, unlike Markdown."""
    return dg.MetadataValue.table([dg.TableRecord(_without_nulls(record)) for record in records])


def _without_nulls(failure: dict[str, Any]) -> dict[str, Any]:
    return {name: "" if value is None else value for name, value in failure.items()}
