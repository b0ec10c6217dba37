"""The tables of imports and exports: those of the sample data, one file each, or those of a project folder.

The functions ask the registry of this process.
"""

from bulk_pipeline.schema import Table
from bulk_pipeline.tables.project import read_folder
from bulk_pipeline.tables.registry import TableRegistry, serve, served


def get(name: str) -> Table:
    """Return the table of that name. `UnknownTableError` names those that exist."""
    return served().get(name)


def names() -> tuple[str, ...]:
    return served().names()


def in_load_order() -> tuple[Table, ...]:
    """Return all tables, parents before children."""
    return served().in_load_order()


__all__ = ["TableRegistry", "get", "in_load_order", "names", "read_folder", "serve", "served"]
