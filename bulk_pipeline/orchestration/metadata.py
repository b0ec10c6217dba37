"""Op metadata and asset materializations of imports and exports, for Dagster's UI."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import dagster as dg
import pyarrow as pa

from bulk_pipeline.ledger.export_jobs import ExportJob
from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.import_state import ImportState
from bulk_pipeline.pipeline.job_hold import Problem
from bulk_pipeline.printable import printable
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline.stages.export.manifest import NAME

_LINK_SECONDS = 7 * 24 * 3600
"""Validity of links to reports and manifests: the longest that S3 allows."""
_FAILURE_LINES = 20
"""Most files that the text of a failure names."""


def table_key(table: str) -> dg.AssetKey:
    """Return the key of a table's asset."""
    return dg.AssetKey(["postgres", table])


def inbox_key(table: str) -> dg.AssetKey:
    """Return the key of the asset of a table's inbox."""
    return dg.AssetKey(["uploads", table])


def export_key(table: str) -> dg.AssetKey:
    """Return the key of the asset of a table's exports."""
    return dg.AssetKey(["exports", table])


def of_imports(states: Sequence[ImportState], seconds: float) -> dict[str, Any]:
    """Return the sums over the files of a run, as metadata of an op."""
    rows = sum(state.rows for state in states)
    rejected = rows - sum(state.good for state in states)
    return {
        "files": len(states),
        "rows": rows,
        "good": rows - rejected,
        "rejected": rejected,
        **_error_rate(rejected, rows),
        **_speed(rows, seconds),
    }


def of_check(files: int, rows: int, rejected: int, first: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the results of a dry run, with its first failures, as metadata of an op."""
    values: dict[str, Any] = {"files": files, "rows": rows, "good": rows - rejected, "rejected": rejected}
    if first:
        values["first_failures"] = dg.MetadataValue.table(
            [dg.TableRecord(_without_nulls(row)) for row in first]
        )
    return values


def of_exports(jobs: Sequence[ExportJob]) -> dict[str, Any]:
    """Return the sums over the exports of a run, as metadata of its op."""
    return {"exports": len(jobs), **_written(jobs)}


def import_materialization(
    stores: Stores, job: ImportJob, counts: Counts, first: pa.RecordBatch, reports: Mapping[str, str]
) -> dg.AssetMaterialization:
    """Return the materialization of a table by one file: counts, which the UI plots, first failures, and links."""
    total, outcomes = counts.total or 0, asdict(counts)
    del outcomes["total"]
    values: dict[str, Any] = {
        "job_id": job.id,
        "file": job.key,
        "mode": str(job.mode),
        "status": str(job.status),
        "rows": total,
        **outcomes,
        **_error_rate(counts.rejected, total),
        **_speed(total, job.seconds or 0.0),
    }
    if job.warnings:
        values["warnings"] = dg.MetadataValue.json(job.warnings)
    for name, key in reports.items():
        values[name] = _link(stores, stores.settings.s3_bucket_reports, key)
    if first.num_rows:
        values["first_failures"] = dg.MetadataValue.table(
            records=[dg.TableRecord(_without_nulls(failure)) for failure in first.to_pylist()]
        )
    return dg.AssetMaterialization(asset_key=table_key(job.table), metadata=values)


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
        "manifest": _link(stores, stores.settings.s3_bucket_exports, job.folder + NAME),
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
    records = [
        dg.TableRecord(
            {
                "file": printable(problem.job.file_name),
                "reason": problem.reason,
                "to do": problem.remedy,
                "job": problem.job.id,
            }
        )
        for problem in problems
    ]
    return failure("\n".join(lines), failed_jobs=len(problems), failed_files=dg.MetadataValue.table(records))


def failure(sentence: str, **entries: Any) -> dg.Failure:
    """Return the failure of an op for a reason that a retry does not change, with metadata."""
    return dg.Failure(description=sentence, metadata=entries, allow_retries=False)


def _written(jobs: Sequence[ExportJob]) -> dict[str, Any]:
    rows, seconds = sum(job.rows_written for job in jobs), sum(job.seconds or 0.0 for job in jobs)
    return {"rows": rows, "bytes": sum(job.bytes_written for job in jobs), **_speed(rows, seconds)}


def _error_rate(rejected: int, rows: int) -> dict[str, float]:
    return {"error_rate": rejected / rows if rows else 0.0}


def _speed(rows: int, seconds: float) -> dict[str, float]:
    return {"seconds": round(seconds, 3), "rows_per_second": round(rows / seconds) if seconds else 0}


def _link(stores: Stores, bucket: str, key: str) -> dg.MetadataValue:
    return dg.MetadataValue.url(stores.objects.presigned_url(bucket, key, seconds=_LINK_SECONDS))


def _without_nulls(failure: dict[str, Any]) -> dict[str, Any]:
    return {name: "" if value is None else value for name, value in failure.items()}
