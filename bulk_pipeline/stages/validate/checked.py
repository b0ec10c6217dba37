"""Text rows to typed rows, and a failure for every rule of the declaration that a row breaks.

Each row is looked at by itself here; keys and references of the whole file are for `stages.split`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema import Column, ColumnType, Mode, Table
from bulk_pipeline.schema.frames import broken
from bulk_pipeline.schema.masks import mask, without
from bulk_pipeline.stages import absence
from bulk_pipeline.stages.failures import FAILURES, none
from bulk_pipeline.stages.shown import value
from bulk_pipeline.stages.validate import sentences
from bulk_pipeline.stages.validate.convert import convert
from bulk_pipeline.stages.validate.unseen import invisible_in

# What breaks one of these is not worth a second sentence about the same cell.
_FINAL = frozenset({"required", "nul", "invisible"})


@dataclass(frozen=True)
class Checked:
    """`rows`: all the rows, typed, NULL for cells that failed. `failures`: the new ones, in row order."""

    rows: pa.RecordBatch
    failures: pa.RecordBatch


def validate(
    records: pa.RecordBatch,
    found: pa.RecordBatch,
    table: Table,
    mode: Mode,
    absent: pa.Array | None = None,
) -> Checked:
    """Check `records` (`_row`, `_line`, then text columns of `table`) by the rules for one row.

    `found`: failures of the parser in these rows; cells named there are not looked at again. A column that
    `records` does not have is not made. `absent`: a cell of `stages.absence` for each of the records, if some of them
    lack a column. Raises `DeclarationError` when a check cannot be run.
    """
    columns = [table.column(name) for name in records.schema.names if not name.startswith("_")]
    finding = _Finding(records, _named_cells(records, found))
    typed = {column.name: _typed(column, finding, mode) for column in columns}
    left_to_load = _left_to_load(records, typed, table, mode, absent)
    for rule_broken in broken(table, mode, _frame(typed, len(records))):
        if rule_broken.column is None:
            rule = next(rule for rule in table.rules if f"rule:{rule.name}" == rule_broken.check)
            finding.add_rule(rule_broken.check, rule.columns, rule.message, rule_broken.rows)
        else:
            rows = rule_broken.rows
            if rule_broken.check == "required" and rule_broken.column in left_to_load:
                rows = rows & ~left_to_load[rule_broken.column]
            finding.add(rule_broken.check, table.column(rule_broken.column), rows)
    cells = [without(values, finding.failed_cells(name)) for name, values in typed.items()]
    names = ["_row", "_line", *typed]
    rows = pa.RecordBatch.from_arrays([records["_row"], records["_line"], *cells], names=names)
    return Checked(rows, finding.failures())


def _typed(column: Column, finding: "_Finding", mode: Mode) -> pa.Array:
    """The column converted, with its default in the place of NULL, unless a stored value may stand there."""
    converted = convert(column, finding.records[column.name])
    for problem, rows in converted.problems.items():
        if problem == "type" and column.type is ColumnType.UUID:
            finding.add("invisible", column, rows & invisible_in(finding.records[column.name]), final=True)
        finding.add(problem, column, rows, final=True)
    if column.default is None or not converted.values.null_count or mode.updates_rows:
        return converted.values
    filled = pc.fill_null(converted.values, column.default)
    return without(filled, finding.failed_cells(column.name))


def _left_to_load(
    records: pa.RecordBatch, typed: dict[str, pa.Array], table: Table, mode: Mode, absent: pa.Array | None
) -> dict[str, np.ndarray]:
    """By required column, the rows that need no value in it if they turn out to change a stored row.

    A row without any key is always a new one.
    """
    if not mode.updates_rows:
        return {}
    defaults = [table.column(name) for name in typed if table.column(name).default is not None]
    left = {column.name: mask(typed[column.name].is_null()) for column in defaults}
    if absent is None:
        return left
    has_key = np.zeros(len(records), bool)
    for name in ("id", table.natural_key):
        if name is not None and name in typed:
            has_key |= mask(pc.not_equal(records[name], ""))
    lacking = absence.absent(pa.table({absence.COLUMN: absent}), table)
    return left | {name: rows & has_key for name, rows in lacking.items()}


def _frame(typed: dict[str, pa.Array], rows: int) -> pd.DataFrame:
    """Arrow-backed, without a copy. The index is the position in the batch: row numbers may have gaps."""
    cells = {
        name: pd.arrays.ArrowExtensionArray(pa.chunked_array([values])) for name, values in typed.items()
    }
    return pd.DataFrame(cells, index=pd.RangeIndex(rows))


def _named_cells(records: pa.RecordBatch, found: pa.RecordBatch) -> dict[str, np.ndarray]:
    """For each column that `found` names, the rows of `records` it names."""
    named = found.filter(pc.is_valid(found["column"]))
    return {
        name: mask(pc.is_in(records["_row"], named.filter(pc.equal(named["column"], name))["row"]))
        for name in pc.unique(named["column"]).to_pylist()
    }


class _Finding:
    """Failures of a batch as they are found, and the cells that need no further look."""

    def __init__(self, records: pa.RecordBatch, done: dict[str, np.ndarray]) -> None:
        self.records = records
        self._done = done
        self._failed = {name: rows.copy() for name, rows in done.items()}
        self._batches: list[pa.RecordBatch] = []

    def add(self, check: str, column: Column, rows: np.ndarray, *, final: bool = False) -> None:
        rows = rows & ~self._rows(self._done, column.name)
        if not rows.any():
            return
        self._failed[column.name] = self._rows(self._failed, column.name) | rows
        if final or check in _FINAL:
            self._done[column.name] = self._rows(self._done, column.name) | rows
        places = pa.array(np.flatnonzero(rows))
        cells = self.records[column.name].take(places)
        message = sentences.sentences(check, column, cells)
        self._append(check, places, column.name, value(cells), message)

    def add_rule(self, check: str, columns: tuple[str, ...], message: str, rows: np.ndarray) -> None:
        """A row rule speaks only where all of its cells are right."""
        for name in columns:
            rows = rows & ~self.failed_cells(name)
        if rows.any():
            places = pa.array(np.flatnonzero(rows))
            unknown = pa.nulls(len(places), pa.string())
            self._append(check, places, None, unknown, pa.repeat(message, len(places)))

    def failed_cells(self, name: str) -> np.ndarray:
        return self._rows(self._failed, name)

    def failures(self) -> pa.RecordBatch:
        """In row order; those of one row in the order of its columns, row rules last."""
        if not self._batches:
            return none()
        names = self.records.schema.names
        batch = pa.concat_batches(self._batches)
        position = pc.fill_null(pc.index_in(batch["column"], pa.array(names)), len(names))
        return batch.take(pa.array(np.lexsort((position.to_numpy(), batch["row"].to_numpy()))))

    def _rows(self, cells: dict[str, np.ndarray], name: str) -> np.ndarray:
        return cells.get(name, np.zeros(len(self.records), dtype=bool))

    def _append(
        self, check: str, places: pa.Array, column: str | None, value: pa.Array, message: pa.Array
    ) -> None:
        name = pa.repeat(pa.scalar(column, pa.string()), len(places))
        code = pa.repeat(str(sentences.code(check)), len(places))
        rows, lines = self.records["_row"].take(places), self.records["_line"].take(places)
        batch = pa.RecordBatch.from_arrays([rows, lines, name, code, value, message], schema=FAILURES)
        self._batches.append(batch)
