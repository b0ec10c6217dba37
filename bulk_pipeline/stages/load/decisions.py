"""Applies the decisions of `resolve` to their rows."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema import Table
from bulk_pipeline.stages.key_cells import first_keys, sayings
from bulk_pipeline.stages.load.resolve import Decision, Fate
from bulk_pipeline.stages.load.row_store import Rekey


def of_fate(decisions: Sequence[Decision], fate: Fate) -> np.ndarray:
    """The row numbers of the decisions of one fate."""
    return np.array([decision.row for decision in decisions if decision.fate is fate], np.int64)


def with_forced(rows: pa.Table, decisions: Sequence[Decision]) -> pa.Table:
    """Return `rows` with a boolean column `_forced`: True if the stored row has already been given this row's key
    columns, so that it counts as changed even if nothing else differs."""
    differing = [decision.row for decision in decisions if decision.differs]
    forced = np.isin(rows["_row"].to_numpy(), np.array(differing, np.int64))
    if "_forced" not in rows.column_names:
        return rows.append_column("_forced", pa.array(forced))
    return with_cells(rows, "_forced", pc.or_(rows["_forced"], pa.array(forced)))


def rekeys(rows: pa.Table, table: Table, decisions: Sequence[Decision]) -> tuple[Rekey, ...]:
    """The key columns that stored rows get in the course of the decisions, in their order."""
    moving = pa.array([decision.row for decision in decisions if decision.rekeys], pa.int64())
    if not len(moving):
        return ()
    moved = rows.filter(pc.is_in(rows["_row"], value_set=moving))
    keys = first_keys(moved, table).tolist()
    return tuple(
        Rekey(table.keys[number], cells) for number, cells in zip(keys, sayings(moved, table), strict=True)
    )


def with_cells(rows: pa.Table, name: str, cells: pa.Array) -> pa.Table:
    """Rows with other cells in one column."""
    return rows.set_column(rows.column_names.index(name), name, cells)


def where(rows: pa.Table, mask: np.ndarray) -> pa.Table:
    """The rows where `mask` is true; without a copy where that is all of them."""
    if mask.all():
        return rows
    return rows.filter(pa.array(mask)) if mask.any() else rows.slice(0, 0)
