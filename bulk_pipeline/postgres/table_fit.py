"""Checks that a table of the database can take an upload: its columns, their types, the login's rights.

Binary COPY does not check this: it stores eight letters as a `bigint`, and drops the offset of a time in a column
without time zone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from bulk_pipeline.errors import LoadRefusedError, StoreUnavailableError
from bulk_pipeline.postgres import drift
from bulk_pipeline.postgres.catalogue import find_tables, grants
from bulk_pipeline.postgres.connection import Postgres, first_line
from bulk_pipeline.postgres.names import quoted
from bulk_pipeline.postgres.sqlstates import Meaning, meaning
from bulk_pipeline.schema import Column, Generated, Mode, Table, TableName

_CHANGE = (
    "change the table or its declaration so that they agree (`bulk-pipeline doctor` lists where they differ)"
)
_UPDATE = "change the table, or let its file follow it: `bulk-pipeline adopt --update"


@dataclass(frozen=True)
class LoadProblem:
    """An obstacle to loading rows, and the remedy; both in words."""

    problem: str
    remedy: str


def check_fit(connection: psycopg.Connection, table: Table, columns: Iterable[str], mode: Mode) -> None:
    """Raise `LoadRefusedError` if the table cannot take rows with these columns."""
    if found := obstacles(connection, table, columns, mode):
        raise LoadRefusedError(_sentence(table, found))


def problems(postgres: Postgres, tables: Sequence[Table]) -> list[str]:
    """One sentence for each way in which the database is not what is declared, or does not let us load."""
    different = _answers(postgres, lambda connection: drift.drift(connection, tables))
    return list(dict.fromkeys([*different, *load_problems(postgres, tables)]))


def load_problems(postgres: Postgres, tables: Sequence[Table]) -> list[str]:
    """Return a sentence for each reason why an import would fail; `problems` adds the differences from the declaration,
    which an import can tolerate."""
    return _answers(postgres, lambda connection: _all(connection, tables))


def diagnose(postgres: Postgres, table: Table) -> list[LoadProblem]:
    """Return what one table lacks to be imported and exported as declared: each right with its GRANT, then differences.

    The rights are those of the login, its own and inherited ones. Raises `StoreUnavailableError`.
    """
    where = (table.schema, table.name)
    with postgres.transaction() as connection:
        login = connection.info.user
        stored = find_tables(connection, [where], login).get(where)
    if stored is None:
        return [
            LoadProblem(f"table {table.qualified_name} is missing", "create it, or remove its declaration")
        ]
    found = [
        LoadProblem(f"the login {login} lacks {statement[6:].partition(' TO ')[0]}", statement)
        for statement in grants(stored, login)
    ]
    if stored.bars_inserts:
        found.append(_policies(table, login))
    differences = drift.compare(table, stored)
    return found + [LoadProblem(sentence, f"{_UPDATE} {table.qualified_name}`") for sentence in differences]


def obstacles(
    connection: psycopg.Connection, table: Table, columns: Iterable[str], mode: Mode
) -> list[LoadProblem]:
    """Return the obstacles to loading rows with these columns in that mode; empty if there are none."""
    parents_by_name = {quoted(TableName.parse(parent)): parent for parent in table.parents}
    title = str(table.qualified_name)
    asked = {"table": quoted(table), "parents": list(parents_by_name)}
    facts = connection.execute(_FACTS, asked).fetchone()
    if facts is None:
        return [LoadProblem(f"table {title} is missing", "run the migration that creates it")]
    kind, login, bars_inserts, parents, rows = facts
    if kind not in ("r", "p", "f"):
        return [LoadProblem(f"{title} is a view, declared as a table", _CHANGE)]
    found = list(_parent_obstacles([(parents_by_name[name], may) for name, may in parents], login))
    if bars_inserts:
        found.append(_policies(table, login))
    stored = {name: facts for name, *facts in rows or ()}
    if mode.rules.needs_key and not table.keys:
        found.append(
            LoadProblem(
                f"{title} has no key by which {mode} could find its rows",
                f"import in {Mode.INSERT_ONLY}, or add a unique key to the table and its declaration",
            )
        )
    for name, facts in stored.items():
        if facts[-1] and name not in table.column_names:
            found.append(LoadProblem(f"{title}.{name} must have a value, and is not declared", _CHANGE))
    written = dict.fromkeys([*columns, *(c.name for c in table.columns if c.generated is Generated.UUID)])
    needed = dict.fromkeys([*written, *table.key_columns])
    for name in needed:
        if name not in stored:
            found.append(LoadProblem(f"{title}.{name} is missing", _CHANGE))
        else:
            found += _column_obstacles(table, table.column(name), stored[name])
    denied = dict.fromkeys(
        right for name in needed if name in stored for right in _denied(stored[name], mode, name in written)
    )
    found += [
        LoadProblem(
            f"the login {login} has no right to {right} on {title}",
            f"GRANT {right} ON {title} TO {login}",
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
    found = (
        obstacles(connection, table, table.column_names, Mode.UPSERT if table.keys else Mode.INSERT_ONLY)
        for table in tables
    )
    return [obstacle.problem for of_table in found for obstacle in of_table]


def _explained(postgres: Postgres, table: Table, error: psycopg.Error) -> str:
    said = f"Postgres refuses to load {table.qualified_name}: {first_line(error)}"
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


def _sentence(table: Table, found: Sequence[LoadProblem]) -> str:
    what = "; ".join(obstacle.problem for obstacle in found)
    remedies = "; ".join(dict.fromkeys(obstacle.remedy for obstacle in found))
    return f"{table.qualified_name} cannot be loaded: {what}. To mend it: {remedies}; then retry the job"


def _policies(table: Table, login: str) -> LoadProblem:
    return LoadProblem(
        f"row-level security of {table.qualified_name} applies to the login {login}, and no policy lets it insert rows",
        f"create a policy FOR INSERT, or let the owner or a role with BYPASSRLS load (ALTER ROLE {login} BYPASSRLS)",
    )


def _column_obstacles(table: Table, column: Column, facts: Sequence[object]) -> Iterator[LoadProblem]:
    type_, receives, modifier, is_generated, *_ = facts
    name = f"{table.qualified_name}.{column.name}"
    if is_generated and column.is_writable:
        yield LoadProblem(f"{name} is generated by the database, declared as a column of the file", _CHANGE)
    whole = column.type.facts.whole_modifiers
    is_rounded = bool(whole) and modifier not in whole
    is_text = not column.receives  # which Postgres reads itself
    if not is_text and (receives not in column.receives or is_rounded):
        yield LoadProblem(f"{name} is {type_}, declared as {drift.declared_type(column)}", _CHANGE)


def _denied(facts: Sequence[object], mode: Mode, is_written: bool) -> Iterator[str]:
    *_, may_select, may_insert, may_update, _ = facts
    if not may_select:
        yield "SELECT"
    if is_written and not may_insert:
        yield "INSERT"
    if is_written and not may_update and mode.rules.updates_rows:
        yield "UPDATE"


def _parent_obstacles(parents: Sequence[tuple[str, bool | None]], login: str) -> Iterator[LoadProblem]:
    for name, may_select in parents:
        if may_select is None:
            yield LoadProblem(f"table {name} is missing", "run the migration that creates it")
        elif not may_select:
            yield LoadProblem(
                f"the login {login} has no right to SELECT on {name}", f"GRANT SELECT ON {name} TO {login}"
            )


_FACTS = """
    SELECT
        class.relkind::text,
        current_user::text,
        row_security_active(class.oid) AND NOT EXISTS (
            SELECT FROM pg_policy AS policy, unnest(policy.polroles) AS granted
            WHERE policy.polrelid = class.oid AND policy.polpermissive AND policy.polcmd IN ('*', 'a')
                AND (granted = 0 OR pg_has_role(granted, 'USAGE'))
        ),
        (
            SELECT coalesce(jsonb_agg(jsonb_build_array(
                parent, has_any_column_privilege(to_regclass(parent)::oid, 'SELECT')
            )), '[]')
            FROM unnest(%(parents)s::text[]) AS parent
        ),
        (
            SELECT jsonb_agg(jsonb_build_array(
                attribute.attname,
                format_type(attribute.atttypid, attribute.atttypmod),
                base.typreceive::text || CASE base.typreceive::text
                    WHEN 'array_recv' THEN ' ' || base.typelem::regtype::text ELSE '' END,
                coalesce(nullif(attribute.atttypmod, -1), nullif(type.typtypmod, -1), nullif(under.typtypmod, -1), -1),
                attribute.attgenerated <> '',
                has_column_privilege(class.oid, attribute.attnum, 'SELECT'),
                has_column_privilege(class.oid, attribute.attnum, 'INSERT'),
                has_column_privilege(class.oid, attribute.attnum, 'UPDATE'),
                attribute.attnotnull AND NOT attribute.atthasdef AND attribute.attidentity = ''
                    AND type.typdefault IS NULL AND NOT EXISTS (
                        SELECT FROM pg_trigger AS made
                        WHERE made.tgrelid = class.oid AND made.tgtype & 7 = 7 AND made.tgenabled <> 'D'
                    )
            ))
            FROM pg_attribute AS attribute
            JOIN pg_type AS type ON type.oid = attribute.atttypid
            LEFT JOIN pg_type AS under ON under.oid = type.typbasetype
            LEFT JOIN pg_type AS deeper ON deeper.oid = under.typbasetype
            JOIN pg_type AS base ON base.oid = coalesce(deeper.oid, under.oid, type.oid)
            WHERE attribute.attrelid = class.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
        )
    FROM pg_class AS class
    WHERE class.oid = to_regclass(%(table)s)
"""
