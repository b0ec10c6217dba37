"""Good rows -> the table, range by range, each committed whole. Start at `loading`."""

from bulk_pipeline.stages.load.again import write_again
from bulk_pipeline.stages.load.context import LoadContext
from bulk_pipeline.stages.load.loading import load

__all__ = ["LoadContext", "load", "write_again"]
