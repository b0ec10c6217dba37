"""The SQL that sets staged rows beside a table and merges them into it. No connection is made here.

A staging table is temporary, has `_row` and columns of the table with their types, and goes with its
transaction. Where it has the column of `stages.absence`, what a row says nothing about stays as it is.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import LiteralString

import pyarrow as pa
from psycopg import sql

from bulk_pipeline.schema import Column, ColumnType, Table
from bulk_pipeline.stages import absence
from bulk_pipeline.stores.copy import array_literal

STAGED = sql.Identifier("staged")
_TOUCHED = "updated_at"


def stage(table: Table, columns: Sequence[str]) -> sql.Composed:
    """Make the staging table; `columns` may include names that begin with an underscore."""
    own = [sql.Identifier(name) for name in columns if not name.startswith("_")]
    extra = [_EXTRA[name] for name in columns if name.startswith("_")]
    return sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
        STAGED, sql.SQL(", ").join([*extra, *own]), sql.Identifier(table.name)
    )


_EXTRA = {
    "_row": sql.SQL("0::bigint AS _row"),
    "_forced": sql.SQL("false AS _forced"),
    absence.COLUMN: sql.SQL("''::bytea AS {}").format(sql.Identifier(absence.COLUMN)),
}


_STAGED_ROWS = sql.SQL("{} AS s").format(STAGED)


def given(table: Table, rows: pa.Table) -> sql.Composed:
    """A few rows (`_row` and key columns), as part of a query in the place of staged ones."""
    arrays = [
        sql.SQL("{}::{}[]").format(
            sql.Literal(array_literal(rows[name].cast(pa.string()))), _type(table, name)
        )
        for name in rows.column_names
    ]
    names = sql.SQL(", ").join(map(sql.Identifier, rows.column_names))
    return sql.SQL("unnest({}) AS s ({})").format(sql.SQL(", ").join(arrays), names)


def existing(table: Table, columns: Sequence[str], rows: sql.Composed = _STAGED_ROWS) -> sql.Composed:
    """(row, column) of the rows that have a key of the table: the natural key if they have both."""
    keys = [name for name in (table.natural_key, "id") if name and name in columns]
    cases = [sql.SQL("WHEN {}.id IS NOT NULL THEN {}").format(_by(name), sql.Literal(name)) for name in keys]
    return sql.SQL("SELECT s._row, CASE {} END FROM {} {} WHERE {}").format(
        sql.SQL(" ").join(cases), rows, _joins(table, keys), _any(keys)
    )


def compared(table: Table, columns: Sequence[str]) -> sql.Composed:
    """(row, verdict) of the staged rows that have a key of the table; see `Comparison` for the verdicts."""
    keys = [name for name in ("id", table.natural_key) if name and name in columns]
    stored = sql.SQL("CASE WHEN s.id IS NULL THEN {} ELSE {} END") if len(keys) > 1 else sql.SQL("{}")
    return sql.SQL(
        "SELECT s._row, CASE {} WHEN {} THEN 'changed' ELSE 'same' END FROM {} AS s {} WHERE {}"
    ).format(
        _key_verdicts(*keys) if len(keys) > 1 else sql.SQL(""),
        stored.format(*(_differs(table, columns, _by(key)) for key in reversed(keys))),
        STAGED,
        _joins(table, keys),
        _any(keys),
    )


def linked(table: Table) -> sql.Composed:
    """(row, 'linked') of staged rows with an id but not the natural key of its row, and of those that name that key."""
    return sql.SQL(
        """
        SELECT unnest(ARRAY[s._row, other._row]), 'linked'
        FROM {staged} AS s
        JOIN {table} AS t ON t.id = s.id AND t.{key} IS DISTINCT FROM s.{key}
        JOIN {staged} AS other ON other.{key} = t.{key}
        """
    ).format(staged=STAGED, table=sql.Identifier(table.name), key=sql.Identifier(str(table.natural_key)))


def packed(query: sql.Composed) -> sql.Composed:
    """(verdict, rows) of a query for (row, verdict): about a million big-endian bigints in one value.

    A row of an answer costs more than what is in it.
    """
    return sql.SQL(
        "SELECT verdict, string_agg(int8send(row), '') FROM ({}) AS found (row, verdict) "
        "GROUP BY verdict, row >> 20"
    ).format(query)


def insert_unless_taken(table: Table, columns: Sequence[str]) -> sql.Composed:
    """Insert the staged rows, in their order, where no unique constraint forbids it; gives their ids."""
    names = _names(columns)
    return sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT DO NOTHING RETURNING id::text").format(
        sql.Identifier(table.name), names, names, STAGED
    )


def update(table: Table, columns: Sequence[str], by: str) -> sql.Composed:
    """Change the rows of the table that differ from the staged ones, found by the column `by`."""
    return sql.SQL("UPDATE {} AS t SET {} FROM {} AS s WHERE {}").format(
        sql.Identifier(table.name),
        sql.SQL(", ").join(_assignments(table, columns)),
        STAGED,
        _to_change(table, columns, by),
    )


def to_change(table: Table, columns: Sequence[str], by: str) -> sql.Composed:
    """The staged rows that `update` would write."""
    return sql.SQL("SELECT s._row FROM {} AS t, {} AS s WHERE {}").format(
        sql.Identifier(table.name), STAGED, _to_change(table, columns, by)
    )


def unmet(table: Table, by: str) -> sql.Composed:
    """The staged rows that meet no row of the table."""
    return sql.SQL(
        "SELECT s._row FROM {} AS s WHERE NOT EXISTS (SELECT FROM {} AS t WHERE t.{by} = s.{by})"
    ).format(STAGED, sql.Identifier(table.name), by=sql.Identifier(by))


def owners(table: Table, by: str) -> sql.Composed:
    """(id, natural key) of the rows that have one of an array of values in the key column `by`."""
    key = sql.SQL("{}::text").format(sql.Identifier(table.natural_key)) if table.natural_key else sql.NULL
    return sql.SQL("SELECT id::text, {} FROM {} WHERE {} = ANY (%s::{}[])").format(
        key, sql.Identifier(table.name), sql.Identifier(by), sql.SQL("uuid" if by == "id" else "text")
    )


def rekey(table: Table) -> sql.Composed:
    return sql.SQL("UPDATE {} SET {} = %s WHERE id = %s").format(
        sql.Identifier(table.name), sql.Identifier(str(table.natural_key))
    )


CHECKS = """
    SELECT con.conname, pg_get_expr(con.conbin, con.conrelid)
    FROM pg_constraint AS con
    WHERE con.contype = 'c' AND con.conrelid = %s::regclass AND NOT EXISTS (
        SELECT FROM pg_attribute AS att
        WHERE att.attrelid = con.conrelid AND att.attnum = ANY (con.conkey) AND att.attname <> ALL (%s)
    )
    ORDER BY con.conname
"""
"""(name, expression) of the check constraints that are about these columns of a table only."""


def broken(checks: Iterable[tuple[str, LiteralString]]) -> sql.Composed:
    """(row, name) of the staged rows that break one of the constraints. The expressions are the catalogue's."""
    cases = [
        sql.SQL("WHEN ({}) IS FALSE THEN {}").format(sql.SQL(expression), sql.Literal(name))
        for name, expression in checks
    ]
    return sql.SQL(
        "SELECT * FROM (SELECT _row, CASE {} END AS name FROM {}) AS checked WHERE name IS NOT NULL"
    ).format(sql.SQL(" ").join(cases), STAGED)


def missing(table: str, held: bool = False) -> sql.Composed:
    """Those of an array of ids that the table does not have; `held`: keep the others from being removed."""
    found = sql.SQL("SELECT t.id FROM {} AS t WHERE t.id = ANY (%(ids)s::uuid[]){}").format(
        sql.Identifier(table), sql.SQL(" FOR KEY SHARE" if held else "")
    )
    return sql.SQL(
        """
        WITH found AS ({})
        SELECT given.id::text FROM unnest(%(ids)s::uuid[]) AS given (id)
        WHERE NOT EXISTS (SELECT FROM found WHERE found.id = given.id)
        """
    ).format(found)


TRIGGERS = """
    SELECT string_agg(DISTINCT tgname, ', ')
    FROM pg_trigger
    WHERE tgrelid IN (
            SELECT %(table)s::regclass
            UNION ALL SELECT relid FROM pg_partition_tree(%(table)s::regclass)
        )
      AND NOT tgisinternal
      AND tgenabled IN ('O', 'A')
      AND tgtype & 3 = 3
      AND tgtype & %(event)s > 0
"""
"""The triggers of a table BEFORE EACH ROW (3) for an event: 4 is INSERT, 16 is UPDATE (pg_trigger.h)."""

CAN_ARBITRATE = """
    SELECT NOT EXISTS (
        SELECT FROM pg_index
        WHERE indrelid = %s::regclass AND (indisunique OR indisexclusion) AND NOT indimmediate
    )
"""
"""Whether ON CONFLICT works: a deferrable unique constraint makes Postgres refuse it."""


def _to_change(table: Table, columns: Sequence[str], by: str) -> sql.Composed:
    return sql.SQL("t.{by} = s.{by} AND ({} OR {})").format(
        sql.SQL("s._forced") if "_forced" in columns else sql.SQL("false"),
        _differs(table, columns, sql.Identifier("t")),
        by=sql.Identifier(by),
    )


def _type(table: Table, name: str) -> sql.SQL:
    if name == "_row":
        return sql.SQL("bigint")
    return sql.SQL("uuid" if table.column(name).type is ColumnType.UUID else "text")


def _key_verdicts(id_: str, key: str) -> sql.Composed:
    """Rows with an id whose natural key another row has; and those whose natural key nobody has yet, or that have none:
    rows of the file may mean the same row of the table without having a key in common.
    """
    return sql.SQL(
        "WHEN s.id <> {key}.id THEN 'conflicting' "
        "WHEN {id}.id IS NOT NULL AND {key}.id IS NULL THEN 'renaming'"
    ).format(id=_by(id_), key=_by(key))


def _differs(table: Table, columns: Sequence[str], stored: sql.Identifier) -> sql.Composed:
    """Whether a staged row would change the stored one. A new `updated_at` alone is no change."""
    tests = []
    for column in _written(table, columns):
        name = sql.Identifier(column.name)
        test = sql.SQL("s.{name} IS DISTINCT FROM {stored}.{name}").format(name=name, stored=stored)
        if column.name == _TOUCHED:
            continue
        if column.null_keeps_stored:
            test = sql.SQL("(s.{name} IS NOT NULL AND {test})").format(name=name, test=test)
        elif absence.COLUMN in columns:
            test = sql.SQL("({} AND {})").format(_says(table, column), test)
        tests.append(test)
    return sql.SQL("({})").format(sql.SQL(" OR ").join(tests)) if tests else sql.Composed([sql.SQL("false")])


def _assignments(table: Table, columns: Sequence[str]) -> Iterator[sql.Composed]:
    for column in _written(table, columns):
        name = sql.Identifier(column.name)
        if column.name == _TOUCHED:
            continue
        value = sql.SQL("s.{name}")
        if column.null_keeps_stored:
            value = sql.SQL("coalesce(s.{name}, t.{name})")
        elif absence.COLUMN in columns:
            value = sql.SQL("CASE WHEN {says} THEN s.{name} ELSE t.{name} END")
        yield sql.SQL("{name} = {value}").format(
            name=name, value=value.format(name=name, says=_says(table, column))
        )
    if _TOUCHED in table.column_names:
        given = sql.SQL("coalesce(s.{}, now())") if _TOUCHED in columns else sql.SQL("now()")
        name = sql.Identifier(_TOUCHED)
        yield sql.SQL("{} = {}").format(name, given.format(name))


def _says(table: Table, column: Column) -> sql.Composed:
    """Whether the column is not absent from a staged row."""
    return sql.SQL("get_bit(s.{}, {}) = 0").format(
        sql.Identifier(absence.COLUMN), sql.Literal(table.columns.index(column))
    )


def _written(table: Table, columns: Sequence[str]) -> Iterator[Column]:
    return (column for column in table.columns if column.name in columns and column.name != "id")


def _names(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in columns if not name.startswith("_"))


def _joins(table: Table, keys: Iterable[str]) -> sql.Composed:
    return sql.SQL(" ").join(
        sql.SQL("LEFT JOIN {} AS {} ON {}.{key} = s.{key}").format(
            sql.Identifier(table.name), _by(name), _by(name), key=sql.Identifier(name)
        )
        for name in keys
    )


def _any(keys: Iterable[str]) -> sql.Composed:
    return sql.SQL(" OR ").join(sql.SQL("{}.id IS NOT NULL").format(_by(name)) for name in keys)


def _by(key: str) -> sql.Identifier:
    """The row of the table that has the staged row's cell in this key column."""
    return sql.Identifier(f"by_{key}")
