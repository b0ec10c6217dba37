"""Writes to one table in the transaction of one batch; the protocol is `stages.load.row_store.BatchWriter`."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from bulk_pipeline.schema import Table
from bulk_pipeline.stages.load.row_store import Updated
from bulk_pipeline.stores import merge
from bulk_pipeline.stores.copy import array_literal, copy_rows
from bulk_pipeline.stores.staging import savepoint, staged


class PostgresBatchWriter:
    def __init__(self, connection: psycopg.Connection, table: Table) -> None:
        self._connection = connection
        self._table = table

    def savepoint(self) -> AbstractContextManager[None]:
        return savepoint(self._connection)

    def insert(self, rows: pa.Table) -> None:
        copy_rows(
            self._connection, sql.Identifier(self._table.name), rows.select(self._own(rows)), self._table
        )

    def insert_unless_taken(self, rows: pa.Table) -> np.ndarray:
        columns = self._own(rows)
        with staged(self._connection, self._table, columns):
            copy_rows(self._connection, merge.STAGED, rows.select(columns), self._table)
            found = self._connection.execute(merge.insert_unless_taken(self._table, columns))
            inserted = pa.array([row[0] for row in found], pa.string())
        free = pc.is_in(rows["id"], value_set=inserted).to_numpy()
        return rows["_row"].to_numpy()[~free]

    def update(self, rows: pa.Table, by: str) -> Updated:
        columns = [name for name in ("_row", "_forced") if name in rows.column_names] + self._own(rows)
        missing: list[int] = []
        with staged(self._connection, self._table, columns):
            copy_rows(self._connection, merge.STAGED, rows.select(columns), self._table)
            changed = self._connection.execute(merge.update(self._table, columns, by)).rowcount
            if changed < rows.num_rows:
                missing = [row[0] for row in self._connection.execute(merge.unmet(self._table, by))]
        return Updated(changed, np.array(missing, np.int64))

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
