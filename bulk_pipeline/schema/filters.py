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
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bulk_pipeline.errors import SelectionError
from bulk_pipeline.schema.column import Column
from bulk_pipeline.schema.operators import Operator
from bulk_pipeline.schema.table import Table
from bulk_pipeline.schema.type_facts import Value


@dataclass(frozen=True)
class Filter:
    """One condition. `values`: one, for `in` one or more, for `is null` and `is not null` none."""

    column: Column
    operator: Operator
    values: tuple[Value, ...] = ()

    def __str__(self) -> str:
        """A text that parses to this filter again; the same for the same filter, however it was written."""
        return filter_text(self.as_json())

    def as_json(self) -> dict[str, Any]:
        """Return plain values that keep their types; a time is an object, as JSON has no times."""
        values = [
            {"time": value.isoformat()} if isinstance(value, datetime) else value for value in self.values
        ]
        return {"column": self.column.name, "operator": str(self.operator), "values": values}


def read_filter(table: Table, stored: Mapping[str, Any]) -> Filter:
    """Return the filter that `as_json` has written. `SelectionError` if the table has no such column any more."""
    values = (
        datetime.fromisoformat(value["time"]) if isinstance(value, dict) else value
        for value in stored["values"]
    )
    return Filter(column_of(table, stored["column"]), Operator(stored["operator"]), tuple(values))


def filter_text(stored: Mapping[str, Any]) -> str:
    """Return the words for what `Filter.as_json` has written. Needs no table."""
    column, operator, values = (
        stored["column"],
        stored["operator"],
        ", ".join(map(_written, stored["values"])),
    )
    match operator:
        case Operator.IN:
            return f"{column} in ({values})"
        case Operator.IS_NULL | Operator.IS_NOT_NULL:
            return f"{column} {operator}"
    return f"{column} {operator} {values}"


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
    if operator not in column.operators:
        fitting = ", ".join(column.operators)
        raise SelectionError(
            f"{operator} cannot be used with {column.name}, which is {column.type}: use {fitting}"
        )
    return Filter(column, operator, tuple(_typed(column, operator, value) for value in texts))


def column_of(table: Table, name: str) -> Column:
    """The column of that name; `SelectionError` names those there are."""
    if name not in table.column_names:
        expected = ", ".join(table.column_names)
        raise SelectionError(
            f"{table.upload_name} has no column {_short(name)!r}: expected one of {expected}"
        )
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
            raise SelectionError(
                f"the list has more than {MOST_VALUES:,} values: split the list over several requests"
            )
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
            f"the quotes of {_short(text)} are unbalanced: double a quote inside quotes, as in 'it''s'"
        )
    return text[1:-1].replace("''", "'")


def _typed(column: Column, operator: Operator, text: str) -> Value:
    if "\0" in text:
        raise SelectionError(f"{column.name} cannot hold a NUL character")
    is_whole = operator in (Operator.EQUAL, Operator.NOT_EQUAL, Operator.IN)
    if column.choices and is_whole and text not in column.choices:
        raise SelectionError(
            f"{_short(text)!r} is not a value of {column.name}: expected one of {', '.join(column.choices)}"
        )
    prefix, reading = column.prefix or "", column.type.facts.filter_value
    try:
        return reading.read(text.removeprefix(prefix))
    except ValueError:
        raise SelectionError(
            f"{_short(text)!r} is not a valid {reading.noun} for {column.name}: expected "
            f"{reading.expected.format(prefix=prefix)}"
        ) from None


def _written(value: Any) -> str:  # as JSON has it
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return str(value["time"])
    return "'" + value.replace("'", "''") + "'"


def _short(text: str) -> str:
    """The text as a sentence shows it."""
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 1]}…"
