"""Times of day, with or without the offset of a time zone: texts as Postgres writes them, until they are loaded.

Arrow's times end at 23:59:59.999999, those of Postgres at 24:00:00.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.bytes import text_bytes
from bulk_pipeline.arrow.copy_fields import big_endian, fixed
from bulk_pipeline.arrow.masks import mask, without
from bulk_pipeline.schema.column import Column
from bulk_pipeline.schema.families.times import OFFSET, TIME, canonical_time
from bulk_pipeline.schema.types.codec import Codec, TypedColumn, problems
from bulk_pipeline.schema.types.timestamp import digits_of, finer_than

_TIME, _ZONED = rf"\A{TIME}\z", rf"\A{TIME}{OFFSET}\z"
_SECONDS = len("hh:mm:ss")
_WIDTH = len("hh:mm:ss.ffffff")
_DIGITS = [place for place in range(_WIDTH) if place not in (2, 5, 8)]
_MICROSECONDS = np.array(
    [
        *(seconds * 1_000_000 for seconds in (36_000, 3_600, 600, 60, 10, 1)),
        *(10**place for place in range(5, -1, -1)),
    ]
)
"""Microseconds in a unit of each of the digits."""


class TimeCodec(Codec):
    arrow = pa.string()

    def _parse(self, column: Column, text: pa.Array) -> TypedColumn:
        good = mask(pc.match_substring_regex(text, _TIME))
        wrong = mask(pc.is_valid(text)) & ~good
        zoned = wrong & mask(pc.match_substring_regex(text, _ZONED))
        fine = finer_than(digits_of(column), text)
        values = without(text, wrong | fine)
        short = pc.less(pc.binary_length(values), _SECONDS)
        values = pc.if_else(short, pc.binary_join_element_wise(values, ":00", ""), values)
        values = pc.replace_substring_regex(values, r"(\.\d*?)0+\z", r"\1")
        values = pc.utf8_rtrim(values, ".")
        return TypedColumn(values, problems(type=wrong & ~zoned, zone=zoned, precision=fine & good))

    def to_text(self, column: Column, cells: pa.Array) -> pa.Array:
        return cells

    def to_copy(self, cells: pa.Array) -> Iterable[pa.Array]:
        return [fixed(cells, lambda known: big_endian(_microseconds(known), ">i8"))]


class ZonedTimeCodec(Codec):
    """A time without an offset is in UTC."""

    arrow = pa.string()

    def _parse(self, column: Column, text: pa.Array) -> TypedColumn:
        good = mask(pc.match_substring_regex(text, rf"\A{TIME}{OFFSET}?\z"))
        fine = finer_than(digits_of(column), text)
        known = without(text, ~good | fine).dictionary_encode()
        words = [canonical_time(word) for word in known.dictionary.to_pylist()]
        values = pa.DictionaryArray.from_arrays(
            known.indices, pa.array(words, pa.string())
        ).dictionary_decode()
        return TypedColumn(values, problems(type=mask(pc.is_valid(text)) & ~good, precision=fine & good))

    def to_text(self, column: Column, cells: pa.Array) -> pa.Array:
        return cells

    def to_copy(self, cells: pa.Array) -> Iterable[pa.Array]:
        return [fixed(cells, _zoned_octets)]


def _microseconds(times: pa.Array) -> pa.Array:
    """The microseconds of texts that are canonical."""
    whole = pc.equal(pc.binary_length(times), _SECONDS)
    wide = pc.ascii_rpad(pc.if_else(whole, pc.binary_join_element_wise(times, ".", ""), times), _WIDTH, "0")
    digits = text_bytes(wide).reshape(len(times), _WIDTH)[:, _DIGITS].astype(np.int64) - ord("0")
    return pa.array(digits @ _MICROSECONDS)


def _zoned_octets(times: pa.Array) -> np.ndarray:
    """Eight bytes of microseconds, four of the seconds that the zone is west of Greenwich."""
    parts = pc.extract_regex(
        times, r"\A(?P<time>[\d:.]+)(?P<sign>[+-])(?P<hour>\d\d):?(?P<minute>\d*):?(?P<second>\d*)\z"
    )
    hour, minute, second = (
        pc.if_else(pc.equal(parts.field(at), ""), "0", parts.field(at))
        .cast(pa.int32())
        .to_numpy(zero_copy_only=False)
        for at in (2, 3, 4)
    )
    west = np.where(mask(pc.equal(parts.field(1), "-")), 1, -1) * (hour * 3600 + minute * 60 + second)
    microseconds = big_endian(_microseconds(parts.field(0)), ">i8")
    return np.concatenate([microseconds, big_endian(pa.array(west), ">i4")], axis=1)
