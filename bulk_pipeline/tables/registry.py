"""Finds every module of this folder that holds a `TABLE`, and answers by name. Adding a file adds a table."""

import pkgutil
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module

from bulk_pipeline.errors import DeclarationError, UnknownTableError
from bulk_pipeline.schema import Table


def get(name: str) -> Table:
    """The table of that name; `UnknownTableError` names those that exist."""
    try:
        return _declared()[name]
    except KeyError:
        raise UnknownTableError(f"unknown table {name!r}: expected one of {', '.join(names())}") from None


def names() -> tuple[str, ...]:
    return tuple(_declared())


def in_load_order() -> tuple[Table, ...]:
    """All tables, parents before children."""
    return tuple(_declared().values())


@cache
def _declared() -> dict[str, Table]:
    package = __package__ or "bulk_pipeline.tables"
    modules = pkgutil.iter_modules(import_module(package).__path__, f"{package}.")
    found = (getattr(import_module(module.name), "TABLE", None) for module in modules)
    tables = {table.name: table for table in found if table is not None}
    for table in tables.values():
        for key in table.foreign_keys:
            if key.table not in tables:
                raise DeclarationError(
                    f"table {table.name}: {key.column} refers to unknown table {key.table!r}"
                )
    try:
        order = TopologicalSorter({name: table.parents for name, table in tables.items()}).static_order()
    except CycleError as error:
        raise DeclarationError(f"tables refer to each other in a circle: {error.args[1]}") from error
    return {name: tables[name] for name in order}
