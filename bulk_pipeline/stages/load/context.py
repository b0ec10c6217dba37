"""The table, mode, store and ids that all parts of a load share."""

from dataclasses import dataclass

from bulk_pipeline.arrow.uuids import IdMaker
from bulk_pipeline.schema import Mode, Table
from bulk_pipeline.stages.load.row_store import RowStore


@dataclass(frozen=True)
class LoadContext:
    """One file into one table. `ids`: makes those of new rows."""

    table: Table
    mode: Mode
    store: RowStore
    ids: IdMaker
