"""What of a table is asked for: which columns, which rows, in which order. One parser for every door. Pure; no SQL."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from bulk_pipeline.errors import SelectionError
from bulk_pipeline.schema.column import Column
from bulk_pipeline.schema.filters import Filter, column_of, parse_filter
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
    """`columns` in the order of the file. `order`: what is equal by it, or everything without it, is by primary key."""

    table: Table
    columns: tuple[Column, ...]
    filters: tuple[Filter, ...] = ()
    order: tuple[Order, ...] = ()


def select(
    table: Table, *, columns: Iterable[str] = (), where: Iterable[str] = (), order: Iterable[str] = ()
) -> Selection:
    """A selection from texts: names of columns (none means all), filters, `column` or `column desc`.

    Raises `SelectionError`.
    """
    return Selection(
        table,
        _columns(table, [name.strip() for name in columns]),
        tuple(map(partial(parse_filter, table), where)),
        tuple(_order(table, text) for text in order),
    )


def _columns(table: Table, names: list[str]) -> tuple[Column, ...]:
    if not names:
        return table.columns
    if len(names) > len(table.columns):
        raise SelectionError(
            f"columns: {len(names):,} names, but {table.name} has {len(table.columns)} columns: name each column once"
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
