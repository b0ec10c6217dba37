"""Good rows -> the table, range by range, each committed whole. Start at `loading`.

`search` decides whether a row is new, the same, changed or in conflict; `resolve` does it for rows that depend on each
other. `prepare` makes a range ready, `write` writes it, `fallback` isolates the rows that the database refuses, and
`again` writes the rows whose fate changes by that.
"""

from bulk_pipeline.stages.load.again import write_again
from bulk_pipeline.stages.load.context import LoadContext
from bulk_pipeline.stages.load.loading import load

__all__ = ["LoadContext", "load", "write_again"]
