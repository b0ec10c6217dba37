"""Values inside the bounds of a column: multiples of a step, up from the lower bound, else down from the upper one."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.samples.draw import Rows
from bulk_pipeline.schema import Column
from bulk_pipeline.schema.bounds import is_number
from bulk_pipeline.schema.families.numbers import bounds, precision_and_scale
from bulk_pipeline.schema.types import FIRST_INSTANT, LAST_INSTANT, codec_of
from bulk_pipeline.schema.types.bounds import limit_of

_DIGITS_AFTER_POINT = 3
"""Of numbers whose type says nothing about them."""
_LAST_DAY = 2_932_896  # 9999-12-31


@dataclass(frozen=True)
class _Steps:
    """Multiples of a step that a type has. `first`, `last`: the numbers of the outermost. `usual`: how many to draw.

    `cells`: returns the values of numbers.
    """

    step: Fraction
    first: int
    last: int
    usual: int
    cells: Callable[[pa.Array], pa.Array]


@dataclass(frozen=True)
class Range:
    """`count`: how many values there are. `nth`: returns those of numbers from 0 on (int64)."""

    count: int
    nth: Callable[[np.ndarray], pa.Array]
    usual: int

    def drawn(self, column: Column, rows: Rows) -> pa.Array:
        return self.nth(rows.below(self.usual, column.name))


def of_bounds(column: Column) -> Range | None:
    """Return the values inside the bounds of a column; None if no multiple of the step is."""
    steps = _steps(column)
    first, last, lower, upper = steps.first, steps.last, False, False
    for bound, text in column.bounds:
        limit = _number(column, text) / steps.step
        if bound.is_lower:
            lower, first = True, max(first, ceil(limit) if bound.is_inclusive else floor(limit) + 1)
        else:
            upper, last = True, min(last, floor(limit) if bound.is_inclusive else ceil(limit) - 1)
    if first > last:
        return None
    count = last - first + 1
    start, sign = (first, 1) if lower else (last, -1)
    return Range(
        count,
        lambda numbers: steps.cells(pa.array(start + sign * numbers.astype(np.int64))),
        count if lower and upper else min(count, steps.usual),
    )


def _number(column: Column, text: str) -> Fraction:
    """Return a limit as a number: of days for dates, of microseconds for timestamps."""
    if is_number(column.type.facts):
        return Fraction(text)
    limit = limit_of(column, text)
    return Fraction(limit.cast(pa.int32() if pa.types.is_date(limit.type) else pa.int64()).as_py())


def _steps(column: Column) -> _Steps:
    arrow, family = codec_of(column).arrow, column.type.family.name
    if family == "date":
        return _Steps(Fraction(1), 0, _LAST_DAY, 700, lambda days: days.cast(pa.int32()).cast(arrow))
    if pa.types.is_timestamp(arrow):
        first, last = ceil(FIRST_INSTANT / 1_000_000), LAST_INSTANT // 1_000_000
        return _Steps(
            Fraction(1_000_000),
            first,
            last,
            2 * 365 * 86_400,
            lambda seconds: pc.multiply(seconds, 1_000_000).cast(arrow),
        )
    if pa.types.is_floating(arrow):
        most = 1 << (24 if arrow.bit_width == 32 else 53)
        return _Steps(
            Fraction(1, 1024),
            -most,
            most,
            1 << 24,
            lambda n: pc.divide(n.cast(arrow), pa.scalar(1024, arrow)),
        )
    if family != "numeric":
        return _Steps(Fraction(1), *bounds(arrow.bit_width), 30_000, lambda numbers: numbers.cast(arrow))
    precision, scale = precision_and_scale(column.type.parameters)
    if precision is None:
        precision, scale = 18, _DIGITS_AFTER_POINT
    most = 10 ** min(precision, 18) - 1
    return _Steps(
        Fraction(10) ** -scale, -most, most, 10 ** (scale + 4), lambda n: _numerics(column, n, scale)
    )


def _numerics(column: Column, numbers: pa.Array, scale: int) -> pa.Array:
    texts = pc.binary_join_element_wise(numbers.cast(pa.string()), f"e{-scale}", "")
    return codec_of(column).from_text(column, texts).values
