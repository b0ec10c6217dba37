"""Where the tables that Postgres has differ from those that are declared. Changes nothing."""

from collections.abc import Iterable, Iterator

import psycopg

from bulk_pipeline.postgres.catalogue import CatalogueColumn, CatalogueTable, find_tables, loader
from bulk_pipeline.schema import Column, ColumnType, Generated, Table, TableName


def drift(connection: psycopg.Connection, tables: Iterable[Table]) -> list[str]:
    """Return a sentence for each way in which the database is not what is declared; empty if all is well.

    Sets the search path of the transaction.
    """
    tables = list(tables)
    names = [(table.schema, table.name) for table in tables]
    stored = find_tables(connection, names, loader(connection))
    return [
        sentence
        for table, name in zip(tables, names, strict=True)
        for sentence in compare(table, stored.get(name))
    ]


def compare(table: Table, stored: CatalogueTable | None) -> list[str]:
    """Return the ways in which one table is not what is declared. Nothing may be missing, nothing extra."""
    title = table.qualified_name
    if stored is None:
        return [f"table {title} is missing"]
    columns = {column.name: column for column in stored.columns}
    sentences = [f"{title}.{name} is missing" for name in table.column_names if name not in columns]
    sentences += [f"{title}.{name} is not declared" for name in columns if name not in table.column_names]
    for column in table.columns:
        if column.name in columns:
            sentences += _compare_column(table, column, columns[column.name])
    return sentences + _compare_keys(table, stored) + _compare_foreign_keys(table, stored)


def declared_type(column: Column) -> str:
    """Return the type that a column should have, as `format_type` writes it."""
    limited = column.type is ColumnType.TEXT and column.max_length is not None
    return f"character varying({column.max_length})" if limited else column.type.facts.postgres


def _compare_column(table: Table, column: Column, stored: CatalogueColumn) -> Iterator[str]:
    name = f"{table.qualified_name}.{column.name}"
    if not _is_type(column, stored):
        yield f"{name} is {stored.type}, declared as {declared_type(column)}"
    made, is_computed = column.null_keeps_stored, column.generated is Generated.ALWAYS
    is_required = column.required or column.name in table.primary_key or (made and not is_computed)
    if stored.is_required != is_required and not is_computed:
        yield f"{name} is {_null(stored.is_required)}, declared as {_null(is_required)}"
    makes = (stored.default, stored.generated, stored.identity)
    has_default = any(value is not None for value in makes)
    if made and not has_default:
        yield f"{name} has no default"
    if (
        has_default and not made and stored.is_required
    ):  # where NULL is a value, a default is for other programs
        yield f"{name} has a default that is not declared"


def _is_type(column: Column, stored: CatalogueColumn) -> bool:
    """Return whether a stored column is of the declared type. Types of extensions are declared without their schema.

    A text with a declared limit may be stored as text: the limit holds for files.
    """
    declared = declared_type(column)
    bare = stored.type.partition(".")[2]
    return declared in (stored.type, bare) or (column.type is ColumnType.TEXT and stored.type == "text")


def _compare_keys(table: Table, stored: CatalogueTable) -> list[str]:
    title, primary_key = table.qualified_name, ", ".join(table.primary_key)
    stored_key = ", ".join(stored.primary_key.columns) if stored.primary_key else ""
    sentences: list[str] = []
    if stored_key != primary_key:
        sentences.append(f"{title} has primary key ({stored_key}), declared as ({primary_key})")
    declared = _by_columns((key.columns, key.nulls_distinct) for key in table.further_keys)
    found = _by_columns((key.columns, key.nulls_distinct) for key in stored.keys if not key.is_primary)
    if stored.primary_key:
        found.pop((frozenset(stored.primary_key.columns), True), None)
    sentences += [f"{title} has no unique key {declared[key]}" for key in declared if key not in found]
    sentences += [
        f"{title} has a unique key {found[key]}, not declared" for key in found if key not in declared
    ]
    return sentences


def _by_columns(
    keys: Iterable[tuple[tuple[str, ...], bool]],
) -> dict[tuple[frozenset[str], bool], str]:
    """Return keys as people read them; the order of columns does not matter to what is unique."""
    return {
        (frozenset(columns), nulls_distinct): f"({', '.join(columns)})"
        + ("" if nulls_distinct else " NULLS NOT DISTINCT")
        for columns, nulls_distinct in sorted(keys)
    }


def _compare_foreign_keys(table: Table, stored: CatalogueTable) -> list[str]:
    declared = {
        (", ".join(key.columns), f"{key.parent} ({', '.join(key.references)})") for key in table.foreign_keys
    }
    found = {
        (", ".join(key.columns), f"{TableName(key.schema, key.table)} ({', '.join(key.references)})")
        for key in stored.foreign_keys
    }
    title = table.qualified_name
    return [
        *(f"{title}.{columns} does not refer to {parent}" for columns, parent in sorted(declared - found)),
        *(
            f"{title}.{columns} refers to {parent}, not declared"
            for columns, parent in sorted(found - declared)
        ),
    ]


def _null(is_required: bool) -> str:
    return "NOT NULL" if is_required else "nullable"
