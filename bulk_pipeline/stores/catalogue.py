"""Where the tables that Postgres has differ from those that are declared. Changes nothing."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import psycopg

from bulk_pipeline.schema import Column, ColumnType, Table

ForeignKeys = frozenset[tuple[str, str]]
"""Pairs of column and table that it refers to by id."""


@dataclass(frozen=True)
class CatalogueColumn:
    """A column as Postgres has it; `type` as `format_type` writes it."""

    type: str
    not_null: bool
    has_default: bool


@dataclass(frozen=True)
class CatalogueTable:
    """A table as Postgres has it. Keys of several columns are written `a, b`."""

    columns: dict[str, CatalogueColumn] = field(default_factory=dict)
    primary_key: str | None = None
    unique: frozenset[str] = frozenset()
    foreign_keys: ForeignKeys = frozenset()


def drift(connection: psycopg.Connection, tables: Iterable[Table]) -> list[str]:
    """One sentence for each way in which the database is not what is declared; empty if all is well."""
    found = read_catalogue(connection)
    return [sentence for table in tables for sentence in compare(table, found.get(table.name))]


def compare(table: Table, found: CatalogueTable | None) -> list[str]:
    """The ways in which one table is not what is declared. Nothing may be missing, nothing extra."""
    if found is None:
        return [f"table {table.name} is missing"]
    declared = {column.name: _expected(column) for column in table.columns}
    sentences = [f"{table.name}.{name} is missing" for name in declared if name not in found.columns]
    sentences += [f"{table.name}.{name} is not declared" for name in found.columns if name not in declared]
    for name, expected in declared.items():
        if name in found.columns:
            sentences += _compare_column(f"{table.name}.{name}", expected, found.columns[name])
    return sentences + _compare_keys(table, found)


def read_catalogue(connection: psycopg.Connection) -> dict[str, CatalogueTable]:
    """Every table of the schema `public`."""
    columns: dict[str, dict[str, CatalogueColumn]] = {}
    for table, column, *described in connection.execute(_COLUMNS):
        columns.setdefault(table, {})[column] = CatalogueColumn(*described)
    primary: dict[str, str] = {}
    unique: dict[str, set[str]] = {}
    for table, names, is_primary in connection.execute(_KEYS):
        if is_primary:
            primary[table] = names
        else:
            unique.setdefault(table, set()).add(names)
    foreign: dict[str, set[tuple[str, str]]] = {}
    for table, names, referred in connection.execute(_FOREIGN_KEYS):
        foreign.setdefault(table, set()).add((names, referred))
    return {
        table: CatalogueTable(
            columns=found,
            primary_key=primary.get(table),
            unique=frozenset(unique.get(table, ())),
            foreign_keys=frozenset(foreign.get(table, ())),
        )
        for table, found in columns.items()
    }


def declared_type(column: Column) -> str:
    """The type that a column should have, as `format_type` writes it."""
    limited = column.type is ColumnType.TEXT and column.max_length is not None
    return f"character varying({column.max_length})" if limited else column.type.value


def _expected(column: Column) -> CatalogueColumn:
    made = column.generated or column.default is not None
    return CatalogueColumn(
        type=declared_type(column),
        not_null=column.required or made or column.name == "id",
        has_default=made,
    )


def _compare_column(name: str, expected: CatalogueColumn, found: CatalogueColumn) -> list[str]:
    sentences: list[str] = []
    if found.type != expected.type:
        sentences.append(f"{name} is {found.type}, declared as {expected.type}")
    if found.not_null != expected.not_null:
        sentences.append(f"{name} is {_null(found.not_null)}, declared as {_null(expected.not_null)}")
    if found.has_default != expected.has_default:
        sentences.append(
            f"{name} {'has a default that is not declared' if found.has_default else 'has no default'}"
        )
    return sentences


def _compare_keys(table: Table, found: CatalogueTable) -> list[str]:
    sentences: list[str] = []
    if found.primary_key != "id":
        sentences.append(f"{table.name} has primary key ({found.primary_key or ''}), declared as (id)")
    unique = frozenset({table.natural_key} if table.natural_key else ())
    sentences += [f"{table.name} has no unique key ({key})" for key in sorted(unique - found.unique)]
    sentences += [
        f"{table.name} has a unique key ({key}), not declared" for key in sorted(found.unique - unique)
    ]
    foreign = frozenset((key.column, key.table) for key in table.foreign_keys)
    for column, other in sorted(foreign - found.foreign_keys):
        sentences.append(f"{table.name}.{column} does not refer to {other} (id)")
    for column, other in sorted(found.foreign_keys - foreign):
        sentences.append(f"{table.name}.{column} refers to {other}, not declared")
    return sentences


def _null(not_null: bool) -> str:
    return "NOT NULL" if not_null else "nullable"


_COLUMNS = """
    SELECT
        class.relname,
        attribute.attname,
        format_type(attribute.atttypid, attribute.atttypmod),
        attribute.attnotnull,
        attribute.atthasdef OR attribute.attidentity <> ''
    FROM pg_class AS class
    JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid
    WHERE class.relkind IN ('r', 'p')
      AND class.relnamespace = 'public'::regnamespace
      AND attribute.attnum > 0
      AND NOT attribute.attisdropped
    ORDER BY class.relname, attribute.attnum
"""

_KEYS = """
    SELECT class.relname, string_agg(attribute.attname, ', ' ORDER BY place.ordinality), index.indisprimary
    FROM pg_index AS index
    JOIN pg_class AS class ON class.oid = index.indrelid
    CROSS JOIN LATERAL unnest(index.indkey::smallint[]) WITH ORDINALITY AS place (attnum, ordinality)
    LEFT JOIN pg_attribute AS attribute
        ON attribute.attrelid = class.oid AND attribute.attnum = place.attnum AND place.attnum > 0
    WHERE class.relnamespace = 'public'::regnamespace
      AND index.indisunique
      AND index.indisvalid
      AND index.indpred IS NULL
    GROUP BY class.relname, index.indexrelid, index.indisprimary
"""

# A key that refers to other columns than (id) names them, so that it is not taken for a declared one.
_FOREIGN_KEYS = """
    SELECT
        class.relname,
        (SELECT string_agg(attname, ', ' ORDER BY array_position(con.conkey, attnum))
         FROM pg_attribute WHERE attrelid = con.conrelid AND attnum = ANY (con.conkey)),
        referred.relname || CASE
            WHEN referred_columns.names = 'id' THEN '' ELSE ' (' || referred_columns.names || ')' END
    FROM pg_constraint AS con
    JOIN pg_class AS class ON class.oid = con.conrelid
    JOIN pg_class AS referred ON referred.oid = con.confrelid
    CROSS JOIN LATERAL (
        SELECT string_agg(attname, ', ' ORDER BY array_position(con.confkey, attnum)) AS names
        FROM pg_attribute WHERE attrelid = con.confrelid AND attnum = ANY (con.confkey)
    ) AS referred_columns
    WHERE con.contype = 'f' AND class.relnamespace = 'public'::regnamespace
"""
