"""Types that Postgres reads and checks itself: texts all the way."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.copy_fields import sized
from bulk_pipeline.arrow.masks import mask, without
from bulk_pipeline.arrow.text import held
from bulk_pipeline.schema.column import Column
from bulk_pipeline.schema.types.codec import Codec, TypedColumn, problems


class OpaqueCodec(Codec):
    """A column with choices is an enum, or a domain over text, whose bytes COPY takes; all others travel as text."""

    arrow = pa.string()

    def __init__(self, column: Column) -> None:
        self.is_binary = bool(column.choices)
        self.server_type = None if column.choices else column.type.facts.postgres
        self._keeps_empty = column.type.facts.empty_is_value

    def from_text(self, column: Column, text: pa.Array) -> TypedColumn:
        return self._parse(column, text) if self._keeps_empty else super().from_text(column, text)

    def _parse(self, column: Column, text: pa.Array) -> TypedColumn:
        if not held(text, "\0"):
            return TypedColumn(text, {})
        nul = mask(pc.match_substring(text, "\0"))
        return TypedColumn(without(text, nul), problems(nul=nul))

    def to_text(self, column: Column, cells: pa.Array) -> pa.Array:
        return cells

    def to_copy(self, cells: pa.Array) -> Iterable[pa.Array]:
        return sized(cells.cast(pa.binary()))
