"""Clean files of the four tables in pieces, with the cells and the bytes of each record.

The writer shares no code with the parser, so that it can test it.
"""

import csv
import io
from dataclasses import dataclass, replace
from functools import cache

from bulk_pipeline import tables
from bulk_pipeline.samples.sample import Sample

ROWS = 14
TRICKY = (
    'says "hi", twice',
    "one line\nand another",
    "O'Brien; or so | not\tsure",
    "C:\\dir\\new",
    '"quoted" at the start',
    'ends with a quote"',
    "é ü 漢字",
    "three\nshort\nlines",
)
"""Texts that need quotes in CSV."""


@dataclass(frozen=True)
class Piece:
    """A piece of the file with its line end. `row` is its clean row, None if it is not a row.

    `touched`: the damage is here, so the row may be lost if that is reported. `also`: other cells that are a correct
    reading of the damaged bytes. `kept`: the row must be loaded in spite of the damage.
    """

    text: bytes
    row: int | None
    touched: bool = False
    also: tuple[tuple[str, ...], ...] = ()
    kept: bool = False


@dataclass(frozen=True)
class Clean:
    """A clean file: the `cells` of each row, "" for an empty one, and the same cells as written."""

    table: str
    names: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    literals: tuple[tuple[bytes, ...], ...]
    delimiter: bytes
    end: bytes

    @property
    def header(self) -> Piece:
        return Piece(self.delimiter.join(name.encode() for name in self.names) + self.end, None)

    @property
    def pieces(self) -> list[Piece]:
        return [self.header, *(self.piece(row) for row in range(len(self.cells)))]

    def piece(self, row: int) -> Piece:
        return Piece(self.written(self.literals[row]), row)

    def written(self, literals: tuple[bytes, ...] | list[bytes]) -> bytes:
        return self.delimiter.join(literals) + self.end

    def only(self, rows: int) -> "Clean":
        return replace(self, cells=self.cells[:rows], literals=self.literals[:rows])


@cache
def clean(table: str, delimiter: bytes = b",", end: bytes = b"\n", *, quoted: bool = False) -> Clean:
    """Return a file of `ROWS` good rows; with `quoted`, every cell is in quotes."""
    out = io.BytesIO()
    Sample(tables.get(table), ROWS, seed=3).write(out)
    names, *rows = csv.reader(io.StringIO(out.getvalue().decode(), newline=""))
    free = names.index({"customers": "last_name", "users": "name", "articles": "title"}.get(table, "body"))
    for number, row in enumerate(rows):
        if number % 5 != 4:
            row[free] = TRICKY[(number - number // 5) % len(TRICKY)]
    literals = tuple(tuple(literal(cell, delimiter, quoted) for cell in row) for row in rows)
    return Clean(table, tuple(names), tuple(map(tuple, rows)), literals, delimiter, end)


def literal(cell: str, delimiter: bytes, quoted: bool = False) -> bytes:
    text = cell.encode()
    if not text or not (quoted or any(mark in text for mark in (delimiter, b'"', b"\r", b"\n"))):
        return text
    return b'"' + text.replace(b'"', b'""') + b'"'
