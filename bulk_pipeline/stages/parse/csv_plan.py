"""How the records of one delimited file are cut, and which of their cells are wanted."""

from dataclasses import dataclass
from functools import cached_property

from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.blanks import Blanks

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Before a record it says that files were joined."""

_SHOWN_LENGTH = 50


@dataclass(frozen=True)
class Syntax:
    """The characters of a delimited file, in UTF-8. `quote` and `escape` are empty where there is none.

    `escape` is a backslash that makes a delimiter, quote, line end or backslash after it plain text; doubled
    quotes are understood always.
    """

    delimiter: bytes = b","
    quote: bytes = b'"'
    escape: bytes = b""

    @cached_property
    def blanks(self) -> Blanks:
        """What is trimmed around cells."""
        return Blanks(b" \t\x0b\x0c".replace(self.delimiter[:1], b""))


@dataclass(frozen=True)
class Plan:
    """`width`: cells a record must have. `names[i]` is the column made of the cell `positions[i]`.

    `labels`: what each cell is called in messages. `header`: the header's bytes, by which a repeated one is
    known.
    """

    syntax: Syntax
    width: int
    names: tuple[str, ...]
    positions: tuple[int, ...]
    labels: tuple[str, ...]
    header: bytes
    limits: Limits
    encoding: str = "utf-8"

    def label(self, cell: int) -> str:
        name = self.labels[cell][:_SHOWN_LENGTH] if cell < len(self.labels) else ""
        return f"cell {cell + 1} ({name})" if name else f"cell {cell + 1}"
