"""Data to try things with: files for every table, good and bad, and what must come of them."""

from bulk_pipeline.samples.checksum import checksum, checksum_sql
from bulk_pipeline.samples.defects import Format
from bulk_pipeline.samples.sample import Expected, Sample

__all__ = ["Expected", "Format", "Sample", "checksum", "checksum_sql"]
