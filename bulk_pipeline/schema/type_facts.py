"""Facts about the types of Postgres that need no Arrow, and families of types that differ in their parameters."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString, cast

from bulk_pipeline.schema.operators import Operator

Value = str | bool | datetime
"""The value of a filter: a bool for booleans, a UTC datetime for times with time zone, canonical text for all other
types (ids without their prefix)."""


Parameters = tuple[int | str, ...]
"""The parameters of a type, as in `numeric(12,2)`: numbers if all are, otherwise words."""


@dataclass(frozen=True)
class FilterValue:
    """The reading of a filter's value.

    `read` raises `ValueError` for a text that is no value. `expected` completes "'x' is not a valid … for column:
    expected …", as `noun` does; `{prefix}` in it is the column's prefix.
    """

    read: Callable[[str], Value]
    noun: str
    expected: str


@dataclass(frozen=True, kw_only=True)
class TypeFacts:
    """The facts about one type.

    `postgres`: the type's name as `format_type` writes it. `receives`: the functions (pg_type.typreceive) that read the
    bytes COPY sends for it; of an array with its element type.
    `whole_modifiers`: the values of pg_attribute.atttypmod with which Postgres stores our values without rounding;
    empty if the type never rounds.
    `label`: the type in the list of a table's columns. `expected` completes "'x' is not …".
    `range`, `too_precise`: complete "'x' is outside …" and "'x' …", where the type has such values.
    `operators`: those that a filter may use. `default`: the Python types of a declared default; none allows none.
    `looks_like`: a pattern that matches a whole stripped cell; identifies columns of this type in files without a
    header. None if any text is a value of the type. `never_a_name`: a cell that matches cannot be a column name.
    `options`: the fields of a column that only columns of some types may set.
    `export`: the SQL by which an export reads the column `{}`.
    `compared`: the SQL by which a stored value `{}` is compared with that of a row, to tell whether the row changes it:
    as text where the type has no equality, or one that takes different values for the same.
    `is_zoneless`: a time of the type is without a time zone, wherever it is read.
    `unit`: the smallest unit that an interval of the type keeps, empty if it keeps all.
    `max_length`: of texts, in Unicode code points.
    `is_json`: cells are JSON documents. `is_opaque`: Postgres reads and checks the cells, which travel as text;
    `empty_is_value`: an empty text is a value of such a type.
    `is_text`: cells are texts, so that limits of texts (lengths, patterns, choices) may be declared.
    `is_bare_in_json`, `is_bare_in_csv`: exports write its cells without quotes.
    """

    postgres: LiteralString
    receives: tuple[str, ...]
    whole_modifiers: tuple[int, ...] = ()
    label: str
    expected: str
    range: str = ""
    too_precise: str = ""
    operators: tuple[Operator, ...]
    filter_value: FilterValue
    default: tuple[type, ...] = ()
    looks_like: re.Pattern[str] | None = None
    never_a_name: bool = False
    options: tuple[str, ...] = ()
    export: LiteralString = "{}"
    compared: LiteralString = "{}"
    is_zoneless: bool = False
    unit: str = ""
    max_length: int | None = None
    is_json: bool = False
    is_opaque: bool = False
    empty_is_value: bool = False
    is_text: bool = False
    is_array: bool = False
    is_bare_in_json: bool = False
    is_bare_in_csv: bool = False

    @property
    def is_nested(self) -> bool:
        """Return whether a value of JSON or Parquet may be more than one value."""
        return self.is_array or self.is_json


@dataclass(frozen=True)
class TypeFamily:
    """Types of one name. `name`: as `format_type` writes it, without parameters. `aliases`: other names of the type.

    `fields`: words that may stand behind the name, as in `interval year to month`; they are the first parameter then.
    `facts` returns the facts of the type with these parameters, and raises `ValueError` with a sentence about
    parameters that it cannot have. `examples`: types of the family, for the docs and for tests of every type.
    """

    name: str
    facts: Callable[[Parameters], TypeFacts]
    examples: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()


def literal(text: str) -> LiteralString:
    """Return SQL that is made of names and numbers only, so that it may be a part of statements."""
    return cast("LiteralString", text)


def single(facts: TypeFacts, *aliases: str) -> TypeFamily:
    """Return the family of a type that takes no parameters."""

    def without_parameters(parameters: Parameters) -> TypeFacts:
        if parameters:
            raise ValueError("it takes no parameters")
        return facts

    return TypeFamily(facts.postgres, without_parameters, (facts.postgres,), aliases)
