"""The cells of good rows: values by column."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.masks import without
from bulk_pipeline.errors import SelectionError
from bulk_pipeline.samples.draw import Rows
from bulk_pipeline.samples.names import distinct_of, named, published_at
from bulk_pipeline.samples.relations import NOBODY, Reference, Relations, is_required
from bulk_pipeline.samples.types import sample_of
from bulk_pipeline.schema import Column, ColumnType, ForeignKey, Table
from bulk_pipeline.schema.types import codec_of

_NOBODY_ID = "00000000-0000-7000-8000-000000000000"


def check(relations: Relations, table: Table) -> None:
    """Raise `SelectionError` with the columns that no sample has values for."""
    plan = relations.plan(table)
    problems = [
        f"{column.name}: {problem}"
        for column in relations.columns(table)
        if not plan.settles(column.name)
        and is_required(table, column)
        and (problem := sample_of(column).problem(column))
    ]
    problems += [
        f"{name}: its values go round in a circle of foreign keys"
        for name, reference in plan.references.items()
        if _goes_round(relations, reference)
    ]
    if problems:
        raise SelectionError(f"table {table.upload_name}: a sample needs values for {'; '.join(problems)}")


def values(relations: Relations, table: Table, column: Column, rows: Rows) -> pa.Array:
    """Return typed values."""
    plan = relations.plan(table)
    if column.name in plan.empty:
        return pa.nulls(len(rows.index), codec_of(column).arrow)
    if (numbers := plan.numbers.get(column.name)) is not None:
        found = distinct_of(column)
        assert found is not None
        is_further_id = column.type is ColumnType.UUID and table.primary_key != (column.name,)
        owner = f"{rows.table}.{column.name}" if is_further_id else rows.table
        return found.values(Rows(rows.seed, owner, numbers(rows)))
    if (reference := plan.references.get(column.name)) is not None:
        parent, index = reference.parent, reference.numbers(rows)
        cells = values(relations, parent, reference.column, Rows(rows.seed, parent.upload_name, index))
        nulls = rows.chance(10, f"{reference.purpose} null") if reference.has_nulls else None
        return cells if nulls is None else without(cells, nulls)
    return _drawn(table, column, rows, is_filled=column.name == plan.filled)


def nobody(relations: Relations, table: Table, key: ForeignKey, seed: int) -> dict[str, str | None]:
    """Return texts of cells that refer to a row that no sample has."""
    plan, cells = relations.plan(table), dict[str, str | None]()
    for name in key.columns:
        reference = plan.references[name]
        parent, column = reference.parent, reference.column
        rows = Rows(seed, parent.upload_name, np.array([NOBODY], np.uint64))
        value = values(relations, parent, column, rows)
        is_id = column.type is ColumnType.UUID
        cells[name] = _NOBODY_ID if is_id else codec_of(column).to_text(column, value)[0].as_py()
    return cells


def keep_rules(
    relations: Relations, table: Table, columns: Sequence[Column], cells: list[pa.Array], rows: Rows
) -> list[pa.Array]:
    """Draw the cells of rows that break a rule again, and leave them NULL if that is in vain.

    `SelectionError` for a rule that rows still break.
    """
    if not table.rules or not len(rows.index):
        return cells
    plan, names = relations.plan(table), [column.name for column in columns]
    for attempt in range(_ATTEMPTS + 1):
        broken = _broken(table, columns, cells)
        if not broken:
            return cells
        for name, where in broken.items():
            place = names.index(name)
            column, chosen = columns[place], pa.array(where)
            if plan.settles(name):
                continue
            if attempt < _ATTEMPTS:
                again = Rows(rows.seed, f"{rows.table} again {attempt}", rows.index[where])
                drawn = _drawn(table, column, again)
            elif is_required(table, column):
                continue
            else:
                drawn = pa.nulls(int(where.sum()), cells[place].type)
            cells[place] = _replaced(cells[place], chosen, drawn)
    if broken := _broken(table, columns, cells):
        raise SelectionError(
            f"table {table.upload_name}: no values of {', '.join(broken)} are found that keep the table's rules"
        )
    return cells


_ATTEMPTS = 20


def _broken(table: Table, columns: Sequence[Column], cells: Sequence[pa.Array]) -> dict[str, np.ndarray]:
    """Return the rows that break a rule, by column that the rule looks at."""
    import pandas as pd

    broken: dict[str, np.ndarray] = {}
    known = dict(zip((column.name for column in columns), cells, strict=True))
    for rule in table.rules:
        absent = pa.nulls(len(cells[0]))
        frame = pa.table({name: known.get(name, absent) for name in rule.columns})
        kept = rule.passes(frame.to_pandas(types_mapper=pd.ArrowDtype))
        fails = ~kept.fillna(True).to_numpy(bool)
        if fails.any():
            for name in rule.columns:
                if name in known:
                    broken[name] = broken.get(name, np.zeros(len(fails), bool)) | fails
    return broken


def _replaced(cells: pa.Array, chosen: pa.Array, others: pa.Array) -> pa.Array:
    """Return the cells with others where `chosen` is true; for every type, also lists."""
    places = np.arange(len(cells))
    places[chosen.to_numpy(zero_copy_only=False)] = len(cells) + np.arange(len(others))
    return pa.concat_arrays([cells, others]).take(pa.array(places))


def _drawn(table: Table, column: Column, rows: Rows, *, is_filled: bool = False) -> pa.Array:
    """Return values that follow from the column alone, with some NULLs where the table keeps them."""
    is_optional = not (is_filled or is_required(table, column) or column.null_keeps_stored)
    if (found := named(column)) is not None:
        cells = found.values(rows)
        return cells if is_optional else _filled(column, cells, rows)
    is_usual = column.type is ColumnType.TIMESTAMP and not column.bounds
    if column.name == "published_at" and is_usual and _has_states(table):
        return published_at(rows)
    sample = sample_of(column)
    if is_optional and sample.problem(column) is not None:
        return pa.nulls(len(rows.index), codec_of(column).arrow)
    cells = sample.values(column, rows)
    return without(cells, rows.chance(5, f"{column.name} null")) if is_optional else cells


def _filled(column: Column, cells: pa.Array, rows: Rows) -> pa.Array:
    """Return the cells with a value in each."""
    known = pc.if_else(pc.equal(cells, ""), None, cells) if column.type.facts.is_text else cells
    return pc.coalesce(known, sample_of(column).values(column, rows)) if known.null_count else cells


def _has_states(table: Table) -> bool:
    return any(column.name == "status" and named(column) is not None for column in table.columns)


def _goes_round(relations: Relations, reference: Reference) -> bool:
    seen = set[tuple[str, str]]()
    step: Reference | None = reference
    while step is not None:
        place = (step.parent.upload_name, step.column.name)
        if place in seen:
            return True
        seen.add(place)
        step = relations.plan(step.parent).references.get(step.column.name)
    return False


def revisable(table: Table, columns: Sequence[Column]) -> Column:
    """Return the column that differs between revisions: the last column of free text that is not a key."""
    free = [
        column
        for column in columns
        if column.type.facts.is_text
        and column.name not in table.key_columns
        and column.pattern is None
        and not column.choices
    ]
    if not free:
        raise ValueError(f"table {table.upload_name} has no column of free text to revise")
    return free[-1]


def revised(column: Column, cells: pa.Array, revision: int) -> pa.Array:
    """Return the texts of another revision; all of them are different, and none is NULL."""
    texts = pc.binary_join_element_wise(f"{revision}.", pc.fill_null(cells, ""), " ")
    return pc.utf8_slice_codeunits(texts, 0, column.max_length) if column.max_length else texts
