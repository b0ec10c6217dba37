"""Dates: ISO 8601, of the years 1 to 9999. Midnight may stand behind a date, as spreadsheets and pandas write it."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.copy_fields import big_endian, fixed
from bulk_pipeline.arrow.masks import mask, without
from bulk_pipeline.schema.column import Column
from bulk_pipeline.schema.families.times import DATE
from bulk_pipeline.schema.types.codec import Codec, TypedColumn, problems
from bulk_pipeline.schema.types.timestamp import (
    FIRST_SHEET_DAY,
    OTHER_YEAR,
    SHEET_EPOCH,
    past_end_of_month,
    refuse_far_times,
)

_SHAPE = rf"\A{DATE}([T ]00:00(:00(\.0{{1,9}})?)?)?\z"
_LENGTH = len("YYYY-MM-DD")
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31 in days since 1970
_POSTGRES_EPOCH = 10_957
"""2000-01-01, from which Postgres counts, in days since 1970."""


class DateCodec(Codec):
    arrow = pa.date32()

    def _parse(self, column: Column, text: pa.Array) -> TypedColumn:
        if (days := _cast_whole(text)) is not None:
            return TypedColumn(days, {})
        good = mask(pc.match_substring_regex(text, _SHAPE))
        good &= ~past_end_of_month(text, good)
        wrong = mask(pc.is_valid(text)) & ~good
        outside = wrong & mask(pc.match_substring_regex(text, OTHER_YEAR))
        outside |= good & mask(pc.starts_with(text, "0000"))
        days = pc.utf8_slice_codeunits(without(text, wrong | outside), 0, _LENGTH).cast(self.arrow)
        return TypedColumn(days, problems(type=wrong & ~outside, range=outside))

    def to_text(self, column: Column, cells: pa.Array) -> pa.Array:
        return cells.cast(pa.string())

    def to_sheet(self, column: Column, cells: pa.Array) -> pa.Array | None:
        days = pc.add(cells.cast(pa.int32()), SHEET_EPOCH)
        return pc.if_else(pc.greater_equal(days, FIRST_SHEET_DAY), days.cast(pa.string()), None)

    def to_copy(self, cells: pa.Array) -> Iterable[pa.Array]:
        return [fixed(cells, _octets)]

    def refuse_unwritable(self, column: Column, cells: pa.Array) -> None:
        refuse_far_times(column, cells.cast(pa.int32()), _FIRST_DAY, _LAST_DAY)


def _cast_whole(text: pa.Array) -> pa.Array | None:
    """The usual column. Arrow accepts no other form, but the year 0."""
    try:
        days = text.cast(pa.date32())
    except pa.ArrowInvalid:
        return None
    return None if pc.min(days.cast(pa.int32())).as_py() < _FIRST_DAY else days


def _octets(cells: pa.Array) -> np.ndarray:
    return big_endian(pc.subtract(cells.cast(pa.int32()), _POSTGRES_EPOCH), ">i4")
