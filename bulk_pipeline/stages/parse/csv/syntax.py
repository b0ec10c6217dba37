"""The syntax of one delimited file, and the plan by which its records become columns."""

from dataclasses import dataclass
from functools import cached_property

from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.blanks import Blanks

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""In front of a record, it shows that files were joined."""

_SHOWN_LENGTH = 50


@dataclass(frozen=True)
class Syntax:
    """The special characters of a delimited file, in UTF-8. `quote` and `escape` are empty if the file has none.

    `escape` is a backslash that turns a following delimiter, quote, line end or backslash into plain text. Doubled
    quotes are always understood.
    """

    delimiter: bytes = b","
    quote: bytes = b'"'
    escape: bytes = b""

    @cached_property
    def blanks(self) -> Blanks:
        """The blanks that are trimmed around cells."""
        return Blanks(b" \t\x0b\x0c".replace(self.delimiter[:1], b""))


@dataclass(frozen=True)
class Plan:
    """The columns to make of a file's records, and its syntax and limits.

    `width` is the number of cells a record must have; the cell at `positions[i]` becomes column `names[i]`. `labels`
    are the names of the cells in messages. `header` is the header's bytes, by which a repeated header is recognised.
    `empty_rows`: a record of which all cells are empty is a row.
    """

    syntax: Syntax
    width: int
    names: tuple[str, ...]
    positions: tuple[int, ...]
    labels: tuple[str, ...]
    header: bytes
    limits: Limits
    encoding: str = "utf-8"
    empty_rows: bool = False

    def label(self, cell: int) -> str:
        name = self.labels[cell][:_SHOWN_LENGTH] if cell < len(self.labels) else ""
        return f"cell {cell + 1} ({name})" if name else f"cell {cell + 1}"
