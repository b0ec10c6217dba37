"""Which of several tables are loaded before others: those that are referred to."""

from collections.abc import Container, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from bulk_pipeline.schema.table import Table


def parents_among(table: Table, tables: Iterable[Table]) -> tuple[str, ...]:
    """Return the upload names of those of `tables` that go before `table`, those that it refers to first."""
    names = {str(other.qualified_name): other.upload_name for other in tables}
    return tuple(names[parent] for parent in table.predecessors if parent in names)


def in_order(tables: Iterable[Table]) -> dict[str, Table]:
    """Return the tables by upload name, parents before children.

    A circle is broken before a table that may hold rows without references into it, otherwise before its first table in
    the alphabet. A parent that is not among the tables takes no part.
    """
    found = {table.upload_name: table for table in sorted(tables, key=lambda table: table.upload_name)}
    parents = {name: parents_among(table, found.values()) for name, table in found.items()}
    while True:
        try:
            return {name: found[name] for name in TopologicalSorter(parents).static_order()}
        except CycleError as error:
            circle = error.args[1]
            first = min(circle, key=lambda name: (_needs(found[name], circle, found), name))
            parents[first] = tuple(parent for parent in parents[first] if parent not in circle)


def _needs(table: Table, circle: Container[str], tables: Mapping[str, Table]) -> bool:
    """Return whether every row of `table` has to refer to a table of the circle."""
    names = {other.qualified_name: name for name, other in tables.items()}
    required = {column.name for column in table.columns if column.required} | {*table.primary_key}
    return any(
        names.get(key.parent, "") in circle and required.issuperset(key.columns) for key in table.foreign_keys
    )
