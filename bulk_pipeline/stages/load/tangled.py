"""Decides about rows of an upsert whose fates depend on each other, beside the stored rows with one of their keys."""

from collections.abc import Callable, Collection, Iterator
from typing import TypeAlias

import pyarrow as pa

from bulk_pipeline.schema import Key, Mode, Table
from bulk_pipeline.stages.key_cells import (
    forms,
    key_rows,
    keys_in,
    of_blank_row,
    sayings,
    stored_forms,
    texts,
)
from bulk_pipeline.stages.load.absent_cells import lacks_some, unsaid_by_row
from bulk_pipeline.stages.load.resolve import Decision, KeyCells, KeyedRow, KeyValue, resolve
from bulk_pipeline.stages.load.row_store import Texts

LookUp: TypeAlias = Callable[[Key, Texts], Texts]
"""`RowStore.owners`."""


def decide(rows: pa.Table, table: Table, mode: Mode, look_up: LookUp) -> list[Decision]:
    """Return the decisions about rows in file order, applied one after the other to the table as it is."""
    owners, named = _Owners(table, look_up, rows), key_rows(rows, table)
    stored = [
        cells
        for _, key in keys_in(table, named.column_names)
        for cells in owners.of_cells(key, {name: texts(named, table, name) for name in key.columns})
    ]
    keyed = map(
        KeyedRow,
        rows["_row"].to_pylist(),
        sayings(rows, table, forms),
        unsaid_by_row(rows, table),
        lacks_some(rows, table, mode).tolist(),
    )
    return resolve(list(keyed), stored, table.keys, of_blank_row(table), owners.of_values)


class _Owners:
    """The stored rows that have a key, each given once, with their cells in the forms that `resolve` compares."""

    def __init__(self, table: Table, look_up: LookUp, rows: pa.Table) -> None:
        self._table = table
        self._look_up = look_up
        self._given: set[KeyValue] = set()
        self._written: dict[str, dict[str | None, str | None]] = {}
        """By column and form: a text with that form, where the two differ."""
        for name in table.key_forms:
            if name in table.key_columns and name in rows.column_names:
                self._learn(name, forms(rows, table, name), texts(rows, table, name))

    def of_values(self, key: Key, values: Collection[KeyValue]) -> Iterator[KeyCells]:
        columns = {
            name: pa.array([self._text(name, form) for form in found], pa.string())
            for name, found in zip(key.columns, zip(*values, strict=True), strict=True)
        }
        return self.of_cells(key, columns)

    def of_cells(self, key: Key, cells: Texts) -> Iterator[KeyCells]:
        found, stored = self._look_up(key, cells), {}
        for name, column in found.items():
            stored[name] = stored_forms(self._table, name, column)
            if name in self._table.key_forms:
                self._learn(name, stored[name], column)
        for values in zip(*(column.to_pylist() for column in stored.values()), strict=True):
            if values not in self._given:
                self._given.add(values)
                yield dict(zip(stored, values, strict=True))

    def _learn(self, name: str, found: pa.Array, written: pa.Array) -> None:
        self._written.setdefault(name, {}).update(zip(found.to_pylist(), written.to_pylist(), strict=True))

    def _text(self, name: str, form: str | None) -> str | None:
        return self._written[name][form] if name in self._written else form
