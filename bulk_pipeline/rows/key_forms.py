"""Forms of key cells whose equality only Postgres knows: texts with a nondeterministic collation, citext, and types
that have no codec of their own.

Two cells have the same form if Postgres holds them for equal. A type shows no sort keys, but its hashes are equal where
its values are: two of 64 bits each are the form.
"""

from collections.abc import Mapping
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.postgres.names import quoted
from bulk_pipeline.rows.copy import array_literal
from bulk_pipeline.schema import Column, KeyForm, Table
from bulk_pipeline.schema.type_facts import literal


def key_forms(postgres: Postgres, table: Table) -> Mapping[str, KeyForm]:
    """Return the functions that give the forms, by column. Raises `StoreUnavailableError`.

    A column that refers to another one of its own table has the form of that one.
    """
    own = [key for key in table.foreign_keys if key.parent == table.qualified_name]
    references = {name: of for key in own for name, of in zip(key.columns, key.references, strict=True)}
    names = {*table.key_columns, *references.values()}
    suspects = [column.name for column in table.columns if column.name in names and _may_differ(column)]
    if not suspects:
        return {}
    with postgres.reading() as connection:
        found = connection.execute(_COLUMNS, [quoted(table), suspects]).fetchall()
    forms = {
        name: partial(_forms, postgres, _hashes(type_, collation and sql.Identifier(*collation)))
        for name, type_, collation in found
    }
    return {name: forms[of] for name, of in references.items() if of in forms} | forms


def _may_differ(column: Column) -> bool:
    """Return whether equal cells may have different texts, for all that is known without the catalogue."""
    return column.type.facts.is_text or column.type.facts.is_opaque


_COLUMNS = """
    SELECT
        att.attname,
        format_type(typ.oid, -1),
        CASE WHEN NOT col.collisdeterministic THEN ARRAY[schema.nspname::text, col.collname::text] END
    FROM pg_attribute AS att
    JOIN pg_type AS declared ON declared.oid = att.atttypid
    JOIN pg_type AS typ ON typ.oid = coalesce(nullif(declared.typbasetype, 0), declared.oid)
    LEFT JOIN pg_collation AS col ON col.oid = att.attcollation
    LEFT JOIN pg_namespace AS schema ON schema.oid = col.collnamespace
    WHERE att.attrelid = to_regclass(%s)
      AND att.attname = ANY (%s)
      AND (NOT col.collisdeterministic OR typ.typname NOT IN ('text', 'varchar', 'bpchar'))
      AND (
        typ.typtype = 'r'
        OR EXISTS (
            SELECT FROM pg_opclass AS class JOIN pg_am AS am ON am.oid = class.opcmethod
            WHERE am.amname = 'hash' AND class.opcdefault AND class.opcintype IN (typ.oid, declared.oid)
        )
        OR typ.typname = 'varchar'
      )
"""
"""(name, type, collation) of the columns whose equality is not that of bytes, where their type has hashes."""


def _hashes(type_: str, collation: sql.Identifier | None) -> sql.Composed:
    given = sql.SQL("rtrim(value, ' ')" if type_ == "bpchar" else "value")
    value = sql.SQL("ARRAY[{}::{}{}]").format(
        given, sql.SQL(literal(type_)), sql.SQL(" COLLATE {}").format(collation) if collation else sql.SQL("")
    )
    return sql.SQL("hash_array_extended({0}, 0) || ' ' || hash_array_extended({0}, 1)").format(value)


def _forms(postgres: Postgres, form: sql.Composed, cells: pa.Array) -> pa.Array:
    """Return the form of each cell; each distinct cell is asked about once."""
    values = pc.unique(cells.drop_null())
    if not len(values):
        return cells
    query = sql.SQL(
        "SELECT {} FROM unnest(%s::text[]) WITH ORDINALITY AS given (value, place) ORDER BY place"
    )
    with postgres.reading() as connection:
        found = connection.execute(query.format(form), [array_literal(values)]).fetchall()
    return pa.array([text for (text,) in found], pa.string()).take(pc.index_in(cells, values))
