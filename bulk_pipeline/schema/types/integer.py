"""Whole numbers: digits, a sign if need be, and a fraction only of zeros."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.bytes import text_bytes
from bulk_pipeline.arrow.copy_fields import big_endian, fixed
from bulk_pipeline.arrow.masks import mask, without
from bulk_pipeline.schema.column import Column
from bulk_pipeline.schema.families.numbers import bounds
from bulk_pipeline.schema.types.codec import Codec, TypedColumn, problems

_SHAPE = r"\A[+-]?\d+(\.0*)?\z"  # pandas makes floats of whole numbers where some are missing
_PARTS = r"\A\+?(-?)0*(\d+?)(\.0*)?\z"
_COMPARABLE_DIGITS = 38
_SHEET_LIMIT = 10**15
"""Spreadsheets keep 15 digits of a number."""
_WIDE = pa.decimal128(_COMPARABLE_DIGITS)


class IntegerCodec(Codec):
    """Integers of 16, 32 or 64 bits."""

    def __init__(self, arrow: pa.DataType) -> None:
        self.arrow = arrow
        self._octets = f">i{arrow.bit_width // 8}"

    def _parse(self, column: Column, text: pa.Array) -> TypedColumn:
        if (values := _cast_whole(text, self.arrow)) is not None:
            return TypedColumn(values, {})
        wrong = mask(pc.is_valid(text)) & ~mask(pc.match_substring_regex(text, _SHAPE))
        digits = pc.replace_substring_regex(without(text, wrong), _PARTS, r"\1\2")
        long = mask(pc.greater(pc.binary_length(digits), _COMPARABLE_DIGITS))
        wide = without(digits, long).cast(_WIDE)
        least, most = (pa.scalar(bound, pa.int64()).cast(_WIDE) for bound in bounds(self.arrow.bit_width))
        outside = long | mask(pc.or_(pc.less(wide, least), pc.greater(wide, most)))
        return TypedColumn(without(wide, outside).cast(self.arrow), problems(type=wrong, range=outside))

    def to_text(self, column: Column, cells: pa.Array) -> pa.Array:
        return cells.cast(pa.string())

    def to_sheet(self, column: Column, cells: pa.Array) -> pa.Array | None:
        texts = self.to_text(column, cells)
        if self.arrow != pa.int64():
            return texts
        is_short = pc.and_(pc.less(cells, _SHEET_LIMIT), pc.greater(cells, -_SHEET_LIMIT))
        return pc.if_else(is_short, texts, None)

    def to_copy(self, cells: pa.Array) -> Iterable[pa.Array]:
        return [fixed(cells, lambda known: big_endian(known, self._octets))]


def _cast_whole(text: pa.Array, type_: pa.DataType) -> pa.Array | None:
    """The usual column: only digits and minus signs. Arrow reads `0x1F` too, hence the look at the bytes."""
    octets = text_bytes(text)
    if ((octets - np.uint8(ord("0")) > 9) & (octets != ord("-"))).any():
        return None
    try:
        return text.cast(type_)
    except pa.ArrowInvalid:
        return None
