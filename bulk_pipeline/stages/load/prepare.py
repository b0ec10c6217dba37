"""Makes the good rows of a range ready to be written: parted, sorted, every new row with an id."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema import ColumnType, Mode, Table
from bulk_pipeline.stages.load.decided import identify, of_fate, rekeys, where, with_cells, with_forced
from bulk_pipeline.stages.load.ids import IdMaker
from bulk_pipeline.stages.load.resolve import Decision, Fate
from bulk_pipeline.stages.load.row_store import Range
from bulk_pipeline.stages.load.search import Verdict, Verdicts
from bulk_pipeline.stages.load.unsaid import completed, incomplete_rows
from bulk_pipeline.stages.split import refusals

_SORTED_BYTES = 64_000_000
"""Sorting copies the rows; a larger range is written as it comes, so that memory stays flat."""


@dataclass(frozen=True)
class Batch:
    """The rows of one range, by what is to be done with them.

    `inserts`: with ids. `by_id`, `by_key`: changes of rows that are found by that column and known to differ.
    `resolved`: rows found by id, which may turn out to be as they are. `rekeys`: ids and natural keys to give
    to rows of the table first, in order. `same`, `superseded`: how many. `failures`: those of rejected rows.
    `pending`: all the rows to be written once more, as the file has them. Rows that decisions are about have
    the id of the row they mean, and `_forced` says that they differ from it by a natural key given before.
    """

    range: Range
    inserts: pa.Table
    by_id: pa.Table
    by_key: pa.Table
    resolved: pa.Table
    rekeys: tuple[tuple[str, str], ...]
    same: int
    superseded: int
    failures: pa.RecordBatch
    pending: pa.Table


def prepare(
    range_: Range,
    rows: pa.Table,
    table: Table,
    mode: Mode,
    verdicts: Verdicts,
    ids: IdMaker,
    now: Callable[[], datetime],
) -> Batch:
    """Part the good rows of a range. `now`: for NULL in the columns that the database makes."""
    key = table.natural_key or "id"
    numbers = rows["_row"].to_numpy()
    codes = verdicts.codes[numbers]
    decisions = [verdicts.decisions[row] for row in numbers[codes == Verdict.RESOLVED].tolist()]
    rows = with_forced(identify(completed(rows, table, decisions, verdicts.sources), decisions), decisions)
    new = (codes == Verdict.NEW) | np.isin(numbers, of_fate(decisions, Fate.INSERT))
    resolved = np.isin(numbers, of_fate(decisions, Fate.UPDATE))
    changed = codes == Verdict.CHANGED
    identified = _has_id(rows)
    return Batch(
        range=range_,
        inserts=insertable(_sorted(where(rows, new), "id" if identified.any() else key), table, ids, now),
        by_id=_sorted(where(rows, changed & identified), "id"),
        by_key=_sorted(where(rows, changed & ~identified), key),
        resolved=where(rows, resolved),
        rekeys=rekeys(rows, table, decisions),
        same=int((codes == Verdict.SAME).sum()),
        superseded=int((codes == Verdict.SUPERSEDED).sum()) + len(of_fate(decisions, Fate.SUPERSEDED)),
        failures=_failures(rows, codes, decisions, table, mode),
        pending=where(rows, new | changed | resolved),
    )


def insertable(rows: pa.Table, table: Table, ids: IdMaker, now: Callable[[], datetime]) -> pa.Table:
    """Rows with an id each, and with the time where only some of them have one.

    The ids are made last, so that they ascend in the order of writing. A column the database makes is left to it
    where the file has nothing, and NULL becomes a column's default.
    """
    if "id" not in rows.column_names:
        rows = rows.append_column("id", ids.make(rows.num_rows))
    elif absent := rows["id"].null_count:
        cells = rows["id"].combine_chunks()
        made = pc.replace_with_mask(cells, pc.is_null(cells), ids.make(absent))
        rows = with_cells(rows, "id", made)
    for column in table.columns:
        if column.name not in rows.column_names or not rows[column.name].null_count:
            continue
        if column.default is not None:
            cells = rows[column.name].combine_chunks()
            rows = with_cells(rows, column.name, pc.fill_null(cells, pa.scalar(column.default, cells.type)))
        if not column.generated or column.type is not ColumnType.TIMESTAMP:
            continue
        if rows[column.name].null_count == rows.num_rows:
            rows = rows.drop_columns([column.name])
        else:
            cells = rows[column.name].combine_chunks()
            rows = with_cells(rows, column.name, pc.fill_null(cells, pa.scalar(now(), cells.type)))
    return rows


def _failures(
    rows: pa.Table, codes: np.ndarray, decisions: Sequence[Decision], table: Table, mode: Mode
) -> pa.RecordBatch:
    key, numbers = str(table.natural_key), rows["_row"].to_numpy()
    conflicts = (codes == Verdict.CONFLICT) | np.isin(numbers, of_fate(decisions, Fate.CONFLICT))
    incomplete = (codes == Verdict.INCOMPLETE) | np.isin(numbers, of_fate(decisions, Fate.INCOMPLETE))
    parts = []
    if (existing := codes == Verdict.ID_EXISTS).any():
        parts.append(refusals.already_exists(where(rows, existing), "id", table))
    if (existing := codes == Verdict.KEY_EXISTS).any():
        parts.append(refusals.already_exists(where(rows, existing), key, table))
    if conflicts.any():
        parts.append(refusals.key_conflict(where(rows, conflicts), table))
    if incomplete.any():
        parts += incomplete_rows(where(rows, incomplete), table, mode)
    return refusals.in_row_order(parts)


def _sorted(rows: pa.Table, by: str) -> pa.Table:
    """In the order of a key: its index is then walked from one end to the other.

    A fifth less time than in file order. Where the file has ids, those: a sixth less than by natural key.
    """
    if rows.num_rows < 2 or rows.nbytes > _SORTED_BYTES:
        return rows
    return rows.combine_chunks().take(pc.sort_indices(rows[by]))


def _has_id(rows: pa.Table) -> np.ndarray:
    if "id" not in rows.column_names:
        return np.zeros(rows.num_rows, bool)
    return pc.is_valid(rows["id"]).to_numpy()
