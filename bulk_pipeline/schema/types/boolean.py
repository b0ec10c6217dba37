"""Booleans: true, false, 1, 0, yes and no, in any case."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.copy_fields import booleans, fixed
from bulk_pipeline.schema.column import Column
from bulk_pipeline.schema.types.codec import Codec, TypedColumn, only

_TRUTHS = pa.array(["true", "1", "yes", "false", "0", "no"])
_TRUE_BELOW = 3


class BooleanCodec(Codec):
    arrow = pa.bool_()

    def _parse(self, column: Column, text: pa.Array) -> TypedColumn:
        position = pc.index_in(pc.ascii_lower(text), _TRUTHS)
        return only(pc.less(position, _TRUE_BELOW), pc.or_(pc.is_null(text), pc.is_valid(position)))

    def to_text(self, column: Column, cells: pa.Array) -> pa.Array:
        return cells.cast(pa.string())

    def to_sheet(self, column: Column, cells: pa.Array) -> pa.Array | None:
        return pc.if_else(cells, "1", "0")

    def to_copy(self, cells: pa.Array) -> Iterable[pa.Array]:
        return [fixed(cells, booleans)]
