"""Bytes: in files hexadecimal as Postgres writes it (`\\x00ff`), or base64 where the column says so."""

import base64
import binascii
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.bytes import hex_octets, hex_texts
from bulk_pipeline.arrow.copy_fields import sized
from bulk_pipeline.arrow.masks import mask, without
from bulk_pipeline.schema.column import Column
from bulk_pipeline.schema.types.codec import Codec, TypedColumn, problems

_HEX = r"\A\\x([0-9a-fA-F]{2})*\z"
_PREFIX = "\\x"


class ByteaCodec(Codec):
    arrow = pa.binary()

    def from_text(self, column: Column, text: pa.Array) -> TypedColumn:
        """In base64 no bytes are an empty text."""
        return self._from_base64(text) if column.base64 else super().from_text(column, text)

    def _parse(self, column: Column, text: pa.Array) -> TypedColumn:
        wrong = mask(pc.is_valid(text)) & ~mask(pc.match_substring_regex(text, _HEX))
        digits = pc.utf8_slice_codeunits(without(text, wrong), len(_PREFIX))
        return TypedColumn(hex_octets(pc.ascii_lower(digits)), problems(type=wrong))

    def _from_base64(self, text: pa.Array) -> TypedColumn:
        cells = [None if cell is None else _decoded(cell) for cell in text.to_pylist()]
        values = pa.array(cells, pa.binary())
        return TypedColumn(values, problems(type=mask(pc.is_null(values)) & ~mask(pc.is_null(text))))

    def to_text(self, column: Column, cells: pa.Array) -> pa.Array:
        if not column.base64:
            return pc.binary_join_element_wise(_PREFIX, hex_texts(cells), "")
        return pa.array(
            [None if cell is None else base64.b64encode(cell).decode() for cell in cells.to_pylist()],
            pa.string(),
        )

    def to_literal(self, column: Column, cells: pa.Array) -> pa.Array:
        return pc.binary_join_element_wise(_PREFIX, hex_texts(cells), "")

    def canonical(self, column: Column, cells: pa.Array) -> pa.Array:
        return self.to_literal(column, cells)

    def from_parquet(self, column: Column, cells: pa.Array) -> pa.Array | None:
        """Return the bytes of a Parquet column as texts; texts in a Parquet column are read as in other files."""
        is_binary = pa.types.is_binary(cells.type) or pa.types.is_large_binary(cells.type)
        if not is_binary and not pa.types.is_fixed_size_binary(cells.type):
            return None
        return self.to_text(column, cells.cast(pa.binary()))

    def to_copy(self, cells: pa.Array) -> Iterable[pa.Array]:
        return sized(cells)


def _decoded(cell: str) -> bytes | None:
    try:
        return base64.b64decode(cell, validate=True)
    except (binascii.Error, ValueError):
        return None
