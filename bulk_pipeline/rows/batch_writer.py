"""Writes to one table in the transaction of one batch; the protocol is `stages.load.row_store.BatchWriter`."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from bulk_pipeline.arrow.row_sets import union
from bulk_pipeline.errors import RowsRefusedError
from bulk_pipeline.postgres.names import identifier, quoted
from bulk_pipeline.rows import merge_sql
from bulk_pipeline.rows.copy import copy_rows
from bulk_pipeline.rows.refusal_messages import broken_check
from bulk_pipeline.rows.staging import savepoint, staged
from bulk_pipeline.schema import ForeignKey, Key, Table
from bulk_pipeline.stages import absence
from bulk_pipeline.stages.key_cells import key_rows, keys_in, texts
from bulk_pipeline.stages.load.row_store import Event, Rekey, Texts, UpdateResult


class PostgresBatchWriter:
    def __init__(self, connection: psycopg.Connection, table: Table) -> None:
        self._connection = connection
        self._table = table
        self._is_inside = False
        self._checks_at_once = False

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """The effect of SET CONSTRAINTS outlives the savepoint: the next one, or the one around it, reverts it."""
        is_end, is_inner, checked_at_once = False, self._is_inside, self._checks_at_once
        try:
            with savepoint(self._connection):
                if self._checks_at_once:
                    self._defer_constraints()
                self._is_inside = True
                yield
                is_end = True
                self._connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
                self._checks_at_once = True
                if is_inner:
                    self._defer_constraints()
        except RowsRefusedError as refusal:
            refusal.at_the_end = is_end
            self._checks_at_once = checked_at_once
            raise
        finally:
            self._is_inside = is_inner

    def insert(self, rows: pa.Table) -> np.ndarray:
        columns = self._own(rows)
        if self._has_policies:
            with staged(self._connection, self._table, columns):
                copy_rows(self._connection, merge_sql.STAGED, rows.select(columns), self._table)
                stored = self._connection.execute(merge_sql.insert(self._table, columns)).rowcount
        else:
            stored = copy_rows(self._connection, identifier(self._table), rows.select(columns), self._table)
        self._move_sequences(rows)
        return self._absent(rows, stored)

    def skips_taken(self) -> bool:
        found = self._connection.execute(merge_sql.CAN_ARBITRATE, [quoted(self._table)]).fetchone()
        return found == (True,)

    def insert_unless_taken(self, rows: pa.Table) -> np.ndarray:
        columns = self._own(rows)
        with staged(self._connection, self._table, columns):
            copy_rows(self._connection, merge_sql.STAGED, rows.select(columns), self._table)
            stored = self._connection.execute(merge_sql.insert_unless_taken(self._table, columns)).rowcount
        self._move_sequences(rows)
        absent = self._absent(rows, stored)
        if (
            rows.num_rows - len(absent) > stored
        ):  # a row without its key taken is there, but whose it is cannot be told
            raise RowsRefusedError("its key is the key of another row")
        return absent

    def update(self, rows: pa.Table, by: Key) -> UpdateResult:
        extra = ("_row", "_forced", absence.COLUMN)
        columns = [name for name in extra if name in rows.column_names] + self._own(rows)
        none = np.empty(0, np.int64)
        with staged(self._connection, self._table, columns):
            copy_rows(self._connection, merge_sql.STAGED, rows.select(columns), self._table)
            if not merge_sql.changes_something(self._table, columns, by):
                return UpdateResult(0, self._numbers(merge_sql.unmet(self._table, columns, by)), none)
            statement = merge_sql.update(self._table, columns, by)
            with self._connection.transaction():
                changed = self._connection.execute(statement).rowcount
                if changed < rows.num_rows:
                    raise psycopg.Rollback
            if changed == rows.num_rows:
                return UpdateResult(changed, none, none)
            # Once more, telling which: how a row reads afterwards does not say it, as a trigger may change rows too.
            to_change = self._numbers(merge_sql.to_change(self._table, columns, by))
            written = self._numbers(statement + sql.SQL(" RETURNING s._row"))
            missing = self._numbers(merge_sql.unmet(self._table, columns, by))
        return UpdateResult(len(written), missing, np.setdiff1d(to_change, written))

    def dropped(self, event: Event) -> str:
        bits = {"insert": 4, "update": 16}
        asked = {"table": quoted(self._table), "event": bits[event]}
        (names,) = self._connection.execute(merge_sql.TRIGGERS, asked).fetchone() or (None,)
        if names is None:
            return f"it did not do the {event}, and gave no reason"
        return (
            f"trigger {names} dropped it" if ", " not in names else f"one of the triggers {names} dropped it"
        )

    def rekey(self, rekeys: Sequence[Rekey]) -> None:
        for one in rekeys:
            self._connection.execute(merge_sql.rekey(self._table, one.by, one.cells))

    def existing(self, rows: pa.Table) -> dict[int, np.ndarray]:
        return existing(self._connection, self._table, rows)

    def owners(self, key: Key, cells: Texts) -> Texts:
        return owners(self._connection, self._table, key, cells)

    def broken_checks(self, rows: pa.Table) -> dict[int, str]:
        columns = self._own(rows)
        checks = self._connection.execute(merge_sql.CHECKS, [quoted(self._table), columns]).fetchall()
        if not checks:
            return {}
        with staged(self._connection, self._table, ["_row", *columns]):
            copy_rows(self._connection, merge_sql.STAGED, rows.select(["_row", *columns]), self._table)
            broken = self._connection.execute(
                merge_sql.broken((name, expression) for name, expression, _ in checks)
            ).fetchall()
        reasons = {name: broken_check(name, condition) for name, _, condition in checks}
        return {row: reasons[name] for row, name in broken}

    def hold_parents(self, key: ForeignKey, values: pa.RecordBatch) -> np.ndarray:
        return missing(self._connection, self._table, key, values, held=True)

    @cached_property
    def _has_policies(self) -> bool:
        return self._connection.execute(merge_sql.HAS_POLICIES, [quoted(self._table)]).fetchone() == (True,)

    def _move_sequences(self, rows: pa.Table) -> None:
        """Let the sequences of number columns go on behind the numbers that the rows bring."""
        for column in self._table.columns:
            if column.identity is None or column.name not in rows.column_names or not rows.num_rows:
                continue
            numbers = pc.min_max(rows[column.name]).as_py()
            self._connection.execute(
                merge_sql.move_sequence(self._table, column.name, numbers["min"], numbers["max"])
            )

    def _defer_constraints(self) -> None:
        self._connection.execute("SET CONSTRAINTS ALL DEFERRED")
        self._checks_at_once = False

    def _absent(self, rows: pa.Table, stored: int) -> np.ndarray:
        """The `_row`s of rows that are not in the table, where Postgres says how many of them it has stored.

        More may be there than it says: a trigger can put rows into another partition, or write them in its own way.
        """
        numbers = rows["_row"].to_numpy()
        if stored == rows.num_rows:
            return numbers[:0]
        absent = np.ones(rows.num_rows, bool)
        for _, key in keys_in(self._table, rows.column_names):
            few = merge_sql.inline_rows(self._table, rows.select(["_row", *key.columns]))
            found = by_key(self._connection, merge_sql.existing(self._table, key.columns, few))
            absent &= ~np.isin(numbers, union(found.values()))
            if rows.num_rows - absent.sum() >= stored:  # fewer: a trigger has given rows another key
                return numbers[absent]
        if stored == 0 or rows.num_rows - absent.sum() >= stored:
            return numbers[absent]
        raise RowsRefusedError("a trigger drops rows and changes the keys of others")

    def _numbers(self, query: sql.Composed) -> np.ndarray:
        return np.array([row[0] for row in self._connection.execute(query)], np.int64)

    def _own(self, rows: pa.Table) -> list[str]:
        return [name for name in self._table.column_names if name in rows.column_names]


def owners(connection: psycopg.Connection, table: Table, key: Key, cells: Texts) -> Texts:
    """The key columns of the stored rows that have one of several values of a key."""
    connection.execute(merge_sql.TEXT_FORMS)
    found = connection.execute(merge_sql.owners(table, key, cells)).fetchall()
    columns = zip(*found, strict=True) if found else [()] * len(table.key_columns)
    return {
        name: pa.array(column, pa.string()) for name, column in zip(table.key_columns, columns, strict=True)
    }


def existing(connection: psycopg.Connection, table: Table, rows: pa.Table) -> dict[int, np.ndarray]:
    """Number of a key -> the numbers of the rows that have that key of a stored row; each of them once."""
    named = key_rows(rows, table)
    if not rows.num_rows or not keys_in(table, named.column_names):
        return {}
    few = merge_sql.inline_rows(table, named)
    return by_key(connection, merge_sql.existing(table, named.column_names, few))


def by_key(connection: psycopg.Connection, query: sql.Composed) -> dict[int, np.ndarray]:
    """The row numbers by the number of a key, which the query gives as text; that of a later key comes first."""
    found = by_verdict(connection, query)
    return {int(number): found[number] for number in sorted(found, key=int, reverse=True)}


def by_verdict(connection: psycopg.Connection, query: sql.Composed) -> dict[str, np.ndarray]:
    """The row numbers for each verdict that the query gives."""
    parts = defaultdict[str, list[np.ndarray]](list)
    with connection.cursor() as cursor:
        for verdict, rows in cursor.stream(merge_sql.packed(query), binary=True):
            parts[verdict].append(np.frombuffer(rows, ">i8").astype(np.int64))
    return {verdict: np.concatenate(arrays) for verdict, arrays in parts.items()}


def missing(
    connection: psycopg.Connection,
    child: Table,
    key: ForeignKey,
    values: pa.RecordBatch,
    *,
    held: bool = False,
) -> np.ndarray:
    """A mask of the values that refer to no row."""
    cells = {name: texts(values, child, name) for name in key.columns}
    absent = np.zeros(values.num_rows, bool)
    places = connection.execute(merge_sql.missing(key, child, cells, held)).fetchall()
    absent[[place - 1 for (place,) in places]] = True
    return absent
