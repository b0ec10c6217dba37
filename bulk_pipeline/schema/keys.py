"""Keys, which identify rows, and foreign keys, which refer to rows. Names only; no cells."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from bulk_pipeline.errors import DeclarationError

DEFAULT_SCHEMA = "public"
_PART = r'"(?:[^"]|"")+"|[^".]+'
_TABLE_NAME = re.compile(rf"(?:({_PART})\.)?({_PART})")


@dataclass(frozen=True, order=True)
class TableName:
    """The name of a table in the database."""

    schema: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the name that `orders`, `shop.orders` or `"my.shop"."orders"` means. `DeclarationError`."""
        parts = _TABLE_NAME.fullmatch(text)
        if parts is None:
            raise DeclarationError(
                f"table name {text!r} is not understood: write it like orders or shop.orders, "
                "and put a part that holds a dot in double quotes"
            )
        schema, name = map(_unquoted, parts.groups(default=DEFAULT_SCHEMA))
        return cls(schema, name)

    def __str__(self) -> str:
        """The text that `parse` reads, without the schema where it is `public`."""
        name = _quoted(self.name)
        return name if self.schema == DEFAULT_SCHEMA else f"{_quoted(self.schema)}.{name}"


@dataclass(frozen=True)
class Key:
    """Columns whose values together identify a row of a table.

    `nulls_distinct`: a row in which one of them is NULL has no such key; otherwise NULL is a value like others
    (NULLS NOT DISTINCT).
    """

    columns: tuple[str, ...]
    nulls_distinct: bool = True

    def __str__(self) -> str:
        return ", ".join(self.columns)

    def is_in(self, columns: Sequence[str]) -> bool:
        """Return whether all of the key's columns are among these."""
        return all(name in columns for name in self.columns)


@dataclass(frozen=True, kw_only=True)
class ForeignKey:
    """`columns` hold the values that a row of `table` has in `references`, one of its keys, in the same order.

    `table`: the name in the database, as `TableName.parse` reads it; it needs no declaration. A row in which one of the
    columns is NULL refers to no row.
    """

    columns: tuple[str, ...]
    table: str
    references: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.columns or len(self.columns) != len(self.references):
            raise DeclarationError(
                f"foreign key ({self}) to {self.table} ({', '.join(self.references)}): "
                "name as many columns on both sides, at least one"
            )
        TableName.parse(self.table)

    def __str__(self) -> str:
        return ", ".join(self.columns)

    @property
    def parent(self) -> TableName:
        return TableName.parse(self.table)

    def is_in(self, columns: Sequence[str]) -> bool:
        """Return whether all of the foreign key's columns are among these."""
        return all(name in columns for name in self.columns)


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


def _quoted(part: str) -> str:
    if "." not in part and '"' not in part:
        return part
    escaped = part.replace('"', '""')
    return f'"{escaped}"'
