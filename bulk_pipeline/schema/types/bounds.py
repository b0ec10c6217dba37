"""Tests typed cells by the bounds of their column, in the order of Postgres: NaN is greater than all other numbers.

Comparisons are exact. A limit that the type cannot hold is refused: a cell would be compared with another number.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.masks import mask
from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema.bounds import Bound
from bulk_pipeline.schema.column import Column
from bulk_pipeline.schema.types import codec_of

_WIDE = pa.decimal256(76, 38)
_FITS_WIDE = r"\A-?\d{1,38}(\.\d{0,38})?\z"


def check_column(column: Column) -> None:
    """Raise `DeclarationError` if the column's type cannot hold a limit."""
    for _, text in column.bounds:
        limit_of(column, text)


def limit_of(column: Column, text: str) -> pa.Scalar:
    """Return a limit as a value that cells of the column can be compared with. Raises `DeclarationError`."""
    exact = replace(column, round=False, default=None)
    typed = codec_of(column).from_text(exact, pa.array([text]))
    try:
        if typed.problems:
            raise pa.ArrowInvalid(text)
        if pa.types.is_string(typed.values.type):
            return pa.scalar(Decimal(text), _WIDE)
    except pa.ArrowInvalid:
        raise DeclarationError(
            f"column {column.name}: limit {text} is not a value of {column.type}"
        ) from None
    if pa.types.is_floating(typed.values.type):  # Postgres compares real with double precision
        return pa.scalar(float(text), pa.float64())
    return typed.values[0]


def comparison(column: Column, bound: Bound, text: str) -> Callable[[pa.ChunkedArray], pa.ChunkedArray]:
    """Return a function from typed cells to a boolean for each, true if it is inside the bound; NULL stays NULL."""
    limit = limit_of(column, text)
    if limit.type == _WIDE:
        return lambda cells: _texts_inside(bound, cells, limit)
    return lambda cells: _inside(bound, cells, limit)


def _inside(bound: Bound, cells: pa.ChunkedArray, limit: pa.Scalar) -> pa.ChunkedArray:
    """A NaN is less than nothing: it fails upper bounds, and passes lower ones."""
    compare = pc.less if bound.is_lower == bound.is_inclusive else pc.less_equal
    below = compare(cells, limit)
    return pc.invert(below) if bound.is_lower else below


def _texts_inside(bound: Bound, cells: pa.ChunkedArray, limit: pa.Scalar) -> pa.ChunkedArray:
    """Test numbers that are texts, because no decimal is wide enough for all of them; one by one where none is."""
    fits = pc.match_substring_regex(cells, _FITS_WIDE)
    inside = _inside(bound, pc.if_else(fits, cells, None).cast(_WIDE), limit)
    places = np.flatnonzero(mask(pc.invert(fits)))
    if not len(places):
        return inside
    numbers = (Decimal(text) for text in cells.take(pa.array(places)).to_pylist())
    found = mask(inside)
    found[places] = [
        bound.keeps(Decimal("Infinity") if number.is_nan() else number, limit.as_py()) for number in numbers
    ]
    return pa.chunked_array([pa.array(found, mask=mask(cells.is_null()))])
