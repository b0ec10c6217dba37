"""How counts and failures look in the Dagster UI: op metadata and asset materializations."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import pyarrow as pa

from bulk_pipeline.orchestration.staged import Staged
from bulk_pipeline.stores.jobs import Counts, ImportJob


def table_key(table: str) -> dg.AssetKey:
    """The asset that stands for a table."""
    return dg.AssetKey(["postgres", table])


def inbox_key(table: str) -> dg.AssetKey:
    """The asset that stands for what is dropped for a table."""
    return dg.AssetKey(["uploads", table])


def of_op(done: Sequence[Staged], seconds: float) -> dict[str, Any]:
    """The sums over the files of a run, for the op that has just passed them on."""
    rows = sum(staged.rows for staged in done)
    good = sum(staged.good for staged in done)
    return {
        "files": len(done),
        "rows": rows,
        "good": good,
        "rejected": rows - good,
        "error_rate": (rows - good) / rows if rows else 0.0,
        "seconds": round(seconds, 3),
        "rows_per_second": round(rows / seconds) if seconds else 0,
    }


def materialization(
    job: ImportJob, counts: Counts, first: pa.RecordBatch, links: dict[str, str]
) -> dg.AssetMaterialization:
    """One file on its table: counts that the UI plots over time, the first failures, links to the reports."""
    total, seconds = counts.total or 0, job.seconds or 0.0
    found: dict[str, Any] = {
        "job_id": job.id,
        "file": job.key,
        "mode": str(job.mode),
        "status": str(job.status),
        "rows": total,
        "inserted": counts.inserted,
        "updated": counts.updated,
        "unchanged": counts.unchanged,
        "superseded": counts.superseded,
        "rejected": counts.rejected,
        "error_rate": counts.rejected / total if total else 0.0,
        "seconds": round(seconds, 3),
        "rows_per_second": round(total / seconds) if seconds else 0,
    }
    if job.warnings:
        found["warnings"] = dg.MetadataValue.json(job.warnings)
    found |= {name: dg.MetadataValue.url(link) for name, link in links.items()}
    if first.num_rows:
        found["first_failures"] = dg.MetadataValue.table(
            records=[dg.TableRecord(_shown(failure)) for failure in first.to_pylist()]
        )
    return dg.AssetMaterialization(asset_key=table_key(job.table), metadata=found)


def _shown(failure: dict[str, Any]) -> dict[str, Any]:
    return {name: "" if value is None else value for name, value in failure.items()}
