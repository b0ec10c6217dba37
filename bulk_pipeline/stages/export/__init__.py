"""Rows of a table -> files: lines or Parquet, compressed, cut into parts, each with its checksum. Start at `parts`."""

from bulk_pipeline.stages.export.formats import Compression, Format
from bulk_pipeline.stages.export.layout import Layout
from bulk_pipeline.stages.export.manifest import Manifest
from bulk_pipeline.stages.export.parts import Part, write_file, write_parts

__all__ = ["Compression", "Format", "Layout", "Manifest", "Part", "write_file", "write_parts"]
