"""How exports look in the Dagster UI: op metadata and asset materializations."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.stages.export.manifest import NAME
from bulk_pipeline.stores.export_jobs import ExportJob

_LINK_SECONDS = 7 * 24 * 3600
"""How long links work: as long as S3 allows."""


def export_key(table: str) -> dg.AssetKey:
    """The asset that stands for what is exported of a table."""
    return dg.AssetKey(["exports", table])


def of_jobs(done: Sequence[ExportJob]) -> dict[str, Any]:
    """The sums over the exports of a run, for its op."""
    rows, seconds = sum(job.rows_written for job in done), sum(job.seconds or 0.0 for job in done)
    return {
        "exports": len(done),
        "rows": rows,
        "bytes": sum(job.bytes_written for job in done),
        "seconds": round(seconds, 3),
        "rows_per_second": round(rows / seconds) if seconds else 0,
    }


def materialization(stores: Stores, job: ExportJob) -> dg.AssetMaterialization:
    """One export on its asset: counts that the UI plots over time, and a link to the manifest."""
    link = stores.objects.presigned_url(
        stores.settings.s3_bucket_exports, job.folder + NAME, seconds=_LINK_SECONDS
    )
    manifest = job.manifest or {}
    found: dict[str, Any] = of_jobs([job]) | {
        "job_id": job.id,
        "kind": manifest["kind"],
        "format": str(job.format),
        "compression": str(job.compression),
        "folder": manifest["folder"],
        "parts": len(manifest["parts"]),
        "snapshot_at": manifest["snapshot_at"],
        "manifest": dg.MetadataValue.url(link),
    }
    del found["exports"]
    if job.filters:
        found["filters"] = ", ".join(job.filters)
    return dg.AssetMaterialization(
        asset_key=export_key(job.table), metadata=found, partition=job.partition_date.isoformat()
    )
