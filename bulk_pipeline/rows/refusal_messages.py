"""Messages of failures for rows that Postgres refuses: its own words, the column, the limit."""

import re

import psycopg
from psycopg import errors

from bulk_pipeline.errors import IndexLimit, RowsRefusedError
from bulk_pipeline.postgres.sqlstates import is_raised

_MOST_CHARACTERS = 300
_KEY = re.compile(r"\(([^()]+)\)=\(")
"""The column in "Key (phone)=(70001) already exists.", in every language."""
_COPY_COLUMN = re.compile(r"^COPY [^,]+, \w+ \d+, \w+ ([^:\n]+)", re.MULTILINE)
"""The column in "COPY articles, line 2, column title", in every language."""
_FUNCTION = re.compile(r"^PL/pgSQL.*\(.*\) .*$", re.MULTILINE)
"""Where a function has failed: "PL/pgSQL function change() line 1 at assignment"."""
_QUOTED = re.compile(r"[\"«»„“”].*[\"«»„“”]")
_NUMBER = re.compile(r"\d+")


def refusal(connection: psycopg.Connection, error: psycopg.Error) -> RowsRefusedError:
    """Return the refusal that an error means. `connection`: usable again, as the savepoint has ended."""
    diag = error.diag
    said = _one_line(diag.message_primary or type(error).__name__)
    name = diag.constraint_name
    match error:
        case errors.ProgramLimitExceeded():
            return RowsRefusedError(said, index_limit=_index_limit(connection, error))
        case errors.NotNullViolation() if diag.column_name:
            return RowsRefusedError(
                f"{diag.column_name} must have a value (NOT NULL)", column=diag.column_name
            )
        case errors.CheckViolation() if name and not is_raised(error):
            return RowsRefusedError(broken_check(name, _condition(connection, error)))
        case _:
            pass
    if is_raised(error):
        told = "; ".join(map(_one_line, filter(None, (said, diag.message_detail, diag.message_hint))))
        return RowsRefusedError(f"constraint {name}: {told}" if name else told)
    if name:
        detail = _one_line(diag.message_detail or said)
        return RowsRefusedError(f"constraint {name}: {detail}", column=_first(_KEY, diag.message_detail))
    if column := _first(_COPY_COLUMN, diag.context):
        return RowsRefusedError(f"{column}: {said}", column=column)
    function = _FUNCTION.search(diag.context or "")
    return RowsRefusedError(f"{said} ({_one_line(function[0])})" if function else said)


def broken_check(name: str, condition: str | None) -> str:
    """Return the reason of a row that breaks a check constraint: its name, and its condition where that is known."""
    return f"constraint {name}: {_one_line(f'CHECK ({condition})')}" if condition else f"constraint {name}"


def _condition(connection: psycopg.Connection, error: psycopg.Error) -> str | None:
    """Return the condition of the check of a table or a domain; None if others have removed it."""
    diag = error.diag
    places = [diag.schema_name, diag.constraint_name, diag.table_name, diag.datatype_name]
    (condition,) = connection.execute(_CHECK, places).fetchone() or (None,)
    return condition


def _index_limit(connection: psycopg.Connection, error: psycopg.Error) -> IndexLimit | None:
    """From "index row size 5016 exceeds btree version 4 maximum 2704 for index …" and its like; None from others."""
    said = error.diag.message_primary or ""
    sizes = [int(number) for number in _NUMBER.findall(_QUOTED.sub("", said))]
    table, index = error.diag.table_name, error.diag.constraint_name
    if error.sqlstate != "54000" or len(sizes) < 2:
        return None
    columns = connection.execute(_INDEX_COLUMNS, [error.diag.schema_name, table, index]).fetchall()
    return IndexLimit(index, tuple(name for (name,) in columns), sizes[0], sizes[-1])


def _first(pattern: re.Pattern[str], text: str | None) -> str | None:
    found = pattern.search(text or "")
    return found[1] if found else None


def _one_line(text: str) -> str:
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= _MOST_CHARACTERS else line[: _MOST_CHARACTERS - 1] + "…"


_CHECK = """
    SELECT pg_get_expr(con.conbin, con.conrelid, true)
    FROM pg_constraint AS con
    LEFT JOIN pg_class AS class ON class.oid = con.conrelid
    LEFT JOIN pg_type AS type ON type.oid = con.contypid
    JOIN pg_namespace AS space ON space.oid = coalesce(class.relnamespace, type.typnamespace)
    WHERE con.contype = 'c' AND space.nspname = %s AND con.conname = %s AND (class.relname = %s OR type.typname = %s)
"""

_INDEX_COLUMNS = """
    SELECT attribute.attname
    FROM pg_class AS class
    JOIN pg_namespace AS space ON space.oid = class.relnamespace
    JOIN pg_index AS index ON index.indrelid = class.oid
    JOIN pg_class AS named ON named.oid = index.indexrelid
    JOIN pg_attribute AS attribute
        ON attribute.attrelid = class.oid AND attribute.attnum = ANY (index.indkey::smallint[])
    WHERE space.nspname = %s AND class.relname = %s AND named.relname = %s AND attribute.attnum > 0
"""
