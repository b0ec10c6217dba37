"""The kinds of values in a table file. Each reads its node, writes its value back, and describes itself as JSON Schema.

`plain` values are texts, booleans, numbers, lists and dicts: the content of a file without its layout.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, Generic, TypeVar

import yaml

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema import column_type
from bulk_pipeline.schema.column_type import ColumnType
from bulk_pipeline.schema.expectation import Expectation
from bulk_pipeline.schema.table_files.nodes import (
    Place,
    did_you_mean,
    entries,
    is_null,
    is_plain,
    shown,
    text_of,
)

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True)
class Source:
    """A place in a file that is read.

    `columns`: the names of the columns that the file declares. `find_check` returns the function that a rule names.
    """

    place: Place
    columns: tuple[str, ...]
    find_check: Callable[[str], Any]

    def under(self, key: str) -> "Source":
        """Return the source at what a key holds."""
        return replace(self, place=self.place.under(key))


class Shape(ABC, Generic[T]):
    """A kind of value."""

    @abstractmethod
    def read(self, node: yaml.Node, source: Source) -> T:
        """Return the value of a node. `DeclarationError` names its line, the value and what was expected."""

    @abstractmethod
    def plain(self, value: T) -> Any:
        """Return the value as a file holds it."""

    @abstractmethod
    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of such values."""


class Text(Shape[str]):
    """Any text."""

    def read(self, node: yaml.Node, source: Source) -> str:
        return text_of(node, source.place)

    def plain(self, value: str) -> str:
        return value

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string"}


class ColumnName(Text):
    """The name of a column that the file declares."""

    def read(self, node: yaml.Node, source: Source) -> str:
        name = text_of(node, source.place)
        if name not in source.columns:
            hint = did_you_mean(name, list(source.columns))
            raise source.place.of(node).problem(f"{name!r} is not a column of this table: {hint}")
        return name


@dataclass(frozen=True)
class ColumnOr(Text):
    """The name of a column that the file declares, or another word."""

    word: str

    def read(self, node: yaml.Node, source: Source) -> str:
        name = text_of(node, source.place)
        return name if name == self.word else ColumnName().read(node, source)


class Check(Shape[Any]):
    """The function of a rule: `module:function`."""

    def read(self, node: yaml.Node, source: Source) -> Any:
        reference = text_of(node, source.place)
        try:
            return source.find_check(reference)
        except DeclarationError as error:
            raise source.place.of(node).problem(str(error)) from None

    def plain(self, value: Any) -> str:
        name = f"{value.__module__}:{value.__qualname__}"
        if "<" in name:
            raise DeclarationError(f"{name} has no name in its module: make it a function of a module")
        return name

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^[^:\s]+:[^:\s]+$"}


class Flag(Shape[bool]):
    """`true` or `false`."""

    def read(self, node: yaml.Node, source: Source) -> bool:
        if isinstance(node, yaml.ScalarNode) and is_plain(node) and node.value in ("true", "false"):
            return node.value == "true"
        raise source.place.of(node).problem(f"expected true or false, not {shown(node)}")

    def plain(self, value: bool) -> bool:
        return value

    def json_schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Whole(Shape[int]):
    """A whole number from 1 on."""

    def read(self, node: yaml.Node, source: Source) -> int:
        is_whole = isinstance(node, yaml.ScalarNode) and is_plain(node)
        if is_whole and re.fullmatch("[1-9][0-9]{0,17}", node.value):
            return int(node.value)
        raise source.place.of(node).problem(f"expected a whole number from 1 on, not {shown(node)}")

    def plain(self, value: int) -> int:
        return value

    def json_schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": 1}


class Limit(Shape[str]):
    """A number, a date or a time, kept as it is written."""

    def read(self, node: yaml.Node, source: Source) -> str:
        if isinstance(node, yaml.ScalarNode) and not is_null(node):
            return node.value
        raise source.place.of(node).problem(f"expected a number, a date or a time, not {shown(node)}")

    def plain(self, value: str) -> int | Decimal | str:
        if re.fullmatch(r"-?\d{1,18}(\.\d{1,18})?", value, re.ASCII):
            return Decimal(value) if "." in value else int(value)
        return value

    def json_schema(self) -> dict[str, Any]:
        return {"type": ["number", "string"]}


class Value(Shape[bool | str]):
    """A text, or `true` or `false` without quotes."""

    def read(self, node: yaml.Node, source: Source) -> bool | str:
        if isinstance(node, yaml.ScalarNode) and is_plain(node) and node.value in ("true", "false"):
            return node.value == "true"
        return text_of(node, source.place)

    def plain(self, value: bool | str) -> bool | str:
        return value

    def json_schema(self) -> dict[str, Any]:
        return {"type": ["string", "boolean"]}


@dataclass(frozen=True)
class OneOf(Shape[E]):
    """A word of an enum."""

    words: type[E]

    def read(self, node: yaml.Node, source: Source) -> E:
        word = text_of(node, source.place)
        try:
            return self.words(word)
        except ValueError:
            hint = did_you_mean(word, list(self.words))
        raise source.place.of(node).problem(f"{word!r} is unknown: {hint}")

    def plain(self, value: E) -> str:
        return str(value)

    def json_schema(self) -> dict[str, Any]:
        return {"enum": [str(word) for word in self.words]}


class Type(Shape[ColumnType]):
    """A type of Postgres."""

    def read(self, node: yaml.Node, source: Source) -> ColumnType:
        try:
            return column_type.parse(text_of(node, source.place))
        except DeclarationError as error:
            raise source.place.of(node).problem(str(error)) from None

    def plain(self, value: ColumnType) -> str:
        return str(value)

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "examples": [str(type_) for type_ in column_type.examples()]}


class Deadline(Shape[Expectation]):
    """The days and the time by which a file is expected: `daily by 08:00 Europe/Rome`."""

    def read(self, node: yaml.Node, source: Source) -> Expectation:
        try:
            return Expectation.parse(text_of(node, source.place))
        except DeclarationError as error:
            raise source.place.of(node).problem(str(error)) from None

    def plain(self, value: Expectation) -> str:
        return str(value)

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "examples": ["daily by 08:00 Europe/Rome", "weekdays by 18:30 UTC"]}


@dataclass(frozen=True)
class Many(Shape[tuple[T, ...]]):
    """A list of at least one value."""

    item: Shape[T]

    def read(self, node: yaml.Node, source: Source) -> tuple[T, ...]:
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise source.place.of(node).problem(f"expected a list like [a, b], not {shown(node)}")
        return tuple(self.item.read(child, source) for child in node.value)

    def plain(self, value: tuple[T, ...]) -> list[Any]:
        return [self.item.plain(item) for item in value]

    def json_schema(self) -> dict[str, Any]:
        return {"type": "array", "minItems": 1, "items": self.item.json_schema()}


@dataclass(frozen=True)
class Words(Text):
    """One of some words."""

    words: Collection[str]

    def read(self, node: yaml.Node, source: Source) -> str:
        word = text_of(node, source.place)
        if word.lower() not in self.words:
            raise source.place.of(node).problem(
                f"{word!r} is unknown: {did_you_mean(word, list(self.words))}"
            )
        return word

    def json_schema(self) -> dict[str, Any]:
        return {"enum": list(self.words)}


@dataclass(frozen=True)
class OneOrMany(Shape[tuple[str, ...]]):
    """A text, or a list of texts."""

    item: Text

    def read(self, node: yaml.Node, source: Source) -> tuple[str, ...]:
        if isinstance(node, yaml.ScalarNode):
            return (self.item.read(node, source),)
        return Many(self.item).read(node, source)

    def plain(self, value: tuple[str, ...]) -> str | list[str]:
        return value[0] if len(value) == 1 else list(value)

    def json_schema(self) -> dict[str, Any]:
        return {"anyOf": [self.item.json_schema(), Many(self.item).json_schema()]}


@dataclass(frozen=True)
class ListOr(Shape[Any]):
    """A list, or a mapping that says more than the list."""

    items: Many[Any]
    record: "Record[Any]"

    def read(self, node: yaml.Node, source: Source) -> Any:
        return (self.record if isinstance(node, yaml.MappingNode) else self.items).read(node, source)

    def plain(self, value: Any) -> Any:
        plain = self.record.plain(value)
        return self.items.plain(value.columns) if set(plain) == {"columns"} else plain

    def json_schema(self) -> dict[str, Any]:
        return {"anyOf": [self.items.json_schema(), self.record.json_schema()]}


@dataclass(frozen=True)
class Pairs(Shape[tuple[tuple[str, T], ...]]):
    """Values by name."""

    value: Shape[T]

    def read(self, node: yaml.Node, source: Source) -> tuple[tuple[str, T], ...]:
        found = entries(node, source.place)
        return tuple((name, self.value.read(child, source.under(name))) for name, (_, child) in found.items())

    def plain(self, value: tuple[tuple[str, T], ...]) -> dict[str, Any]:
        return {name: self.value.plain(held) for name, held in value}

    def json_schema(self) -> dict[str, Any]:
        return {"type": "object", "minProperties": 1, "additionalProperties": self.value.json_schema()}


@dataclass(frozen=True)
class Key:
    """One key of a mapping. `help` completes a sentence for people who write a file."""

    name: str
    shape: Shape[Any]
    help: str
    required: bool = False


@dataclass(frozen=True)
class Record(Shape[T]):
    """A mapping with known keys. `make` gets the value of each that is there; `fields_of` returns those to write."""

    keys: tuple[Key, ...]
    make: Callable[..., T]
    fields_of: Callable[[T], Mapping[str, Any]]

    def read(self, node: yaml.Node, source: Source) -> T:
        return self.read_with(node, source)

    def read_with(self, node: yaml.Node, source: Source, **given: Any) -> T:
        """Return the record, made from the keys of the node and from `given` values."""
        found = entries(node, source.place)
        known = {key.name: key for key in self.keys}
        for name, (key_node, _) in found.items():
            if name not in known:
                hint = did_you_mean(name, list(known))
                raise source.place.of(key_node).problem(f"unknown key {name!r}: {hint}")
        missing = [key.name for key in self.keys if key.required and key.name not in found]
        if missing:
            raise source.place.of(node).problem(f"the key {missing[0]} is missing: add it")
        values = {
            name: known[name].shape.read(child, source.under(name)) for name, (_, child) in found.items()
        }
        try:
            return self.make(**values, **given)
        except DeclarationError as error:
            raise source.place.of(node).problem(str(error)) from None

    def plain(self, value: T) -> dict[str, Any]:
        fields = self.fields_of(value)
        return {key.name: key.shape.plain(fields[key.name]) for key in self.keys if key.name in fields}

    def json_schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                key.name: key.shape.json_schema() | {"description": key.help} for key in self.keys
            },
        }
        required = [key.name for key in self.keys if key.required]
        return schema | ({"required": required} if required else {})


@dataclass(frozen=True)
class Named(Shape[tuple[T, ...]]):
    """Records by name, in the order of the file. `name_of` returns the name of one."""

    record: Record[T]
    name_of: Callable[[T], str]

    def read(self, node: yaml.Node, source: Source) -> tuple[T, ...]:
        found = entries(node, source.place)
        if not found:
            raise source.place.of(node).problem("declare at least one")
        return tuple(
            self.record.read_with(child, source.under(name), name=name) for name, (_, child) in found.items()
        )

    def plain(self, value: tuple[T, ...]) -> dict[str, Any]:
        return {self.name_of(item): self.record.plain(item) for item in value}

    def json_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": self.record.json_schema(),
        }
