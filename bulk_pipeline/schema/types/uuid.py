"""UUIDs: canonical text (lower case, hyphens, no prefix) until they are loaded; sixteen bytes from the database."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.bytes import uuid_octets, uuid_texts
from bulk_pipeline.arrow.copy_fields import fixed
from bulk_pipeline.schema.column import Column
from bulk_pipeline.schema.types.codec import Codec, TypedColumn, only

_UUID = r"\A[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\z"


class UuidCodec(Codec):
    arrow = pa.string()

    def _parse(self, column: Column, text: pa.Array) -> TypedColumn:
        if column.prefix is not None:
            prefixed = pc.starts_with(text, column.prefix)
            if pc.any(prefixed).as_py():
                text = pc.if_else(prefixed, pc.utf8_slice_codeunits(text, len(column.prefix)), text)
        values = pc.ascii_lower(text)
        return only(values, pc.match_substring_regex(values, _UUID))

    def to_text(self, column: Column, cells: pa.Array) -> pa.Array:
        """Return the ids behind the column's prefix (`cm_`)."""
        prefix = column.prefix or ""
        if pa.types.is_string(cells.type):
            return pc.binary_join_element_wise(prefix, cells, "")
        stored = cells.storage if isinstance(cells, pa.ExtensionArray) else cells
        octets = np.frombuffer(stored.buffers()[1], np.uint8).reshape(-1, 16)
        texts = uuid_texts(octets[stored.offset : stored.offset + len(stored)], prefix)
        return pc.if_else(stored.is_valid(), texts, None) if stored.null_count else texts

    def to_literal(self, column: Column, cells: pa.Array) -> pa.Array:
        """Return ids without the column's prefix, which is not stored."""
        return cells

    def to_parquet(self, column: Column, cells: pa.Array) -> pa.Array:
        """Return ids as text, as they stand in the other formats."""
        return self.to_text(column, cells)

    def to_copy(self, cells: pa.Array) -> Iterable[pa.Array]:
        return [fixed(cells, uuid_octets)]
