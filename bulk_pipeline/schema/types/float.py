"""Binary fractions, which keep the nearest value that they have, and the shortest text that is read as that value."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.copy_fields import big_endian, fixed
from bulk_pipeline.arrow.masks import mask, without
from bulk_pipeline.schema.column import Column
from bulk_pipeline.schema.families.numbers import NUMBER, SPECIAL
from bulk_pipeline.schema.types.codec import Codec, TypedColumn, problems

_NUMBER, _SPECIAL = rf"\A{NUMBER}\z", rf"\A{SPECIAL}\z"
_SHEET_WHOLE = 1e15
"""Imports refuse whole numbers from here on that a sheet holds as numbers: they may have lost digits."""
_NOT_ZERO = r"\A[^eE]*[1-9]"


class FloatCodec(Codec):
    """`real` (float32) and `double precision` (float64)."""

    def __init__(self, arrow: pa.DataType) -> None:
        self.arrow = arrow
        self._octets = f">f{arrow.bit_width // 8}"

    def _parse(self, column: Column, text: pa.Array) -> TypedColumn:
        is_number = mask(pc.match_substring_regex(text, _NUMBER))
        is_special = np.zeros(len(text), bool)
        if not (is_number | mask(pc.is_null(text))).all():
            is_special = mask(pc.match_substring_regex(text, _SPECIAL))
        wrong = mask(pc.is_valid(text)) & ~is_number & ~is_special
        refused = is_special if not column.not_finite else np.zeros(len(text), bool)
        values = without(text, wrong | refused).cast(self.arrow)
        outside = is_number & mask(pc.is_inf(values))
        zero = np.flatnonzero(is_number & mask(pc.equal(values, pa.scalar(0.0, self.arrow))))
        if len(zero):
            outside[zero] = mask(pc.match_substring_regex(text.take(pa.array(zero)), _NOT_ZERO))
        return TypedColumn(without(values, outside), problems(type=wrong, not_finite=refused, range=outside))

    def to_text(self, column: Column, cells: pa.Array) -> pa.Array:
        texts = cells.cast(pa.string())
        if _all_finite(cells):
            return texts
        words = pc.if_else(pc.is_nan(cells), "NaN", pc.if_else(pc.less(cells, 0), "-Infinity", "Infinity"))
        return pc.if_else(pc.is_finite(cells), texts, words)

    def from_parquet(self, column: Column, cells: pa.Array) -> pa.Array | None:
        return self.to_text(column, cells) if pa.types.is_floating(cells.type) else None

    def canonical(self, column: Column, cells: pa.Array) -> pa.Array:
        """Return one text for both zeros."""
        return self.to_text(column, pc.add(cells, pa.scalar(0.0, cells.type)))

    def to_csv(self, column: Column, cells: pa.Array) -> pa.Array:
        return cells if _all_finite(cells) else self.to_text(column, cells)

    def to_json(self, column: Column, cells: pa.Array) -> list[pa.Array | bytes]:
        """Return numbers, and texts for NaN and the infinities, which JSON has no numbers for."""
        texts = self.to_text(column, cells)
        if _all_finite(cells):
            return [texts]
        return [pc.if_else(pc.is_finite(cells), texts, pc.binary_join_element_wise('"', texts, '"', ""))]

    def to_sheet(self, column: Column, cells: pa.Array) -> pa.Array | None:
        """Spreadsheets have the numbers of `double precision`, but neither NaN nor infinities nor a negative zero."""
        texts = self.to_text(column, cells)
        is_number = pc.and_(
            pc.less(pc.abs(cells), pa.scalar(_SHEET_WHOLE, cells.type)), pc.not_equal(texts, "-0")
        )
        return pc.if_else(is_number, texts, None)

    def to_copy(self, cells: pa.Array) -> Iterable[pa.Array]:
        return [fixed(cells, lambda known: big_endian(known, self._octets))]


def _all_finite(cells: pa.Array) -> bool:
    return pc.all(pc.is_finite(cells), min_count=0).as_py() is not False
