"""Selections: which columns and rows of a table an export has, and in which order. Pure; no SQL."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from bulk_pipeline.errors import SelectionError
from bulk_pipeline.schema.column import Column
from bulk_pipeline.schema.filters import Filter, column_of, filter_text, parse_filter, read_filter
from bulk_pipeline.schema.table import Table

_ORDER = re.compile(r"\s*(?P<column>\w+)(?:\s+(?P<direction>asc|desc))?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Order:
    """Rows sorted by a column; NULL comes last, or first when `descending`."""

    column: Column
    descending: bool = False

    def __str__(self) -> str:
        return f"{self.column.name} desc" if self.descending else self.column.name


@dataclass(frozen=True)
class Selection:
    """`columns` in the order of the file. `order`: the sort order; ties, and all rows if there is none, are sorted by
    primary key.

    `every_column`: no columns were named, so all that the table has are exported.
    """

    table: Table
    columns: tuple[Column, ...]
    filters: tuple[Filter, ...] = ()
    order: tuple[Order, ...] = ()
    every_column: bool = False

    def as_json(self) -> dict[str, Any]:
        """Plain values, with the types of the filters' values; without the table."""
        return {
            "columns": [] if self.every_column else [column.name for column in self.columns],
            "filters": [filter_.as_json() for filter_ in self.filters],
            "order": [{"column": order.column.name, "descending": order.descending} for order in self.order],
        }

    @classmethod
    def read(cls, table: Table, stored: Mapping[str, Any]) -> Self:
        """Return the selection that `as_json` has written. `SelectionError` if it does not fit the table any more."""
        return cls(
            table,
            _columns(table, stored["columns"]),
            tuple(read_filter(table, filter_) for filter_ in stored["filters"]),
            tuple(Order(column_of(table, order["column"]), order["descending"]) for order in stored["order"]),
            every_column=not stored["columns"],
        )


@dataclass(frozen=True)
class SelectionWords:
    """A selection in the words that `select` reads. `columns` is empty if every column is selected."""

    columns: tuple[str, ...]
    filters: tuple[str, ...]
    order: tuple[str, ...]

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """Return the words for what `Selection.as_json` has written. Needs no table, as the table may be gone."""
        order = (
            f"{order['column']} desc" if order["descending"] else order["column"] for order in stored["order"]
        )
        return cls(tuple(stored["columns"]), tuple(map(filter_text, stored["filters"])), tuple(order))


def select(
    table: Table, *, columns: Iterable[str] = (), where: Iterable[str] = (), order: Iterable[str] = ()
) -> Selection:
    """A selection from texts: names of columns (none means all), filters, `column` or `column desc`.

    Raises `SelectionError`.
    """
    names = [name.strip() for name in columns]
    return Selection(
        table,
        _columns(table, names),
        tuple(map(partial(parse_filter, table), where)),
        tuple(_order(table, text) for text in order),
        every_column=not names,
    )


def _columns(table: Table, names: list[str]) -> tuple[Column, ...]:
    if not names:
        return table.columns
    if len(names) > len(table.columns):
        raise SelectionError(
            f"columns: {len(names):,} names, but {table.upload_name} has {len(table.columns)} columns: "
            "name each column once"
        )
    try:
        found = tuple(column_of(table, name) for name in names)
    except SelectionError as error:
        raise SelectionError(f"columns: {error}") from None
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise SelectionError(f"columns: {repeated[0]} is named twice: name each column once")
    return found


def _order(table: Table, text: str) -> Order:
    found = _ORDER.fullmatch(text)
    if found is None:
        raise SelectionError(f"order {text!r}: write a column, or a column and desc: created_at desc")
    try:
        column = column_of(table, found["column"])
    except SelectionError as error:
        raise SelectionError(f"order {text!r}: {error}") from None
    return Order(column, descending=(found["direction"] or "").lower() == "desc")
