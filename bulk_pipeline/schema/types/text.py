"""Texts: as they stand."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.copy_fields import sized
from bulk_pipeline.schema.column import Column
from bulk_pipeline.schema.types.codec import Codec, TypedColumn


class TextCodec(Codec):
    arrow = pa.string()

    def from_text(self, column: Column, text: pa.Array) -> TypedColumn:
        return TypedColumn(text, {})

    def _parse(self, column: Column, text: pa.Array) -> TypedColumn:
        return TypedColumn(text, {})

    def to_text(self, column: Column, cells: pa.Array) -> pa.Array:
        return cells

    def canonical(self, column: Column, cells: pa.Array) -> pa.Array:
        """Return texts without what comparisons leave out: blanks at the end in `character`, case in `citext`."""
        match column.type.family.name:
            case "character" | "bpchar":
                return pc.utf8_rtrim(cells, " ")
            case "citext":
                return pc.utf8_lower(cells)
        return cells

    def to_copy(self, cells: pa.Array) -> Iterable[pa.Array]:
        return sized(cells.cast(pa.binary()))
