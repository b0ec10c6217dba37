"""Whether a table of the database can take what is loaded into it: its columns, their types, the login's rights.

COPY's binary format does not find out by itself: eight letters are a `bigint` to it, and times lose their offset in a
column without one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from bulk_pipeline.errors import LoadRefusedError, StoreUnavailableError
from bulk_pipeline.schema import Column, ColumnType, Mode, Table
from bulk_pipeline.stores import catalogue
from bulk_pipeline.stores.postgres import Postgres, first_line
from bulk_pipeline.stores.sqlstates import Meaning, meaning

_CHANGE = (
    "change the table or its declaration so that they agree (`bulk-pipeline doctor` lists where they differ)"
)
_RECEIVED = {
    ColumnType.TEXT: (
        *("textrecv", "varcharrecv", "bpcharrecv", "citextrecv", "namerecv"),
        *("enum_recv", "json_recv", "xml_recv"),
    ),
    ColumnType.UUID: ("uuid_recv",),
    ColumnType.TIMESTAMP: ("timestamptz_recv",),
    ColumnType.BOOLEAN: ("boolrecv",),
    ColumnType.TEXT_ARRAY: ("array_recv text",),
}
"""The functions that read what we send for a type (pg_type.typreceive)."""
_WHOLE_MICROSECONDS = (-1, 6)


@dataclass(frozen=True)
class Obstacle:
    """What keeps rows from being loaded, and what to do about it; both in words."""

    problem: str
    remedy: str


def check_fit(connection: psycopg.Connection, table: Table, columns: Iterable[str], mode: Mode) -> None:
    """Raise `LoadRefusedError` if the table cannot take rows with these columns."""
    if found := obstacles(connection, table, columns, mode):
        raise LoadRefusedError(_sentence(table, found))


def problems(postgres: Postgres, tables: Sequence[Table]) -> list[str]:
    """One sentence for each way in which the database is not what is declared, or does not let us load."""
    return _answers(
        postgres, lambda connection: [*catalogue.drift(connection, tables), *_all(connection, tables)]
    )


def load_problems(postgres: Postgres, tables: Sequence[Table]) -> list[str]:
    """One sentence for each reason why imports fail."""
    return _answers(postgres, lambda connection: _all(connection, tables))


def obstacles(
    connection: psycopg.Connection, table: Table, columns: Iterable[str], mode: Mode
) -> list[Obstacle]:
    """What keeps rows with these columns from being loaded in that mode; empty if all is well."""
    asked = {"table": table.name, "parents": list(table.parents)}
    facts = connection.execute(_FACTS, asked).fetchone()
    if facts is None:
        return [Obstacle(f"table {table.name} is missing", "run the migration that creates it")]
    kind, login, has_policies, parents, rows = facts
    if kind not in ("r", "p", "f"):
        return [Obstacle(f"{table.name} is a view, declared as a table", _CHANGE)]
    found = list(_parent_obstacles(parents, login))
    if has_policies:
        found.append(
            Obstacle(
                f"row-level security of {table.name} applies to the login {login}",
                f"let the owner or a role with BYPASSRLS load (ALTER ROLE {login} BYPASSRLS)",
            )
        )
    stored = {name: facts for name, *facts in rows or ()}
    needed = dict.fromkeys([*columns, "id"])
    for name in needed:
        if name not in stored:
            found.append(Obstacle(f"{table.name}.{name} is missing", _CHANGE))
        else:
            found += _column_obstacles(table, table.column(name), stored[name])
    denied = dict.fromkeys(
        right for name in needed if name in stored for right in _denied(stored[name], mode)
    )
    found += [
        Obstacle(
            f"the login {login} has no right to {right} on {table.name}",
            f"GRANT {right} ON {table.name} TO {login}",
        )
        for right in denied
    ]
    return found


@contextmanager
def load_refusals(postgres: Postgres, table: Table) -> Iterator[None]:
    """Raise `LoadRefusedError`, with the reason and the remedy, where Postgres refuses what is no row's fault."""
    try:
        yield
    except psycopg.Error as error:
        if meaning(error) not in (Meaning.REFUSAL, Meaning.ROWS):
            raise
        raise LoadRefusedError(_explained(postgres, table, error)) from error


def _answers(postgres: Postgres, question: Callable[[psycopg.Connection], list[str]]) -> list[str]:
    """Return each answer once; if Postgres refuses to answer, its refusal is the only one."""
    try:
        with postgres.transaction() as connection:
            return list(dict.fromkeys(question(connection)))
    except psycopg.Error as error:
        return [f"Postgres at {postgres.host}: {first_line(error)}"]


def _all(connection: psycopg.Connection, tables: Sequence[Table]) -> list[str]:
    found = (obstacles(connection, table, table.column_names, Mode.UPSERT) for table in tables)
    return [obstacle.problem for of_table in found for obstacle in of_table]


def _explained(postgres: Postgres, table: Table, error: psycopg.Error) -> str:
    said = f"Postgres refuses to load {table.name}: {first_line(error)}"
    where = (error.diag.context or "").partition("\n")[0]
    if where.startswith("PL/pgSQL"):
        return f"{said} ({where}): mend the trigger, then retry the job"
    try:
        with postgres.reading() as connection:
            found = obstacles(connection, table, table.column_names, Mode.UPSERT)
    except (psycopg.Error, StoreUnavailableError):
        found = []
    if found:
        return f"{_sentence(table, found)} ({said})"
    hint = f"; {error.diag.message_hint}" if error.diag.message_hint else ""
    return f"{said}{hint}: {_CHANGE}, then retry the job"


def _sentence(table: Table, found: Sequence[Obstacle]) -> str:
    what = "; ".join(obstacle.problem for obstacle in found)
    remedies = "; ".join(dict.fromkeys(obstacle.remedy for obstacle in found))
    return f"{table.name} cannot be loaded: {what}. To mend it: {remedies}; then retry the job"


def _column_obstacles(table: Table, column: Column, facts: Sequence[object]) -> Iterator[Obstacle]:
    type_, receives, modifier, is_generated, *_ = facts
    name = f"{table.name}.{column.name}"
    if is_generated:
        yield Obstacle(f"{name} is generated by the database, declared as a column of the file", _CHANGE)
    is_rounded = column.type is ColumnType.TIMESTAMP and modifier not in _WHOLE_MICROSECONDS
    if receives not in _RECEIVED[column.type] or is_rounded:
        yield Obstacle(f"{name} is {type_}, declared as {catalogue.declared_type(column)}", _CHANGE)


def _denied(facts: Sequence[object], mode: Mode) -> Iterator[str]:
    *_, may_select, may_insert, may_update = facts
    if not may_select:
        yield "SELECT"
    if not may_insert:
        yield "INSERT"
    if not may_update and mode.updates_rows:
        yield "UPDATE"


def _parent_obstacles(parents: Sequence[tuple[str, bool | None]], login: str) -> Iterator[Obstacle]:
    for name, may_select in parents:
        if may_select is None:
            yield Obstacle(f"table {name} is missing", "run the migration that creates it")
        elif not may_select:
            yield Obstacle(
                f"the login {login} has no right to SELECT on {name}", f"GRANT SELECT ON {name} TO {login}"
            )


_FACTS = """
    SELECT
        class.relkind::text,
        current_user::text,
        row_security_active(class.oid),
        (
            SELECT coalesce(jsonb_agg(jsonb_build_array(
                parent, has_any_column_privilege(to_regclass(quote_ident(parent))::oid, 'SELECT')
            )), '[]')
            FROM unnest(%(parents)s::text[]) AS parent
        ),
        (
            SELECT jsonb_agg(jsonb_build_array(
                attribute.attname,
                format_type(attribute.atttypid, attribute.atttypmod),
                base.typreceive::text || CASE base.typreceive::text
                    WHEN 'array_recv' THEN ' ' || base.typelem::regtype::text ELSE '' END,
                attribute.atttypmod,
                attribute.attgenerated <> '',
                has_column_privilege(class.oid, attribute.attnum, 'SELECT'),
                has_column_privilege(class.oid, attribute.attnum, 'INSERT'),
                has_column_privilege(class.oid, attribute.attnum, 'UPDATE')
            ))
            FROM pg_attribute AS attribute
            JOIN pg_type AS type ON type.oid = attribute.atttypid
            LEFT JOIN pg_type AS under ON under.oid = type.typbasetype
            LEFT JOIN pg_type AS deeper ON deeper.oid = under.typbasetype
            JOIN pg_type AS base ON base.oid = coalesce(deeper.oid, under.oid, type.oid)
            WHERE attribute.attrelid = class.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
        )
    FROM pg_class AS class
    WHERE class.oid = to_regclass(quote_ident(%(table)s))
"""
