"""The interface of a codec: text of a file to typed cells, and typed cells to files and to Postgres."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.masks import mask, without
from bulk_pipeline.arrow.text import json_parts
from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema.column import Column


@dataclass(frozen=True)
class TypedColumn:
    """A typed column, NULL where the text is NULL or has a problem.

    `problems` holds a mask by kind: `type` (not of that type), `range` (of the type, but too far out), `precision`
    (more than the column keeps), `zone` (an offset that the column does not keep), `not_finite` (NaN or an infinity,
    where none is declared) and `nul` (a NUL character, which Postgres has no room for).
    """

    values: pa.Array
    problems: dict[str, np.ndarray]


class Codec(ABC):
    """Whole columns of cells of one type. `arrow`: their type between validation and the database."""

    arrow: pa.DataType
    is_binary: bool = True
    """True if `to_copy` makes COPY's binary fields; otherwise the table is loaded by texts (`to_literal`)."""
    server_type: str | None = None
    """The Postgres type whose input Postgres itself must check, because no check of ours can; None if ours are
    enough."""

    def from_text(self, column: Column, text: pa.Array) -> TypedColumn:
        """Return the values of a file's cells; an empty text is NULL, except in text columns.

        Limits of the declaration (required, lengths, patterns) are for the checks of `stages.validate`.
        """
        text = _without_empty(text)
        if text.null_count == len(text):
            return TypedColumn(pa.nulls(len(text), self.arrow), {})
        return self._parse(column, text)

    @abstractmethod
    def _parse(self, column: Column, text: pa.Array) -> TypedColumn:
        """Return the values of texts, some of which are not NULL, and none empty."""

    @abstractmethod
    def to_text(self, column: Column, cells: pa.Array) -> pa.Array:
        """Return the cells as they stand in a file, before any escapes; a cell without a value stays NULL."""

    def to_csv(self, column: Column, cells: pa.Array) -> pa.Array:
        """Return cells from the database as `arrow.text.csv_records` takes them: it quotes texts, and nothing else."""
        return cells if column.type.facts.is_bare_in_csv else self.to_text(column, cells)

    def to_json(self, column: Column, cells: pa.Array) -> list[pa.Array | bytes]:
        """Return parts of a line of JSON, as `arrow.text.joined` takes them; NULL is written as null."""
        written = self.to_text(column, cells)
        return [written] if column.type.facts.is_bare_in_json else json_parts(written)

    def to_literal(self, column: Column, cells: pa.Array) -> pa.Array:
        """Return typed cells as texts that Postgres reads."""
        return self.to_text(column, cells)

    def from_parquet(self, column: Column, cells: pa.Array) -> pa.Array | None:
        """Return the texts of a column of a Parquet file; None where the reader's own are right."""
        return None

    def default(self, column: Column) -> pa.Scalar:
        """Return the declared default. Raises `DeclarationError` if the column cannot hold it."""
        typed = self.from_text(column, pa.array([str(column.default)]))
        if typed.problems:
            raise DeclarationError(
                f"column {column.name}: default {column.default!r} is not a value of {column.type}"
            )
        return typed.values[0]

    def to_parquet(self, column: Column, cells: pa.Array) -> pa.Array:
        """Return cells from the database as Parquet holds them, in the type `arrow`."""
        return cells

    def to_sheet(self, column: Column, cells: pa.Array) -> pa.Array | None:
        """Return the numbers that a spreadsheet stores for cells from the database, as texts: numbers, days of its
        calendar, 1 and 0 for booleans. NULL stands where only a text keeps the value, and None if this is everywhere.
        """
        return None

    def canonical(self, column: Column, cells: pa.Array) -> pa.Array:
        """Return texts that Postgres reads as these values; values that are equal in Postgres get the same text."""
        return cells if pa.types.is_string(cells.type) else cells.cast(pa.string())

    @abstractmethod
    def to_copy(self, cells: pa.Array) -> Iterable[pa.Array]:
        """Return arrays of bytes that make up the cells' fields of COPY when they are joined."""

    def refuse_unwritable(self, column: Column, cells: pa.Array) -> None:  # noqa: B027 - most types have none
        """Raise `UnwritableValueError` if cells from the database hold a value that no import could read back."""


def only(values: pa.Array, good: pa.Array) -> TypedColumn:
    """The values that are good. Values that are NULL themselves are good."""
    bad = mask(pc.invert(good))
    return TypedColumn(without(values, bad), {"type": bad} if bad.any() else {})


def problems(**masks: np.ndarray) -> dict[str, np.ndarray]:
    """Return the problems that any cell has."""
    return {kind: rows for kind, rows in masks.items() if rows.any()}


def _without_empty(text: pa.Array) -> pa.Array:
    empty = pc.equal(text, "")
    return pc.if_else(empty, None, text) if pc.any(empty).as_py() else text
