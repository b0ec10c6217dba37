"""CHECK constraints that say what a declaration can say: lists of values, lengths, ranges and plain patterns.

They are read as `pg_get_constraintdef` writes them. What does not mean exactly the same is left to the database.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.postgres.catalogue import CatalogueCheck, CatalogueColumn, CatalogueTable
from bulk_pipeline.schema import Column, column_type, patterns
from bulk_pipeline.schema.bounds import NAMES
from bulk_pipeline.schema.families.numbers import WHOLE_NUMBERS
from bulk_pipeline.schema.table_files.shapes import Limit
from bulk_pipeline.schema.types import bounds

_LITERAL = r"'((?:[^']|'')*)'::(?:text|character varying|bpchar|[\w.\"]+)"
_ONE_OF = re.compile(
    rf"CHECK \(\(?\"?(?P<column>[^()\"]+?)\"?(?:\)?::text)? = ANY "
    rf"\(\(?ARRAY\[(?P<labels>{_LITERAL}(?:, {_LITERAL})*)\](?:\)?::text\[\])?\)\)"
)
_LABEL = re.compile(_LITERAL)
_LENGTH = re.compile(
    r"CHECK \((?:pg_catalog\.)?(?:char_length|length|character_length)\(\(?\"?(?P<column>[^()\"]+?)\"?(?:\)?::text)?\) "
    r"<= (?P<length>\d+)\)"
)
_MATCHES = re.compile(
    r"CHECK \((?:[a-z_]\w*|\"[^\"]+\")(?:::text)? ~ '\^(?P<pattern>(?:[^']|'')*)\$'::text\)"
)
_OR_NULL = re.compile(
    r"CHECK \((?:[a-z_]\w*|\"[^\"]+\") IS NULL OR (?:\((?P<listed>[^ ]+ = ANY .*)\)|(?P<checked>.*))\)"
)
_ALL_OF = re.compile(r"CHECK \((?P<terms>.*)\)")
_COMPARISON = re.compile(r"(?:[a-z_]\w*|\"[^\"]+\") (?P<operator>[<>]=?) (?P<limit>.*)")
_BOUND_OF = {">=": "minimum", ">": "above", "<=": "maximum", "<": "below"}

_WHOLE, _NUMBER = r"'?(?P<limit>-?\d+)'?", r"'?(?P<limit>-?\d+(?:\.\d+)?)'?"
_AS_WHOLE, _AS_EXACT = r"(?:::(?:smallint|integer|bigint))?", r"(?:::(?:integer|bigint|numeric))?"
_LIMITS = {
    **dict.fromkeys(WHOLE_NUMBERS, rf"{_WHOLE}{_AS_WHOLE}"),
    "numeric": rf"{_NUMBER}{_AS_WHOLE}(?:::numeric)?",
    **dict.fromkeys(("real", "double precision"), rf"{_NUMBER}{_AS_EXACT}::double precision"),
    **{
        name: rf"'(?P<limit>[^']+)'::{name}"
        for name in ("date", "timestamp without time zone", "timestamp with time zone")
    },
}
"""By the name of a family, constants with which Postgres compares the values of a column as they are."""

_IN_BRACKETS = r"[A-Za-z0-9 _.,:;/@+*#%=!]"
_CHARACTER = (
    rf"(?:[A-Za-z0-9 _,:;/@#%=!-]|\\[.+*?()/-]|\[-?(?:{_IN_BRACKETS}-{_IN_BRACKETS}|{_IN_BRACKETS})+-?\])"
)
_REPEATED = r"(?:[*+?]|\{\d{1,2}(?:,\d{0,2})?\})?"
_SEQUENCE = rf"(?:{_CHARACTER}{_REPEATED})+"
_PLAIN_PATTERN = re.compile(
    rf"(?:{_CHARACTER}{_REPEATED}|\((?:\?:)?{_SEQUENCE}(?:\|{_SEQUENCE})*\){_REPEATED})+"
)
r"""The expressions that Postgres and RE2 read alike. `\d`, `\w` and `.` take different characters, and a class like
`[^,]` takes invisible ones, which columns with a pattern do not."""


@dataclass
class SimpleChecks:
    """`keys`: the keys of a declaration that follow from checks, by column. `others`: all other checks."""

    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    others: list[CatalogueCheck] = field(default_factory=list)


def simple_checks(table: CatalogueTable) -> SimpleChecks:
    """Return what the checks of a table declare. Of two checks that cannot both be declared, the first is."""
    found = SimpleChecks()
    columns = {column.name: column for column in table.columns if _is_open(column)}
    for check in table.checks:
        column = columns.get(check.columns[0]) if len(check.columns) == 1 else None
        known = found.keys.get(column.name, {}) if column else {}
        keys = _keys(column, check.definition) if column else {}
        if column and keys and known.keys().isdisjoint(keys) and _is_declarable(column, known | keys):
            found.keys[column.name] = known | keys
        else:
            found.others.append(check)
    return found


def _is_open(column: CatalogueColumn) -> bool:
    """Return whether files bring the values, of a type that is not a domain."""
    return not column.domain and not column.is_array and column.generated is None


def _keys(column: CatalogueColumn, definition: str) -> dict[str, Any]:
    """Return the keys that say the same as a check of one column, none if there are none."""
    if found := _OR_NULL.fullmatch(definition):  # which says no more: a check also holds where it is unknown
        definition = f"CHECK ({found['listed'] or found['checked']})"
    if not column.base_type.startswith(("text", "character varying")):
        return _limits(column, definition)
    if found := _ONE_OF.fullmatch(definition):
        return {"choices": [label.replace("''", "'") for label in _LABEL.findall(found["labels"])]}
    if found := _LENGTH.fullmatch(definition):
        return {"max_length": int(found["length"])}
    if (found := _MATCHES.fullmatch(definition)) and _PLAIN_PATTERN.fullmatch(found["pattern"]):
        return {"pattern": found["pattern"], "pattern_name": f"a text that matches {found['pattern']}"}
    return {}


def _limits(column: CatalogueColumn, definition: str) -> dict[str, Any]:
    family = column.base_type.partition("(")[0]
    if family.startswith("timestamp"):
        family = column.base_type if "(" not in column.base_type else ""
    checked = _ALL_OF.fullmatch(definition)
    if checked is None or family not in _LIMITS:
        return {}
    limits = dict[str, Any]()
    for term in checked["terms"].split(" AND "):
        compared = _COMPARISON.fullmatch(term)
        limit = re.fullmatch(_LIMITS[family], compared["limit"], re.ASCII) if compared else None
        if compared is None or limit is None or _BOUND_OF[compared["operator"]] in limits:
            return {}
        limits[_BOUND_OF[compared["operator"]]] = Limit().plain(limit["limit"])
    return limits


def _is_declarable(column: CatalogueColumn, keys: Mapping[str, Any]) -> bool:
    given: dict[str, Any] = {**keys, "choices": tuple(keys.get("choices", ()))}
    given |= {name: str(keys[name]) for name in NAMES if name in keys}
    try:
        declared = Column(name=column.name, type=column_type.parse(column.base_type), **given)
        patterns.check_column(declared)
        bounds.check_column(declared)
    except DeclarationError:
        return False
    return True
