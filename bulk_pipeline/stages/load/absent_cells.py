"""Columns that rows of an upsert do not have, and the earlier rows that have them.

A row says nothing about a column that is absent from it (`stages.absence`), nor by NULL in a column that is never NULL
in the table (`Column.null_keeps_stored`). Of several rows of a file that mean the same row of the table only the last
one is written; what it leaves unsaid is taken from the rows that it overwrites.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from bulk_pipeline.arrow.masks import mask
from bulk_pipeline.schema import Mode, Table
from bulk_pipeline.stages import absence
from bulk_pipeline.stages.absence import Rows
from bulk_pipeline.stages.load.resolve import Decision
from bulk_pipeline.stages.split import failure_messages


def unsaid(rows: Rows, table: Table) -> dict[str, np.ndarray]:
    """Return, for each column that some rows leave unsaid, a mask of these rows."""
    absent = absence.absent(rows, table)
    found = {}
    for column in table.columns:
        if column.name not in rows.schema.names or column.name in table.touch:
            continue
        without = absent.get(column.name)
        if column.null_keeps_stored and rows[column.name].null_count:
            nulls = mask(rows[column.name].is_null())
            without = nulls if without is None else without | nulls
        if without is not None:
            found[column.name] = without
    return found


def unsaid_by_row(rows: Rows, table: Table) -> Sequence[frozenset[str]]:
    """The columns that each row says nothing about."""
    found = unsaid(rows, table)
    if not found:
        return [frozenset()] * rows.num_rows
    known: dict[tuple[bool, ...], frozenset[str]] = {}
    for flags in set(patterns := list(zip(*(without.tolist() for without in found.values()), strict=True))):
        known[flags] = frozenset(name for name, without in zip(found, flags, strict=True) if without)
    return [known[flags] for flags in patterns]


def lacking(rows: Rows, table: Table, mode: Mode) -> dict[str, np.ndarray]:
    """Return, for each required column that some rows lack, a mask of these rows. They may update a stored row, but
    cannot be inserted."""
    absent = absence.absent(rows, table)
    return {name: absent[name] for name in table.required_columns(mode) if name in absent}


def lacks_some(rows: Rows, table: Table, mode: Mode) -> np.ndarray:
    """Which rows lack a required column."""
    return np.logical_or.reduce([np.zeros(rows.num_rows, bool), *lacking(rows, table, mode).values()])


def incomplete_rows(rows: pa.Table, table: Table, mode: Mode) -> list[pa.RecordBatch]:
    """Failures of new rows that lack required columns: one for each of these, in the order of the columns."""
    found = lacking(rows, table, mode)
    return [
        failure_messages.required(rows.filter(pa.array(without)), table, table.column(name))
        for name, without in found.items()
    ]


def completed(
    rows: pa.Table, table: Table, decisions: Iterable[Decision], sources: Sequence[pa.RecordBatch]
) -> pa.Table:
    """`rows` with the cells that decisions carry from `sources`, which have `_row` and the same columns."""
    carrying = {decision.row: decision.carried for decision in decisions if decision.carried}
    if not carrying:
        return rows
    given = pa.Table.from_batches(sources)
    places = {number: at for at, number in enumerate(given["_row"].to_pylist())}
    present = dict[str, list[int]]()
    taken = dict[str, list[int]]()
    for at, number in enumerate(rows["_row"].to_pylist()):
        for name, source in carrying.get(number, ()):
            present.setdefault(name, []).append(at)
            taken.setdefault(name, []).append(places[source])
    for name, positions in present.items():
        order = np.arange(rows.num_rows)
        order[positions] = rows.num_rows + np.array(taken[name])
        both = pa.concat_arrays([*rows[name].chunks, *given[name].chunks])
        rows = rows.set_column(rows.column_names.index(name), name, both.take(pa.array(order)))
    return absence.with_present(rows, table, present)
