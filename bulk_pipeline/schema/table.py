"""What a table is: columns, keys, foreign keys and the rules that hold for one row.

A table file in `bulk_pipeline.tables` holds one `Table` and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, assert_never

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema.code_pages import known_code_page, unknown_code_page
from bulk_pipeline.schema.column import Column, ColumnType
from bulk_pipeline.schema.upload_format import LEFT_OUT, NOTHING_DECLARED, UploadFormat

if TYPE_CHECKING:  # importing pandas takes a second, and most readers of a declaration never need it
    import pandas as pd


class Mode(StrEnum):
    """What to do when a row's key already exists: reject the row, or update the stored one."""

    INSERT_ONLY = "insert_only"
    UPSERT = "upsert"

    @property
    def updates_rows(self) -> bool:
        """Return whether an import in this mode may change stored rows."""
        match self:
            case Mode.INSERT_ONLY:
                return False
            case Mode.UPSERT:
                return True
            case _:
                assert_never(self)


@dataclass(frozen=True)
class ForeignKey:
    """`column` holds the id of a row of `table`."""

    column: str
    table: str


@dataclass(frozen=True)
class Rule:
    """A rule about several cells of one row.

    `passes` gets a frame of `columns` (Arrow-backed, absent columns all NULL) and returns a boolean series
    with the frame's index: true where the row keeps the rule; unknown (NULL) counts as kept, as in SQL.
    `message` is the sentence for a row that does not.
    """

    name: str
    columns: tuple[str, ...]
    passes: "Callable[[pd.DataFrame], pd.Series]"
    message: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """The one declaration from which validation, loading, the header match, help and docs follow.

    Every table has a column `id` (uuid), its primary key. `natural_key` is a column that identifies a row to
    people. With `id_optional`, rows without id are accepted in every mode; otherwise see `requires_id`. `upload_format`
    holds for every upload, where the upload itself declares nothing else.
    """

    name: str
    columns: tuple[Column, ...]
    natural_key: str | None = None
    foreign_keys: tuple[ForeignKey, ...] = ()
    rules: tuple[Rule, ...] = ()
    default_mode: Mode = Mode.INSERT_ONLY
    id_optional: bool = False
    description: str = ""
    upload_format: UploadFormat = NOTHING_DECLARED

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise DeclarationError(f"table {self.name}: column {repeated[0]} is declared twice")
        if "id" not in names or self.column("id").type is not ColumnType.UUID:
            raise DeclarationError(f"table {self.name}: declare a column id of type uuid")
        if self.natural_key is not None:
            if self.natural_key not in names:
                raise DeclarationError(f"table {self.name}: natural key {self.natural_key} is not a column")
            if not self.column(self.natural_key).required:
                raise DeclarationError(f"table {self.name}: natural key {self.natural_key} must be required")
        used = [(key.column, "a foreign key") for key in self.foreign_keys]
        used += [(name, f"rule {rule.name}") for rule in self.rules for name in rule.columns]
        for name, where in used:
            if name not in names:
                raise DeclarationError(f"table {self.name}: {where} names {name}, which is not a column")
        for key in self.foreign_keys:
            if self.column(key.column).type is not ColumnType.UUID:
                raise DeclarationError(f"table {self.name}: foreign key {key.column} must be of type uuid")
        for name, column in self.upload_format.columns:
            if column not in (*names, LEFT_OUT):
                raise DeclarationError(
                    f"table {self.name}: {name!r} stands for {column}, which is not a column"
                )
        encoding = self.upload_format.encoding
        if encoding is not None and known_code_page(encoding) is None:
            raise DeclarationError(f"table {self.name}: {unknown_code_page(encoding)}")
        rules = [rule.name for rule in self.rules]
        if len(set(rules)) < len(rules):
            raise DeclarationError(f"table {self.name}: two rules have the same name: {', '.join(rules)}")

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @cached_property
    def parents(self) -> tuple[str, ...]:
        """Names of the tables this one refers to, without itself, in order of declaration."""
        return tuple(dict.fromkeys(key.table for key in self.foreign_keys if key.table != self.name))

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    def requires_id(self, mode: Mode) -> bool:
        """Whether every row of a file must bring its id."""
        if self.id_optional:
            return False
        return not mode.updates_rows or self.natural_key is None

    def required_columns(self, mode: Mode) -> tuple[str, ...]:
        """The columns a file must have, and whose cells must have a value."""
        return tuple(
            column.name
            for column in self.columns
            if column.required or (column.name == "id" and self.requires_id(mode))
        )
