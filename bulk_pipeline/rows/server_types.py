"""Asks Postgres which texts are values of a type; the protocol is `stages.validate.server_types.ServerTypes`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psycopg
import pyarrow as pa
from psycopg import sql

from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.postgres.sqlstates import Meaning, meaning
from bulk_pipeline.postgres.table_fit import load_refusals
from bulk_pipeline.rows.copy import ISO_DATES, array_literal
from bulk_pipeline.schema import Table
from bulk_pipeline.schema.type_facts import literal
from bulk_pipeline.stages.failures import Code, FailureCode
from bulk_pipeline.stages.validate.server_types import Refusal

_FIRST_WITH_SOFT_ERRORS = 160_000


@dataclass(frozen=True)
class PostgresServerTypes:
    """The types of the columns of one table. May raise `StoreUnavailableError` and `LoadRefusedError`."""

    postgres: Postgres
    table: Table

    def refused(self, type_: str, texts: pa.Array) -> Mapping[str, Refusal]:
        with load_refusals(self.postgres, self.table), self.postgres.transaction() as connection:
            connection.execute(ISO_DATES)
            return dict(_refused(connection, type_, texts.to_pylist()))


def _refused(connection: psycopg.Connection, type_: str, texts: list[str]) -> list[tuple[str, Refusal]]:
    if not texts:
        return []
    ask: Callable[[psycopg.Connection, str, list[str]], list[tuple[str, Refusal]]] = _together
    if connection.info.server_version < _FIRST_WITH_SOFT_ERRORS:
        ask = _by_cast
    try:
        with connection.transaction():
            return ask(connection, type_, texts)
    except psycopg.Error as error:
        if meaning(error) is not Meaning.ROWS:
            raise
        if len(texts) == 1:
            message = error.diag.message_primary or ""
            return [(texts[0], Refusal(_sentence(message, error.diag.message_detail), _code(error.sqlstate)))]
        half = len(texts) // 2
        return _refused(connection, type_, texts[:half]) + _refused(connection, type_, texts[half:])


def _together(connection: psycopg.Connection, type_: str, texts: list[str]) -> list[tuple[str, Refusal]]:
    """The refused texts, all in one query. A type whose input function raises its errors makes the query fail."""
    asked = {"texts": array_literal(pa.array(texts, pa.string())), "type": type_}
    found = connection.execute(_REFUSED, asked).fetchall()
    return [
        (texts[place - 1], Refusal(_sentence(said, detail), _code(state)))
        for place, said, detail, state in found
    ]


def _by_cast(connection: psycopg.Connection, type_: str, texts: list[str]) -> list[tuple[str, Refusal]]:
    """Nothing, if all the texts can be cast; else the query fails."""
    query = sql.SQL("SELECT count(value::{}) FROM unnest(%s::text[]) AS given (value)").format(
        sql.SQL(literal(type_))
    )
    connection.execute(query, [array_literal(pa.array(texts, pa.string()))])
    return []


def _sentence(said: str, detail: str | None) -> str:
    """Return the message of Postgres on one line."""
    return " ".join(f"{said} ({detail})".split()) if detail else " ".join(said.split())


def _code(state: str | None) -> FailureCode:
    match state:
        case "22003" | "22008":
            return Code.OUT_OF_RANGE
        case "22001":
            return Code.TOO_LONG
        case "23514":
            return Code.CONSTRAINT
        case _:
            return Code.BAD_TYPE


_REFUSED = """
    SELECT given.place, info.message, info.detail, info.sql_error_code
    FROM unnest(%(texts)s::text[]) WITH ORDINALITY AS given (value, place)
    CROSS JOIN LATERAL pg_input_error_info(given.value, %(type)s) AS info
    WHERE NOT pg_input_is_valid(given.value, %(type)s)
"""
