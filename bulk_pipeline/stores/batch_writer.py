"""Writes to one table in the transaction of one batch; the protocol is `stages.load.row_store.BatchWriter`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from bulk_pipeline.errors import RowsRefusedError
from bulk_pipeline.schema import Table
from bulk_pipeline.stages import absence
from bulk_pipeline.stages.load.row_store import Event, Updated
from bulk_pipeline.stores import merge
from bulk_pipeline.stores.copy import array_literal, copy_rows
from bulk_pipeline.stores.staging import savepoint, staged


class PostgresBatchWriter:
    def __init__(self, connection: psycopg.Connection, table: Table) -> None:
        self._connection = connection
        self._table = table
        self._is_inside = False
        self._checks_at_once = False

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """What SET CONSTRAINTS says outlives the savepoint: the next one, or the one around it, takes it back."""
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
        target = sql.Identifier(self._table.name)
        stored = copy_rows(self._connection, target, rows.select(self._own(rows)), self._table)
        return self._absent(rows, stored)

    def skips_taken(self) -> bool:
        found = self._connection.execute(merge.CAN_ARBITRATE, [self._table.name]).fetchone()
        return found == (True,)

    def insert_unless_taken(self, rows: pa.Table) -> np.ndarray:
        columns = self._own(rows)
        with staged(self._connection, self._table, columns):
            copy_rows(self._connection, merge.STAGED, rows.select(columns), self._table)
            stored = self._connection.execute(merge.insert_unless_taken(self._table, columns)).rowcount
        return self._absent(rows, stored)

    def update(self, rows: pa.Table, by: str) -> Updated:
        extra = ("_row", "_forced", absence.COLUMN)
        columns = [name for name in extra if name in rows.column_names] + self._own(rows)
        none = np.empty(0, np.int64)
        with staged(self._connection, self._table, columns):
            copy_rows(self._connection, merge.STAGED, rows.select(columns), self._table)
            statement = merge.update(self._table, columns, by)
            with self._connection.transaction():
                changed = self._connection.execute(statement).rowcount
                if changed < rows.num_rows:
                    raise psycopg.Rollback
            if changed == rows.num_rows:
                return Updated(changed, none, none)
            # Once more, telling which: how a row reads afterwards does not say it, as a trigger may change rows too.
            to_change = self._numbers(merge.to_change(self._table, columns, by))
            written = self._numbers(statement + sql.SQL(" RETURNING s._row"))
            missing = self._numbers(merge.unmet(self._table, by))
        return Updated(len(written), missing, np.setdiff1d(to_change, written))

    def dropped(self, event: Event) -> str:
        bits = {"insert": 4, "update": 16}
        asked = {"table": self._table.name, "event": bits[event]}
        (names,) = self._connection.execute(merge.TRIGGERS, asked).fetchone() or (None,)
        if names is None:
            return f"it did not do the {event}, and gave no reason"
        return (
            f"trigger {names} dropped it" if ", " not in names else f"one of the triggers {names} dropped it"
        )

    def rekey(self, keys: Sequence[tuple[str, str]]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(merge.rekey(self._table), [(key, id_) for id_, key in keys])

    def owners(self, ids: pa.Array, keys: pa.Array | None) -> dict[str, str | None]:
        return owners(self._connection, self._table, ids, keys)

    def broken_checks(self, rows: pa.Table) -> dict[int, str]:
        columns = self._own(rows)
        checks = self._connection.execute(merge.CHECKS, [self._table.name, columns]).fetchall()
        if not checks:
            return {}
        with staged(self._connection, self._table, ["_row", *columns]):
            copy_rows(self._connection, merge.STAGED, rows.select(["_row", *columns]), self._table)
            return dict(self._connection.execute(merge.broken(checks)).fetchall())

    def hold_parents(self, table: str, ids: pa.Array) -> pa.Array:
        found = self._connection.execute(merge.missing(table, held=True), {"ids": array_literal(ids)})
        return pa.array([row[0] for row in found], pa.string())

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
        ids = {"ids": array_literal(rows["id"])}
        gone = pa.array([row[0] for row in self._connection.execute(merge.missing(self._table.name), ids)])
        absent = pc.is_in(rows["id"], value_set=gone.cast(pa.string())).to_numpy()
        key = self._table.natural_key
        if key and rows.num_rows - absent.sum() < stored:  # a trigger has given rows another id
            found = pa.array([*self.owners(pa.array([], pa.string()), rows[key]).values()], pa.string())
            absent &= ~pc.is_in(rows[key], value_set=found, skip_nulls=True).to_numpy()
        if rows.num_rows - absent.sum() < stored:
            raise RowsRefusedError("a trigger drops rows and changes the keys of others")
        return numbers[absent]

    def _numbers(self, query: sql.Composed) -> np.ndarray:
        return np.array([row[0] for row in self._connection.execute(query)], np.int64)

    def _own(self, rows: pa.Table) -> list[str]:
        return [name for name in self._table.column_names if name in rows.column_names]


def owners(
    connection: psycopg.Connection, table: Table, ids: pa.Array, keys: pa.Array | None
) -> dict[str, str | None]:
    """id -> natural key of the rows of `table` that have one of the ids or natural keys."""
    found: dict[str, str | None] = {}
    for by, values in (("id", ids), (table.natural_key, keys)):
        if by is not None and values is not None and len(values):
            given = array_literal(pc.unique(values).drop_null())
            found |= dict(connection.execute(merge.owners(table, by), [given]).fetchall())
    return found
