"""The types that a column can have: values with parameters, made from the text that Postgres' `format_type` writes.

What a type does with whole columns of cells is its codec in `schema.types`, which imports Arrow and NumPy.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema.families import FAMILIES
from bulk_pipeline.schema.families.arrays import ARRAY, array_facts
from bulk_pipeline.schema.families.others import OWN, own_type
from bulk_pipeline.schema.type_facts import TypeFacts, TypeFamily


@dataclass(frozen=True, eq=False, repr=False)
class ColumnType:
    """A type of Postgres. Two types of the same text are the same object, so that they may be compared by `is`.

    `text`: the type as `format_type` writes it, but with all the dimensions of an array (`integer[][]`), and the schema
    of a type of the database's own. `element`, `dimensions`: of an array.
    """

    text: str
    family: TypeFamily
    parameters: tuple[int, ...]
    facts: TypeFacts
    element: "ColumnType | None" = None
    dimensions: int = 0

    UUID: ClassVar["ColumnType"]
    TEXT: ClassVar["ColumnType"]
    BOOLEAN: ClassVar["ColumnType"]
    TIMESTAMP: ClassVar["ColumnType"]
    TEXT_ARRAY: ClassVar["ColumnType"]

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<{self.text}>"

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return parse, (self.text,)


def parse(text: str) -> ColumnType:
    """Return the type that a text names: `numeric(12,2)`, `timestamptz`, `integer[]`, `shop.mood`.

    Case and the number of blanks do not matter. A type of the database's own is named with its schema. Raises
    `DeclarationError` for an unknown type, with the nearest name, and for parameters that the type does not have.
    """
    words = " ".join(text.split())
    arrays = _ARRAYS.search(words)
    if arrays is not None:
        dimensions = arrays[0].count("[")
        if dimensions == 1 and (type_ := _named(text, f"{words[: arrays.start()].lower()}[]")) is not None:
            return type_
        return _array(parse(words[: arrays.start()]), dimensions)
    if (own := _OWN.fullmatch(words)) is not None:
        facts = own_type(_folded(own["name"]), (own["modifier"] or "").strip())
        return _known(ColumnType(facts.postgres, OWN, (), facts))
    written = _TYPE.fullmatch(words)
    if written is None:
        raise DeclarationError(f"type {text!r}: write it as Postgres does, such as text or numeric(12,2)")
    name = (written["name"] + (written["zone"] or "")).lower()
    type_ = _named(text, name, written["parameters"])
    if type_ is None:
        raise DeclarationError(_unknown(text, name))
    return type_


def register(family: TypeFamily) -> None:
    """Make the types of a family known. Its codec and its sample are registered where they are made."""
    for name in (family.name, *family.aliases, *(f"{family.name} {fields}" for fields in family.fields)):
        _BY_NAME[name] = family


def examples() -> tuple[ColumnType, ...]:
    """Return types of every family that is known."""
    families = [*dict.fromkeys(_BY_NAME.values()), ARRAY]
    return tuple(parse(text) for family in families for text in family.examples)


def _named(text: str, name: str, modifier: str | None = None) -> ColumnType | None:
    family = _BY_NAME.get(name)
    if family is None:
        return None
    words = [word.strip() for word in modifier.split(",")] if modifier is not None else []
    if (fields := name.removeprefix(f"{family.name} ")) in family.fields:
        words.insert(0, fields)
    try:
        facts = family.facts(tuple(map(int, words)) if all(map(_is_int, words)) else tuple(words))
    except ValueError as error:
        raise DeclarationError(f"type {text!r}: {error}") from None
    numbers = tuple(int(word) for word in words if _is_int(word))
    return _known(ColumnType(facts.postgres, family, numbers, facts))


def _array(element: ColumnType, dimensions: int) -> ColumnType:
    return _known(
        ColumnType(
            element.text + "[]" * dimensions,
            ARRAY,
            element.parameters,
            array_facts(element.facts, dimensions),
            element,
            dimensions,
        )
    )


def _known(type_: ColumnType) -> ColumnType:
    return _KNOWN.setdefault(type_.text, type_)


def _is_int(word: str) -> bool:
    return re.fullmatch(r"-?\d{1,9}", word, re.ASCII) is not None


def _folded(name: str) -> str:
    """Return the name with the letters outside quotes in lower case."""
    return "".join(
        part if part.startswith('"') else part.lower() for part in re.split(r'("(?:[^"]|"")*")', name)
    )


def _unknown(text: str, name: str) -> str:
    near = get_close_matches(name, _BY_NAME, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"unknown type {text!r}: {meant}A type of the database's own is named with its schema, like public.{name}"


_ARRAYS = re.compile(r"(?: ?\[ ?\])+$")
_NAME = r'(?:[A-Za-z_][A-Za-z0-9_$]*|"(?:[^"\\\0]|"")+")'
_MODIFIER = r"(?: ?\((?P<modifier>[\w ,.+-]*)\))?"
_OWN = re.compile(rf'(?P<name>{_NAME}\.{_NAME}|"char"){_MODIFIER}')
_TYPE = re.compile(
    r"(?P<name>[a-z_][a-z0-9_]*(?: [a-z]+)*?)"
    r"(?: ?\( ?(?P<parameters>[\w ,.+-]*?) ?\))?(?P<zone> with(?:out)? time zone)?",
    re.IGNORECASE,
)
_BY_NAME: dict[str, TypeFamily] = {}
_KNOWN: dict[str, ColumnType] = {}

for _family in FAMILIES:
    register(_family)

ColumnType.UUID = parse("uuid")
ColumnType.TEXT = parse("text")
ColumnType.BOOLEAN = parse("boolean")
ColumnType.TIMESTAMP = parse("timestamp with time zone")
ColumnType.TEXT_ARRAY = parse("text[]")
