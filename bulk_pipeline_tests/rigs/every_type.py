"""A table with a column of every type, and what its cells may be: texts as Postgres writes them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Literal

import psycopg
import pytest
from hypothesis import strategies as st

from bulk_pipeline.schema import Column, ColumnType, Table, column_type
from bulk_pipeline.schema.families.others import example_of
from bulk_pipeline.tables import registry
from bulk_pipeline.tables.project import TableFile
from bulk_pipeline.tables.registry import TableRegistry

OWN_TYPES = """
    CREATE TYPE public.mood AS ENUM ('sad', 'ok', 'very happy', '');
    CREATE DOMAIN public.positive AS integer CHECK (VALUE > 0);
    CREATE DOMAIN public.word AS text CHECK (VALUE ~ '^[a-z]*$');
    CREATE TYPE public.pair AS (left_part integer, right_part text);
    CREATE DOMAIN public.citext AS text;
"""

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
NASTY = st.sampled_from(
    [
        "",
        " ",
        "NULL",
        '"',
        "'",
        ",",
        ";",
        "\t",
        "\n",
        "\\",
        "\\N",
        "\\.",
        "=1",
        "{}",
        "[]",
        "null",
        "é",
        "𝔘",
        "{a,b}",
    ]
)


def _numbers(bits: int) -> st.SearchStrategy[str]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1).map(str)


def _decimals(precision: int, scale: int) -> st.SearchStrategy[str]:
    return st.integers(-(10**precision) + 1, 10**precision - 1).map(
        lambda n: format(Decimal(f"{n}e{-scale}"), "f")
    )


def _floats(width: Literal[32, 64]) -> st.SearchStrategy[str]:
    return st.floats(width=width, allow_nan=False, allow_infinity=False).map(repr)


_DATES = st.dates().map(str)
_CLOCKS = st.times().map(str) | st.just("24:00:00")
_LOCAL = st.datetimes().map(str)
_OFFSETS = st.integers(-15 * 3600, 15 * 3600).map(
    lambda s: f"{'-' if s < 0 else '+'}{abs(s) // 3600:02}:{abs(s) // 60 % 60:02}:{abs(s) % 60:02}"
)
_SMALL = st.integers(-(10**6), 10**6)
_INTERVALS = st.tuples(_SMALL, _SMALL, st.integers(-(10**15), 10**15)).map(
    lambda of: f"{of[0]} months {of[1]} days {of[2]} microseconds"
)
_JSON = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS | NASTY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner | st.none(), max_size=3),
    max_leaves=5,
).map(json.dumps)
_VERBATIM = st.sampled_from(
    [
        '{"a":1, "a":2}',
        "12345678901234567890123456789.010",
        '"\\u0000"',
        '"\\ud800"',
        '{"b" : [1 , 2]}',
        "1e400",
    ]
)
_BYTES = st.binary(max_size=6).map(lambda octets: "\\x" + octets.hex())

CELLS: Mapping[str, st.SearchStrategy[str]] = {
    "uuid": st.uuids().map(str),
    "text": NASTY | TEXTS,
    "character varying(20)": NASTY | TEXTS,
    "character varying": NASTY | TEXTS,
    "character(20)": NASTY | TEXTS,
    "bpchar": NASTY | TEXTS,
    "citext": NASTY | TEXTS,
    "boolean": st.sampled_from(["t", "f"]),
    "smallint": _numbers(16),
    "integer": _numbers(32),
    "bigint": _numbers(64),
    "numeric": _decimals(40, 17) | _decimals(5, 0) | st.just("0.000000000000000000001"),
    "numeric(12,2)": _decimals(12, 2),
    "numeric(3,-2)": st.integers(-999, 999).map(lambda number: str(number * 100)),
    "numeric(50,20)": _decimals(50, 20),
    "real": _floats(32),
    "double precision": _floats(64),
    "date": _DATES,
    "time without time zone": _CLOCKS,
    "time(3) without time zone": st.sampled_from(["00:00:00", "23:59:59.123"]),
    "time with time zone": st.tuples(_CLOCKS, _OFFSETS).map("".join),
    "timestamp without time zone": _LOCAL,
    "timestamp(0) without time zone": st.just("2026-01-31 23:59:59"),
    "timestamp with time zone": st.datetimes().map(lambda time: f"{time}+00"),
    "interval": _INTERVALS,
    "interval year to month": _SMALL.map(lambda months: f"{months} months"),
    "interval year": _SMALL.map(lambda years: f"{years} years"),
    "interval day to minute": st.tuples(_SMALL, _SMALL, _SMALL).map(
        "{0[0]} months {0[1]} days {0[2]} minutes".format
    ),
    "interval day to second(3)": st.tuples(_SMALL, _SMALL).map("{0[0]} days {0[1]} milliseconds".format),
    "json": _JSON | _VERBATIM,
    "jsonb": _JSON,
    "bytea": _BYTES,
    "public.mood": st.sampled_from(["sad", "ok", "very happy", ""]),
    "public.positive": st.integers(1, 2**31 - 1).map(str),
    "public.word": st.sampled_from(["", "a", "abc"]),
    "public.pair": st.sampled_from(["(1,a)", '(2,"x, y")', "(,)", '(3,"")']),
    **{
        name: st.just(example_of(name))
        for name in map(str, column_type.examples())
        if column_type.parse(name).facts.is_opaque
        and name != "xml"  # which the embedded Postgres does not have
    },
}
_LISTS: Mapping[str, st.SearchStrategy[str]] = {
    name: CELLS[name]
    for name in (
        *(
            "text",
            "character varying(20)",
            "boolean",
            "integer",
            "bigint",
            "numeric",
            "numeric(12,2)",
            "real",
        ),
        *(
            "double precision",
            "uuid",
            "date",
            "time without time zone",
            "timestamp with time zone",
            "interval",
        ),
        *("jsonb", "bytea", "citext", "inet", "public.mood", "public.pair"),
    )
}


def _quoted(element: str | None) -> str:
    return "NULL" if element is None else '"' + element.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _braced(elements: list[str | None]) -> str:
    return "{" + ",".join(map(_quoted, elements)) + "}"


def _array(elements: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(st.none() | elements, max_size=3).map(_braced)


def _matrix(elements: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    row = st.lists(st.none() | elements, min_size=2, max_size=2).map(_braced)
    return st.lists(row, max_size=3).map(lambda rows: "{" + ",".join(rows) + "}")


ARRAYS: Mapping[str, st.SearchStrategy[str]] = {
    **{f"{name}[]": _array(cells) for name, cells in _LISTS.items()},
    "integer[][]": _matrix(CELLS["integer"]),
    "text[][]": _matrix(CELLS["text"]),
    "numeric(12,2)[][]": _matrix(CELLS["numeric(12,2)"]),
    "inet[][]": _matrix(CELLS["inet"]),
}
SPECIALS = {
    "numeric": st.sampled_from(["NaN", "Infinity", "-Infinity", "1.50"]),
    "numeric(5,2)": st.sampled_from(["NaN", "1.50"]),
    "real": st.sampled_from(["NaN", "Infinity", "-Infinity", "-0"]),
    "double precision": st.sampled_from(["NaN", "Infinity", "-Infinity", "-0"]),
}


class EveryType:
    """A table `every_type`, whose columns are numbered; `strategies` has the cells of each."""

    def __init__(self) -> None:
        self.strategies: dict[str, st.SearchStrategy[str]] = {}
        columns = [Column(name="id", type=ColumnType.UUID)]
        plain = [(name, cells, {}) for name, cells in CELLS.items()]
        arrays = [(name, cells, {"null_elements": True}) for name, cells in ARRAYS.items()]
        specials = [(name, cells, {"not_finite": True}) for name, cells in SPECIALS.items()]
        enum = [("public.mood", CELLS["public.mood"], {"choices": ("sad", "ok", "very happy", "")})]
        base64 = [("bytea", _BYTES, {"base64": True})]
        kinds: list[tuple[str, st.SearchStrategy[str], dict[str, Any]]]
        kinds = [*plain, *arrays, *specials, *enum, *base64]
        for number, (name, cells, options) in enumerate(kinds):
            column = Column(name=f"c{number}", type=column_type.parse(name), **options)
            columns.append(column)
            self.strategies[column.name] = cells
        self.table = Table(name="every_type", columns=tuple(columns), primary_key=("id",))

    def rows(self) -> st.SearchStrategy[list[dict[str, str | None]]]:
        """Rows by column, without ids."""
        cells = {name: st.none() | cells for name, cells in self.strategies.items()}
        return st.lists(st.fixed_dictionaries(cells), min_size=1, max_size=5)


def create(table: Table, database_url: str) -> None:
    """Create the table, with an `id`, and the database's own types."""
    columns = ", ".join(f"{column.name} {column.type}" for column in table.columns[1:])
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(OWN_TYPES)
        connection.execute(f"CREATE TABLE public.{table.name} (id uuid PRIMARY KEY, {columns})".encode())


@contextmanager
def declared(table: Table, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The table is one of the package's."""
    package = TableFile("every type", (table,))
    with monkeypatch.context() as patch:
        patch.setattr(registry, "_served", TableRegistry(None, lambda: [package]))
        yield
