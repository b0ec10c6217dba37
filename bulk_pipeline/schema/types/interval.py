"""Lengths of time: texts in ISO 8601, as Postgres writes them, until they are loaded."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from bulk_pipeline.arrow.copy_fields import big_endian, fixed
from bulk_pipeline.schema.column import Column
from bulk_pipeline.schema.families.times import Interval, read_interval
from bulk_pipeline.schema.types.codec import Codec, TypedColumn, problems
from bulk_pipeline.schema.types.timestamp import digits_of

_DAY_MICROSECONDS = 86_400_000_000
_MOST_DAYS = 2**31


class IntervalCodec(Codec):
    arrow = pa.string()

    def _parse(self, column: Column, text: pa.Array) -> TypedColumn:
        known = text.dictionary_encode()
        digits, unit = digits_of(column), column.type.facts.unit
        answers = [_answer(word, digits, unit) for word in known.dictionary.to_pylist()]
        values = pa.array([str(a) if isinstance(a, Interval) else None for a in answers], pa.string())
        decoded = pa.DictionaryArray.from_arrays(known.indices, values).dictionary_decode()
        indices = known.indices.fill_null(len(answers)).to_numpy()
        kinds = np.array([*(a if isinstance(a, str) else "" for a in answers), ""])[indices]
        return TypedColumn(
            decoded, problems(**{kind: kinds == kind for kind in ("type", "range", "precision")})
        )

    def to_text(self, column: Column, cells: pa.Array) -> pa.Array:
        return cells

    def canonical(self, column: Column, cells: pa.Array) -> pa.Array:
        """Return days and microseconds, as Postgres compares intervals: a month has 30 days, a day 24 hours."""
        known = cells.dictionary_encode()
        words = pa.array([_compared(word) for word in known.dictionary.to_pylist()], pa.string())
        return pa.DictionaryArray.from_arrays(known.indices, words).dictionary_decode()

    def to_copy(self, cells: pa.Array) -> Iterable[pa.Array]:
        return [fixed(cells, _octets)]


def _answer(text: str, digits: int, unit: str) -> Interval | str:
    found = read_interval(text)
    if isinstance(found, Interval) and (found.microseconds % 10 ** (6 - digits) or not found.is_whole(unit)):
        return "precision"
    return found


def _compared(text: str) -> str:
    interval = read_interval(text)
    if isinstance(interval, str):
        return text
    days, microseconds = divmod(interval.microseconds, _DAY_MICROSECONDS)
    days += interval.months * 30 + interval.days
    return str(Interval(0, days, microseconds)) if abs(days) < _MOST_DAYS else text


def _octets(cells: pa.Array) -> np.ndarray:
    """Eight bytes of microseconds, four of days, four of months."""
    known = cells.dictionary_encode()
    intervals = [read_interval(word) for word in known.dictionary.to_pylist()]
    numbers = [(i.microseconds, i.days, i.months) for i in intervals if isinstance(i, Interval)]
    units = np.array(numbers, np.int64).reshape(-1, 3).T
    return np.concatenate(
        [
            big_endian(pa.array(unit).take(known.indices), type_)
            for unit, type_ in zip(units, (">i8", ">i4", ">i4"), strict=True)
        ],
        axis=1,
    )
