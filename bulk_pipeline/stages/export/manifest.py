"""`manifest.json`: what an export holds, written after everything else, so that its being there means: complete."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

import orjson

from bulk_pipeline.schema import Selection
from bulk_pipeline.stages.export.layout import Layout
from bulk_pipeline.stages.export.parts import Part

NAME = "manifest.json"
VERSION = 1
"""Version of the manifest. New fields may be added without a new version."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """`folder`: an s3:// URL that ends with a slash, under which the parts are.

    `watermark`: what the next incremental export has to know of this one's snapshot. `since`: the watermark this
    one begins at; None if it is a full one, all rows. `deleted`: the ids of rows deleted since, if that is recorded.
    """

    job_id: str
    folder: str
    selection: Selection
    layout: Layout
    parts: tuple[Part, ...]
    snapshot_at: datetime
    watermark: Mapping[str, str]
    since: Mapping[str, str] | None = None
    deleted: Part | None = None

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    @property
    def total_bytes(self) -> int:
        return sum(part.bytes for part in self.parts)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they stand in the file."""
        layout, selection = self.layout, self.selection
        return {
            "manifest": VERSION,
            "product": f"bulk-pipeline {version('bulk-pipeline')}",
            "job_id": self.job_id,
            "table": selection.table.upload_name,
            "kind": "full" if self.since is None else "incremental",
            "format": str(layout.format),
            "compression": str(layout.compression),
            "for_spreadsheets": layout.for_spreadsheets,
            "columns": [{"name": column.name, "type": str(column.type)} for column in layout.columns],
            "filters": [str(filter_) for filter_ in selection.filters],
            "order": [str(order) for order in selection.order],
            "snapshot_at": self.snapshot_at.isoformat(),
            "watermark": dict(self.watermark),
            "since": None if self.since is None else dict(self.since),
            "rows": self.rows,
            "bytes": self.total_bytes,
            "folder": self.folder,
            "parts": [asdict(part) for part in self.parts],
            "deleted": asdict(self.deleted) if self.deleted else None,
        }

    def to_json(self) -> bytes:
        return orjson.dumps(self.as_dict(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
