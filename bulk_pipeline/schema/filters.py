"""Filters as people write them, `role=admin` say, checked and typed by the columns of a table. Pure; no SQL.

    condition = column operator value       operator: =  !=  <  <=  >  >=
              | column "prefix" value
              | column "in" "(" value { "," value } ")"
              | column "is null" | column "is not null"
    value     = bare | "'" quoted "'"       a quote inside quotes is written twice

One text is one condition; rows must meet all of them. A bare value goes to the end of the text (inside `in (…)` to
the next comma or the bracket), without the blanks around it. The words are understood in any case.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from bulk_pipeline.errors import SelectionError
from bulk_pipeline.schema.column import Column, ColumnType
from bulk_pipeline.schema.table import Table

Value = str | bool | datetime
"""Of a uuid or text column str (ids canonical, without their prefix), of a boolean bool, of a time datetime in UTC."""


class Operator(StrEnum):
    """The value is how it is written. `!=` finds all that `=` does not, NULL included."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    PREFIX = "prefix"
    IN = "in"
    IS_NULL = "is null"
    IS_NOT_NULL = "is not null"


_NULLS = (Operator.IS_NULL, Operator.IS_NOT_NULL)
_EXACT = (Operator.EQUAL, Operator.NOT_EQUAL, *_NULLS)
_ORDERED = (*_EXACT, Operator.IN, *(o for o in Operator if o[0] in "<>"))
OPERATORS: dict[ColumnType, tuple[Operator, ...]] = {
    ColumnType.UUID: _ORDERED,
    ColumnType.TEXT: (*_ORDERED, Operator.PREFIX),
    ColumnType.TIMESTAMP: _ORDERED,
    ColumnType.BOOLEAN: _EXACT,
    ColumnType.TEXT_ARRAY: _NULLS,
}
"""Which operators fit which type."""


@dataclass(frozen=True)
class Filter:
    """One condition. `values`: one, for `in` one or more, for `is null` and `is not null` none."""

    column: Column
    operator: Operator
    values: tuple[Value, ...] = ()

    def __str__(self) -> str:
        """A text that parses to this filter again; the same for the same filter, however it was written."""
        values = ", ".join(map(_written, self.values))
        match self.operator:
            case Operator.IN:
                return f"{self.column.name} in ({values})"
            case Operator.IS_NULL | Operator.IS_NOT_NULL:
                return f"{self.column.name} {self.operator}"
        return f"{self.column.name} {self.operator} {values}"


def parse_filter(table: Table, text: str) -> Filter:
    """The condition that `text` states about `table`. `SelectionError` says what is wrong and what would be right."""
    try:
        return _parse(table, text)
    except SelectionError as error:
        raise SelectionError(f"filter {_short(text)!r}: {error}") from None


_CONDITION = re.compile(
    r"\s*(?P<column>\w+)\s*"
    r"(?:(?P<null>is\s+(?:not\s+)?null)\s*|in\s*\((?P<list>.*)\)\s*|(?P<operator>[!<>]=|[=<>]|prefix\b)\s*(?P<value>.*))",
    re.IGNORECASE | re.DOTALL,
)
# Possessive: what has been taken is never tried again in another way, which would cost the cube of the text's length.
_QUOTED = r"'(?:[^']++|'')*+'"
_LIST_VALUE = re.compile(rf"\s*+({_QUOTED}|[^',()][^,()]*+|)\s*+(?:,|\Z)")
MOST_VALUES = 10_000
"""Of a list."""
_SHOWN_LENGTH = 80


def _parse(table: Table, text: str) -> Filter:
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise SelectionError(
            "not a condition: write one like role=admin, phone is null or role in (admin, editor)"
        )
    column = column_of(table, found["column"])
    if found["null"] is not None:
        operator, texts = Operator(" ".join(found["null"].lower().split())), []
    elif found["list"] is not None:
        operator, texts = Operator.IN, _listed(found["list"])
    else:
        operator, texts = Operator(found["operator"].lower()), [_single(found["value"])]
    if operator not in OPERATORS[column.type]:
        fitting = ", ".join(OPERATORS[column.type])
        raise SelectionError(f"{operator} does not fit {column.name}, which is {column.type}: use {fitting}")
    return Filter(column, operator, tuple(_typed(column, operator, value) for value in texts))


def column_of(table: Table, name: str) -> Column:
    """The column of that name; `SelectionError` names those there are."""
    if name not in table.column_names:
        expected = ", ".join(table.column_names)
        raise SelectionError(f"{table.name} has no column {_short(name)!r}: expected one of {expected}")
    return table.column(name)


def _single(text: str) -> str:
    text = text.strip()
    if not text:
        raise SelectionError("the value is missing: write '' for an empty text, or use is null")
    return _unquoted(text)


def _listed(text: str) -> list[str]:
    values, start = list[str](), 0
    while start < len(text) or text[start - 1 : start] == ",":
        found = _LIST_VALUE.match(text, start)
        if found is None or not found[1].strip():
            raise SelectionError(
                f"cannot read the list after {_short(text[:start])!r}: write it like in (a, 'b, c')"
            )
        if len(values) == MOST_VALUES:
            raise SelectionError(f"the list has more than {MOST_VALUES:,} values: ask in several requests")
        values.append(_unquoted(found[1].strip()))
        start = found.end()
    if not values:
        raise SelectionError("the list is empty: write it like in (a, 'b, c')")
    return values


def _unquoted(text: str) -> str:
    if not text.startswith("'"):
        return text
    if not re.fullmatch(_QUOTED, text, re.DOTALL):
        raise SelectionError(
            f"the quotes of {_short(text)} do not add up: write a quote inside quotes twice, 'it''s'"
        )
    return text[1:-1].replace("''", "'")


def _typed(column: Column, operator: Operator, text: str) -> Value:
    match column.type:
        case ColumnType.UUID:
            return _uuid(column, text)
        case ColumnType.BOOLEAN:
            return _boolean(column, text)
        case ColumnType.TIMESTAMP:
            return _time(column, text)
    if "\0" in text:
        raise SelectionError(f"{column.name} cannot hold a NUL character")
    if (
        column.choices
        and operator in (Operator.EQUAL, Operator.NOT_EQUAL, Operator.IN)
        and text not in column.choices
    ):
        raise SelectionError(
            f"{column.name} is never {_short(text)!r}: expected one of {', '.join(column.choices)}"
        )
    return text


def _uuid(column: Column, text: str) -> str:
    try:
        return str(UUID(text.removeprefix(column.prefix or "")))
    except ValueError:
        example = f"{column.prefix or ''}{UUID(int=0)}"
        raise SelectionError(
            f"{_short(text)!r} is no id for {column.name}: expected one like {example}"
        ) from None


def _boolean(column: Column, text: str) -> bool:
    match text.lower():
        case "true" | "yes" | "1":
            return True
        case "false" | "no" | "0":
            return False
    raise SelectionError(f"{_short(text)!r} is no value for {column.name}: expected true or false")


def _time(column: Column, text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise SelectionError(
            f"{_short(text)!r} is no time for {column.name}: expected one like 2026-01-31 or 2026-01-31T12:30:00Z"
        ) from None


def _written(value: Value) -> str:
    match value:
        case bool():
            return str(value).lower()
        case datetime():
            return value.isoformat()
    return "'" + value.replace("'", "''") + "'"


def _short(text: str) -> str:
    """The text as a sentence shows it."""
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 1]}…"
