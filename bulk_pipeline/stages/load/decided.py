"""What the decisions of `resolve` mean for the rows they are about."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema import Table
from bulk_pipeline.stages.load.resolve import Decision, Fate
from bulk_pipeline.stages.load.search import made_columns


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


def identify(rows: pa.Table, table: Table, decisions: Sequence[Decision]) -> pa.Table:
    """Rows with the ids, and the values of columns the database makes, that the decisions found for them."""
    given: dict[str, Mapping[int, object]] = {}
    given["id"] = {d.row: d.id for d in decisions if d.id is not None and d.fate is not Fate.CONFLICT}
    for place, name in enumerate(made_columns(table)):
        given[name] = {d.row: d.made[place] for d in decisions if d.made and d.made[place] is not None}
    for name, values in given.items():
        if not values or (name not in rows.column_names and name != "id"):
            continue
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.nulls(rows.num_rows, pa.string()))
        cells = rows[name].combine_chunks()
        mask = pc.is_in(rows["_row"].combine_chunks(), value_set=pa.array(list(values), pa.int64()))
        chosen = [values[row] for row in rows["_row"].filter(mask).to_pylist()]
        rows = with_cells(rows, name, pc.replace_with_mask(cells, mask, pa.array(chosen, cells.type)))
    return rows


def with_cells(rows: pa.Table, name: str, cells: pa.Array) -> pa.Table:
    """Rows with other cells in one column."""
    return rows.set_column(rows.column_names.index(name), name, cells)


def where(rows: pa.Table, mask: np.ndarray) -> pa.Table:
    """The rows where `mask` is true; without a copy where that is all of them."""
    if mask.all():
        return rows
    return rows.filter(pa.array(mask)) if mask.any() else rows.slice(0, 0)
