"""The SQL that sets staged rows beside a table and merges them into it. No connection is made here.

A staging table is temporary, has `_row` and columns of the table with their types, and goes with its
transaction. Where it has the column of `stages.absence`, what a row says nothing about stays as it is.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import LiteralString

import pyarrow as pa
from psycopg import sql

from bulk_pipeline.postgres.names import identifier, quoted
from bulk_pipeline.rows.copy import array_literal
from bulk_pipeline.schema import Column, ForeignKey, Identity, Key, Table
from bulk_pipeline.stages import absence
from bulk_pipeline.stages.key_cells import keys_in, texts
from bulk_pipeline.stages.load.resolve import KeyCells
from bulk_pipeline.stages.load.row_store import Texts

STAGED = sql.Identifier("staged")
_STAGED_ROWS = sql.SQL("{} AS s").format(STAGED)
_NO, _YES = sql.SQL("false"), sql.SQL("true")
_S, _T = sql.Identifier("s"), sql.Identifier("t")


def stage(table: Table, columns: Sequence[str]) -> sql.Composed:
    """Make the staging table; `columns` may include those of `_EXTRA`."""
    own = [sql.Identifier(name) for name in columns if name not in _EXTRA]
    extra = [_EXTRA[name] for name in columns if name in _EXTRA]
    return sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
        STAGED, sql.SQL(", ").join([*extra, *own]), identifier(table)
    )


_EXTRA = {
    "_row": sql.SQL("0::bigint AS _row"),
    "_forced": sql.SQL("false AS _forced"),
    absence.COLUMN: sql.SQL("''::bytea AS {}").format(sql.Identifier(absence.COLUMN)),
}


def inline_rows(table: Table, rows: pa.Table) -> sql.Composed:
    """Return a FROM item with a few rows (`_row` and key columns), in the place of the staging table."""
    names = [name for name in rows.column_names if name in table.column_names]
    numbers = {"_row": rows["_row"].cast(pa.string())}
    return _inline(table, numbers | {name: texts(rows, table, name) for name in names})


def _inline(table: Table, cells: Mapping[str, pa.Array | pa.ChunkedArray]) -> sql.Composed:
    arrays = (
        sql.SQL("{}::{}[]").format(sql.Literal(array_literal(column)), _type(table, name))
        for name, column in cells.items()
    )
    return sql.SQL("unnest({}) AS s ({})").format(
        sql.SQL(", ").join(arrays), sql.SQL(", ").join(map(sql.Identifier, cells))
    )


def existing(table: Table, columns: Sequence[str], rows: sql.Composed = _STAGED_ROWS) -> sql.Composed:
    """(row, number of a key) of the rows that have a key of the table: the last one if they have several."""
    keys = keys_in(table, columns)
    cases = [
        sql.SQL("WHEN {} THEN {}").format(_is_found(number, key), sql.Literal(str(number)))
        for number, key in reversed(keys)
    ]
    return sql.SQL("SELECT s._row, CASE {} END FROM {} {} WHERE {}").format(
        sql.SQL(" ").join(cases), rows, _joins(table, columns), _any(keys)
    )


def compared(table: Table, columns: Sequence[str]) -> sql.Composed:
    """(row, verdict) of the staged rows that have a key of the table; see `Comparison` for the verdicts.

    A row means the stored row that has the first of its keys. `renaming`: a changed row that lacks some other key of
    its stored row. Another row of the file may name the stored row by that key, so the two can mean the same stored row
    without having a key in common.
    """
    keys = keys_in(table, columns)
    meanings = (
        sql.SQL("WHEN {} THEN CASE {} WHEN {} THEN 'changed' ELSE 'same' END").format(
            _has(table, columns, key),
            _key_verdicts(table, columns, number),
            _differs(table, columns, key, _by(number)),
        )
        for number, key in keys
    )
    return sql.SQL("SELECT s._row, CASE {} END FROM {} {} WHERE {}").format(
        sql.SQL(" ").join(meanings), _STAGED_ROWS, _joins(table, columns), _any(keys)
    )


def _key_verdicts(table: Table, columns: Sequence[str], first: int) -> sql.Composed:
    """Verdicts about a row whose first key has this number: its other keys may be those of other rows, or new."""
    key, stored = table.keys[first], _by(first)
    others = [(number, other) for number, other in keys_in(table, columns) if number > first]
    conflicts = [
        sql.SQL("({} AND NOT {})").format(_is_found(number, other), _same(key, _by(number), _S))
        for number, other in others
    ]
    renames = [
        sql.SQL("(NOT {} AND NOT {})").format(_is_found(number, other), _same(other, stored, _S))
        for number, other in others
    ]
    renames += _clearings(table, columns, first, stored)
    verdicts = list[sql.Composable]()
    if conflicts:
        verdicts.append(sql.SQL("WHEN {} THEN 'conflicting'").format(sql.SQL(" OR ").join(conflicts)))
    if renames:
        verdicts.append(sql.SQL("WHEN {} THEN 'renaming'").format(sql.SQL(" OR ").join(renames)))
    return sql.SQL(" ").join(verdicts)


def _clearings(
    table: Table, columns: Sequence[str], first: int, stored: sql.Composable
) -> list[sql.Composed]:
    """Return conditions that hold if a row sets NULL in a column of an earlier key that its stored row has."""
    names = dict.fromkeys(name for key in table.keys[:first] for name in key.columns if name in columns)
    may_clear = (table.column(name) for name in names if name not in table.keys[first].columns)
    return [
        sql.SQL("({} AND s.{name} IS NULL AND {}.{name} IS NOT NULL)").format(
            _says(table, columns, column), stored, name=sql.Identifier(column.name)
        )
        for column in may_clear
        if not column.null_keeps_stored and not column.required
    ]


def linked(table: Table, columns: Sequence[str]) -> sql.Composed:
    """Select (row, 'linked') for staged rows that have another value than their stored row in one of its keys, and for
    the staged rows that name that stored row by that key."""
    keys = keys_in(table, columns)
    pairs = [
        _linked_by(table, columns, first, other)
        for first, key in keys
        for other, _ in keys
        if first < other or (other < first and _clearings(table, columns, first, _T))
    ]
    return sql.SQL(" UNION ALL ").join(pairs)


def _linked_by(table: Table, columns: Sequence[str], first: int, other: int) -> sql.Composed:
    """The rows whose stored row is found by the key `first`, beside those that name its key `other`."""
    o = sql.Identifier("o")
    before = [_has(table, columns, key) for number, key in keys_in(table, columns) if number < first]
    return sql.SQL(
        """
        SELECT unnest(ARRAY[s._row, o._row]), 'linked'
        FROM {staged} AS s
        JOIN {table} AS t ON {means} AND {differs} AND NOT ({earlier})
        JOIN {staged} AS o ON {names}
        """
    ).format(
        staged=STAGED,
        table=identifier(table),
        means=_matches(table, columns, table.keys[first], _T, _S),
        differs=sql.SQL("NOT {}").format(_same(table.keys[other], _T, _S)),
        earlier=sql.SQL(" OR ").join(before) if before else _NO,
        names=_matches(table, columns, table.keys[other], _T, o),
    )


def packed(query: sql.Composed) -> sql.Composed:
    """(verdict, rows) of a query for (row, verdict): about a million big-endian bigints in one value.

    Each result row has a fixed cost, so many row numbers are returned in one value.
    """
    return sql.SQL(
        "SELECT verdict, string_agg(int8send(row), '') FROM ({}) AS found (row, verdict) "
        "GROUP BY verdict, row >> 20"
    ).format(query)


HAS_POLICIES = "SELECT row_security_active(%s::regclass)"
"""Return whether row-level security of a table applies to the login, which COPY into it does not work with."""


def insert_unless_taken(table: Table, columns: Sequence[str]) -> sql.Composed:
    """Insert the staged rows, in their order, where no unique constraint forbids it."""
    return insert(table, columns) + sql.SQL(" ON CONFLICT DO NOTHING")


def insert(table: Table, columns: Sequence[str]) -> sql.Composed:
    """Insert the staged rows, in their order."""
    names = _names(columns)
    overriding = any(table.column(name).identity is Identity.ALWAYS for name in columns if name not in _EXTRA)
    return sql.SQL("INSERT INTO {} ({}) {} SELECT {} FROM {}").format(
        identifier(table),
        names,
        sql.SQL("OVERRIDING SYSTEM VALUE" if overriding else ""),
        names,
        STAGED,
    )


def update(table: Table, columns: Sequence[str], by: Key) -> sql.Composed:
    """Change the rows of the table that differ from the staged ones, found by a key."""
    return sql.SQL("UPDATE {} AS t SET {} FROM {} WHERE {}").format(
        identifier(table),
        sql.SQL(", ").join(_assignments(table, columns, by)),
        _STAGED_ROWS,
        _to_change(table, columns, by),
    )


def changes_something(table: Table, columns: Sequence[str], by: Key) -> bool:
    """Return whether an update by a key has any column to set."""
    return any(True for _ in _assignments(table, columns, by))


def to_change(table: Table, columns: Sequence[str], by: Key) -> sql.Composed:
    """The staged rows that `update` would write."""
    return sql.SQL("SELECT s._row FROM {} AS t, {} WHERE {}").format(
        identifier(table), _STAGED_ROWS, _to_change(table, columns, by)
    )


def unmet(table: Table, columns: Sequence[str], by: Key) -> sql.Composed:
    """The staged rows that meet no row of the table."""
    return sql.SQL("SELECT s._row FROM {} WHERE NOT EXISTS (SELECT FROM {} AS t WHERE {})").format(
        _STAGED_ROWS,
        identifier(table),
        _matches(table, columns, by, _T, _S),
    )


TEXT_FORMS = """
    SELECT
        set_config('DateStyle', 'ISO, YMD', true),
        set_config('IntervalStyle', 'iso_8601', true),
        set_config('bytea_output', 'hex', true),
        set_config('extra_float_digits', '1', true)
"""
"""For the rest of a transaction, whatever the settings of server and role are: what is read as text has one form."""


def owners(table: Table, key: Key, cells: Texts) -> sql.Composed:
    """The key columns, as text, of the stored rows that have one of several values of a key."""
    stored = sql.SQL(", ").join(
        sql.SQL("t.{}::text").format(sql.Identifier(name)) for name in table.key_columns
    )
    if len(key.columns) == 1 and key.nulls_distinct:
        (name,) = key.columns
        values = cells[name].unique().drop_null()
        return sql.SQL("SELECT {} FROM {} AS t WHERE t.{} = ANY ({}::{}[])").format(
            stored,
            identifier(table),
            sql.Identifier(name),
            sql.Literal(array_literal(values)),
            _type(table, name),
        )
    return sql.SQL("SELECT {} FROM {} AS t WHERE EXISTS (SELECT FROM {} WHERE {})").format(
        stored,
        identifier(table),
        _inline(table, {name: cells[name] for name in key.columns}),
        _matches(table, key.columns, key, _T, _S),
    )


def rekey(table: Table, by: Key, cells: KeyCells) -> sql.Composed:
    """Give the row that has a key other key columns. Values are literals: with parameters, % has a meaning in names."""
    values = {name: sql.Literal(text) for name, text in cells.items()}
    changes = (
        sql.SQL("{} = {}").format(sql.Identifier(name), value)
        for name, value in values.items()
        if name not in by.columns
    )
    equal = sql.SQL("{} = {}" if by.nulls_distinct else "{} IS NOT DISTINCT FROM {}")
    found = (equal.format(sql.Identifier(name), values[name]) for name in by.columns)
    return sql.SQL("UPDATE {} SET {} WHERE {}").format(
        identifier(table), sql.SQL(", ").join(changes), sql.SQL(" AND ").join(found)
    )


def move_sequence(table: Table, name: str, least: int, most: int) -> sql.Composed:
    """Let the sequence of a column go on behind a number: upwards behind `most`, or downwards behind `least`."""
    return sql.SQL(
        """
        SELECT setval(sequence.oid::regclass, sequence.number)
        FROM (
            SELECT
                seqrelid AS oid,
                seqstart AS start,
                CASE WHEN seqincrement > 0 THEN least({most}, seqmax) ELSE greatest({least}, seqmin) END AS number,
                sign(seqincrement) AS direction
            FROM pg_sequence
            WHERE seqrelid = pg_get_serial_sequence({table}, {column})::regclass
        ) AS sequence
        WHERE coalesce(
            direction * (number - pg_sequence_last_value(sequence.oid)) > 0, direction * (number - start) >= 0
        )
        """
    ).format(
        least=sql.Literal(least),
        most=sql.Literal(most),
        table=sql.Literal(quoted(table)),
        column=sql.Literal(name),
    )


CHECKS = """
    SELECT con.conname, pg_get_expr(con.conbin, con.conrelid), pg_get_expr(con.conbin, con.conrelid, true)
    FROM pg_constraint AS con
    WHERE con.contype = 'c' AND con.conrelid = %s::regclass AND NOT EXISTS (
        SELECT FROM pg_attribute AS att
        WHERE att.attrelid = con.conrelid AND att.attnum = ANY (con.conkey) AND att.attname <> ALL (%s)
    )
    ORDER BY con.conname
"""
"""(name, expression, expression as people write it) of the check constraints that are about these columns of a table
only."""


def broken(checks: Iterable[tuple[str, LiteralString]]) -> sql.Composed:
    """(row, name) of the staged rows that break one of the constraints. The expressions are the catalogue's."""
    cases = [
        sql.SQL("WHEN ({}) IS FALSE THEN {}").format(sql.SQL(expression), sql.Literal(name))
        for name, expression in checks
    ]
    return sql.SQL(
        "SELECT * FROM (SELECT _row, CASE {} END AS name FROM {}) AS checked WHERE name IS NOT NULL"
    ).format(sql.SQL(" ").join(cases), STAGED)


def missing(
    key: ForeignKey, child: Table, values: Mapping[str, pa.Array], held: bool = False
) -> sql.Composed:
    """The places, from 1 on, of those of several values that refer to no row.

    `values`: the texts of each column of the foreign key. `held`: keep the rows that the others refer to from being
    removed.
    """
    columns = [sql.Identifier(name) for name in key.references]
    arrays = [
        sql.SQL("{}::{}[]").format(sql.Literal(array_literal(values[name])), _type(child, name))
        for name in key.columns
    ]
    named = [sql.Identifier(f"c{number}") for number in range(len(columns))]
    listed = sql.SQL(", ").join(sql.SQL("t.{}").format(column) for column in columns)
    given = sql.SQL("unnest({})").format(sql.SQL(", ").join(arrays))
    if len(columns) == 1:
        found = sql.SQL("t.{} = ANY ({})").format(columns[0], arrays[0])
    else:
        found = sql.SQL("({}) IN (SELECT * FROM {})").format(listed, given)
    same = (
        sql.SQL("found.{} = given.{}").format(column, value)
        for column, value in zip(columns, named, strict=True)
    )
    return sql.SQL(
        """
        WITH found AS (SELECT {listed} FROM {parent} AS t WHERE {found}{lock})
        SELECT given.place FROM {given} WITH ORDINALITY AS given ({named}, place)
        WHERE NOT EXISTS (SELECT FROM found WHERE {same})
        """
    ).format(
        listed=listed,
        parent=identifier(key.parent),
        found=found,
        lock=sql.SQL(" FOR KEY SHARE" if held else ""),
        given=given,
        named=sql.SQL(", ").join(named),
        same=sql.SQL(" AND ").join(same),
    )


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
"""True if ON CONFLICT works: Postgres refuses it with a deferrable unique constraint."""


def _to_change(table: Table, columns: Sequence[str], by: Key) -> sql.Composed:
    return sql.SQL("{} AND ({} OR {})").format(
        _matches(table, columns, by, _T, _S),
        sql.SQL("s._forced") if "_forced" in columns else _NO,
        _differs(table, columns, by, _T),
    )


def _type(table: Table, name: str) -> sql.SQL:
    if name == "_row":
        return sql.SQL("bigint")
    return sql.SQL(table.column(name).type.facts.postgres)


def _differs(table: Table, columns: Sequence[str], by: Key, stored: sql.Composable) -> sql.Composed:
    """Return the condition that a staged row changes more than touch columns of the row with its key `by`."""
    tests = [
        sql.SQL("({} AND {} IS DISTINCT FROM {})").format(
            _says(table, columns, column),
            _compared(column, sql.Identifier("s")),
            _compared(column, stored),
        )
        for column in _written(table, columns, by)
    ]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(tests)) if tests else sql.Composed([_NO])


def _compared(column: Column, row: sql.Composable) -> sql.Composed:
    return sql.SQL(column.type.facts.compared).format(
        sql.SQL("{}.{}").format(row, sql.Identifier(column.name))
    )


def _assignments(table: Table, columns: Sequence[str], by: Key) -> Iterator[sql.Composed]:
    for column in _written(table, columns, by):
        name = sql.Identifier(column.name)
        value = sql.SQL("s.{name}")
        if column.null_keeps_stored:
            value = sql.SQL("coalesce(s.{name}, t.{name})")
        elif absence.COLUMN in columns:
            value = sql.SQL("CASE WHEN {says} THEN s.{name} ELSE t.{name} END")
        yield sql.SQL("{name} = {value}").format(
            name=name, value=value.format(name=name, says=_says(table, columns, column))
        )
    for touched in table.touch:
        name = sql.Identifier(touched)
        value = sql.SQL("coalesce(s.{}, now())").format(name) if touched in columns else sql.SQL("now()")
        yield sql.SQL("{} = {}").format(name, value)


def _says(table: Table, columns: Collection[str], column: Column, row: sql.Composable = _S) -> sql.Composable:
    """Return the condition that a staged row has a value or NULL for the column."""
    if column.null_keeps_stored:
        return sql.SQL("{}.{} IS NOT NULL").format(row, sql.Identifier(column.name))
    if absence.COLUMN not in columns:
        return _YES
    return sql.SQL("get_bit({}.{}, {}) = 0").format(
        row, sql.Identifier(absence.COLUMN), sql.Literal(table.columns.index(column))
    )


def _written(table: Table, columns: Collection[str], by: Key) -> Iterator[Column]:
    """The columns that an update by a key may change, besides touch columns.

    A row that is found by a later key has NULL in an id that is made, and leaves it as it is: login rights and triggers
    may be about this column alone.
    """
    before = table.keys[: table.keys.index(by)]
    ids = {key.columns[0] for key in before if len(key.columns) == 1}
    for column in table.columns:
        is_left = column.name in table.touch or column.name in by.columns
        is_left |= column.identity is Identity.ALWAYS or (column.is_made and column.name in ids)
        if column.name in columns and not is_left:
            yield column


def _names(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in columns if name not in _EXTRA)


def _joins(table: Table, columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(" ").join(
        sql.SQL("LEFT JOIN {} AS {} ON {}").format(
            identifier(table),
            _by(number),
            _matches(table, columns, key, _by(number), _S),
        )
        for number, key in keys_in(table, columns)
    )


def _any(keys: Iterable[tuple[int, Key]]) -> sql.Composed:
    return sql.SQL(" OR ").join(_is_found(number, key) for number, key in keys)


def _is_found(number: int, key: Key) -> sql.Composed:
    """Return the condition that a stored row has the staged row's key of that number.

    No column of a plain key is NULL in a match.
    """
    found = sql.Identifier(key.columns[0]) if key.nulls_distinct else sql.SQL("tableoid")
    return sql.SQL("{}.{} IS NOT NULL").format(_by(number), found)


def _has(table: Table, columns: Sequence[str], key: Key) -> sql.Composable:
    """Return the condition that a staged row has the key."""
    tests = [
        sql.SQL("s.{} IS NOT NULL").format(sql.Identifier(name))
        if key.nulls_distinct
        else _says(table, columns, table.column(name))
        for name in key.columns
    ]
    return sql.SQL("({})").format(sql.SQL(" AND ").join(tests))


def _matches(
    table: Table, columns: Sequence[str], key: Key, stored: sql.Composable, row: sql.Composable
) -> sql.Composed:
    """Return the condition that a stored row has the key of a row.

    Arrays, unlike NULLs, are equal if their elements are, and can be hashed.
    """
    if key.nulls_distinct:
        equal = sql.SQL("{stored}.{name} = {row}.{name}")
        says = []
    else:
        equal = sql.SQL("ARRAY[{stored}.{name}] = ARRAY[{row}.{name}]")
        says = [_says(table, columns, table.column(name), row) for name in key.columns]
    tests = [equal.format(stored=stored, row=row, name=sql.Identifier(name)) for name in key.columns]
    return sql.SQL("({})").format(sql.SQL(" AND ").join([*tests, *says]))


def _same(key: Key, one: sql.Composable, other: sql.Composable) -> sql.Composed:
    """Return the condition that two rows, of which one may not have the key, have equal values in its columns."""
    tests = (
        sql.SQL("{one}.{name} IS NOT DISTINCT FROM {other}.{name}").format(
            one=one, other=other, name=sql.Identifier(name)
        )
        for name in key.columns
    )
    return sql.SQL("({})").format(sql.SQL(" AND ").join(tests))


def _by(number: int) -> sql.Identifier:
    """The row of the table that has the staged row's key of that number."""
    return sql.Identifier(f"by_{number}")
