"""Texts, and what is short and exact enough to be one: UUIDs and booleans."""

import re
from dataclasses import replace
from uuid import UUID

from bulk_pipeline.schema import operators
from bulk_pipeline.schema.operators import Operator
from bulk_pipeline.schema.type_facts import FilterValue, Parameters, TypeFacts, TypeFamily, literal, single

_MOST_LENGTH = 10_485_760  # https://www.postgresql.org/docs/current/datatype-character.html

TEXT = TypeFacts(
    postgres="text",
    receives=(
        *("textrecv", "varcharrecv", "bpcharrecv", "citextrecv", "namerecv"),
        *("enum_recv", "json_recv", "xml_recv"),
    ),
    label="text",
    expected="a text",
    operators=(*operators.ORDERED, Operator.PREFIX),
    filter_value=FilterValue(str, "text", "a text"),
    default=(str,),
    is_text=True,
)


def _of_length(name: str, least: int | None, *aliases: str) -> TypeFamily:
    """Return the family of texts with a length. `least`: the length without parameters; None for any."""

    def of_length(parameters: Parameters) -> TypeFacts:
        length = parameters[0] if parameters else least
        if len(parameters) > 1 or (length is not None and length not in range(1, _MOST_LENGTH + 1)):
            raise ValueError(f"write {name}(length), with a length from 1 to {_MOST_LENGTH}")
        written = name if length is None else f"{name}({length})"
        return replace(
            TEXT,
            postgres=literal(written),
            max_length=length if length is None else int(length),
            expected=_expected(length),
        )

    return TypeFamily(name, of_length, (f"{name}(20)",) if least else (name, f"{name}(20)"), aliases)


def _expected(length: int | str | None) -> str:
    return "a text" if length is None else f"a text of at most {length} characters"


def _boolean(text: str) -> bool:
    match text.lower():
        case "true" | "yes" | "1":
            return True
        case "false" | "no" | "0":
            return False
    raise ValueError(text)


TEXTS = (
    single(
        TypeFacts(
            postgres="uuid",
            receives=("uuid_recv",),
            label="uuid",
            expected="a UUID like 0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a70",
            operators=operators.ORDERED,
            filter_value=FilterValue(lambda text: str(UUID(text)), "id", f"one like {{prefix}}{UUID(int=0)}"),
            looks_like=re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"),
            never_a_name=True,
        )
    ),
    single(TEXT),
    _of_length("character varying", None, "varchar"),
    _of_length("character", 1, "char"),
    single(replace(TEXT, postgres="bpchar")),
    single(replace(TEXT, postgres="citext", export="{}::text", compared="{}::text")),
    single(
        TypeFacts(
            postgres="boolean",
            receives=("boolrecv",),
            label="true or false",
            expected="a boolean: use true, false, 1, 0, yes or no",
            operators=operators.EXACT,
            filter_value=FilterValue(_boolean, "value", "true or false"),
            default=(bool,),
            looks_like=re.compile("true|false|1|0|yes|no", re.IGNORECASE),
            is_bare_in_json=True,
            is_bare_in_csv=True,
        ),
        "bool",
    ),
)
