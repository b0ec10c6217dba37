"""What the decisions of `resolve` mean for the rows they are about."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema import Table
from bulk_pipeline.stages.load.resolve import Decision, Fate


def of_fate(decisions: Sequence[Decision], fate: Fate) -> np.ndarray:
    """The row numbers of the decisions of one fate."""
    return np.array([decision.row for decision in decisions if decision.fate is fate], np.int64)


def with_forced(rows: pa.Table, decisions: Sequence[Decision]) -> pa.Table:
    """Rows with `_forced`: whether the row differs by a natural key that it has been given already."""
    differing = [decision.row for decision in decisions if decision.differs]
    forced = np.isin(rows["_row"].to_numpy(), np.array(differing, np.int64))
    if "_forced" not in rows.column_names:
        return rows.append_column("_forced", pa.array(forced))
    return with_cells(rows, "_forced", pc.or_(rows["_forced"], pa.array(forced)))


def rekeys(rows: pa.Table, table: Table, decisions: Sequence[Decision]) -> tuple[tuple[str, str], ...]:
    """The natural keys that rows of the table get in the course of the decisions, in their order."""
    moving = {decision.row: str(decision.id) for decision in decisions if decision.rekeys}
    if not moving:
        return ()
    moved = rows.filter(pc.is_in(rows["_row"], value_set=pa.array(list(moving), pa.int64())))
    numbers, keys = moved["_row"].to_pylist(), moved[str(table.natural_key)].to_pylist()
    return tuple((moving[row], key) for row, key in zip(numbers, keys, strict=True))


def identify(rows: pa.Table, decisions: Sequence[Decision]) -> pa.Table:
    """Rows with the ids that the decisions found for them."""
    ids = {decision.row: decision.id for decision in decisions if decision.id is not None}
    if not ids:
        return rows
    if "id" not in rows.column_names:
        rows = rows.append_column("id", pa.nulls(rows.num_rows, pa.string()))
    cells = rows["id"].combine_chunks()
    mask = pc.is_in(rows["_row"].combine_chunks(), value_set=pa.array(list(ids), pa.int64()))
    chosen = [ids[row] for row in rows["_row"].filter(mask).to_pylist()]
    return with_cells(rows, "id", pc.replace_with_mask(cells, mask, pa.array(chosen, cells.type)))


def with_cells(rows: pa.Table, name: str, cells: pa.Array) -> pa.Table:
    """Rows with other cells in one column."""
    return rows.set_column(rows.column_names.index(name), name, cells)


def where(rows: pa.Table, mask: np.ndarray) -> pa.Table:
    """The rows where `mask` is true; without a copy where that is all of them."""
    if mask.all():
        return rows
    return rows.filter(pa.array(mask)) if mask.any() else rows.slice(0, 0)
