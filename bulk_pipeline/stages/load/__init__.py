"""Good rows -> the table, range by range, each committed whole. Start at `loading`."""

from bulk_pipeline.stages.load.loading import load

__all__ = ["load"]
