"""What a column of a table is: its type, and the limits that hold for one cell by itself."""

import re
from dataclasses import dataclass
from enum import StrEnum

from bulk_pipeline.errors import DeclarationError

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")


class ColumnType(StrEnum):
    """The types a column can have; the value is the Postgres type."""

    UUID = "uuid"
    TEXT = "text"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp with time zone"
    TEXT_ARRAY = "text[]"


_DEFAULTS: dict[ColumnType, type] = {ColumnType.TEXT: str, ColumnType.BOOLEAN: bool}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column. Limits count Unicode code points; `max_words` counts runs of non-blank characters.

    `required`: every row needs a value that is neither NULL nor the empty string, and where words are counted at
    least one word.
    `pattern`: an RE2 expression the whole cell must match (see `patterns.check`); `pattern_name` is how people call it.
    `default`: what a NULL cell becomes in a row that is inserted.
    `generated`: the database makes the value when a row that is inserted has none.
    `prefix`: a text that may stand before the value in files and is not stored (`cm_`).
    """

    name: str
    type: ColumnType = ColumnType.TEXT
    required: bool = False
    max_length: int | None = None
    max_words: int | None = None
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    pattern_name: str | None = None
    default: bool | str | None = None
    generated: bool = False
    prefix: str | None = None

    def __post_init__(self) -> None:
        if not _IDENTIFIER.fullmatch(self.name):
            raise DeclarationError(
                f"column name {self.name!r}: use lower-case letters, digits and underscores, a letter first"
            )
        text_only = (self.max_length, self.max_words, self.pattern, self.choices or None)
        if self.type is not ColumnType.TEXT and any(limit is not None for limit in text_only):
            raise DeclarationError(
                f"column {self.name}: max_length, max_words, pattern and choices are for text, "
                f"not {self.type}"
            )
        if (self.pattern is None) != (self.pattern_name is None):
            raise DeclarationError(f"column {self.name}: give pattern and pattern_name together")
        if self.default is not None and self.choices and self.default not in self.choices:
            raise DeclarationError(f"column {self.name}: default {self.default!r} is not one of its choices")
        if self.default is not None and not isinstance(self.default, _DEFAULTS.get(self.type, ())):
            raise DeclarationError(f"column {self.name}: default {self.default!r} is not of type {self.type}")
        if self.prefix is not None and self.type is not ColumnType.UUID:
            raise DeclarationError(f"column {self.name}: prefix is for uuid, not {self.type}")

    @property
    def null_keeps_stored(self) -> bool:
        """Whether NULL leaves a stored value as it is, because the column is never NULL in the table."""
        return self.generated or self.default is not None
