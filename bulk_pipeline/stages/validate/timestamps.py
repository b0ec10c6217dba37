"""ISO 8601 text to instants, vectorised. A text without offset means UTC.

Accepted: `YYYY-MM-DD`, or that with `T` or a blank and `hh`, `hh:mm`, `hh:mm:ss` or `hh:mm:ss.f` (1 to 9
digits, zeros after the sixth), then nothing, `Z`, `+hh`, `+hhmm` or `+hh:mm`; days as the calendar has them.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema import ColumnType
from bulk_pipeline.schema.masks import mask, without
from bulk_pipeline.schema.types import ARROW_TYPES, FIRST_INSTANT, LAST_INSTANT

_INSTANT = ARROW_TYPES[ColumnType.TIMESTAMP]
_DATE = r"(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_TIME = r"([01]\d|2[0-3])(:[0-5]\d(:[0-5]\d(\.\d{1,9})?)?)?"
_OFFSET = r"(Z|[+-]([01]\d|2[0-3])(:?[0-5]\d)?)?"
_SHAPE = rf"\A\d{{4}}-{_DATE}([T ]{_TIME}{_OFFSET})?\z"
_OTHER_YEAR = rf"\A(-\d{{4,}}|\+?0*[1-9]\d{{4,}})-{_DATE}([T ].*)?\z"
_ZONED = r"[T ].*(Z|[+-].*)\z"
_LONG_FRACTION = r"\.\d{7}"
_LOST_DIGITS = r"\.\d{6}\d*[1-9]"
_PROBE_ROWS = 100


def parse(text: pa.Array) -> tuple[pa.Array, dict[str, np.ndarray]]:
    """Instants, and a mask for each kind of problem there is: type, range, precision."""
    if (instants := _cast_whole(text)) is not None:
        return _in_range(instants, {})
    good = mask(pc.match_substring_regex(text, _SHAPE))
    good &= ~_past_end_of_month(text, good)
    problems = _what_is_wrong(text, mask(pc.is_valid(text)) & ~good)
    text = without(text, ~good)
    if (instants := _cast_whole(text)) is not None:
        return _in_range(instants, problems)
    lossy = mask(pc.match_substring_regex(text, _LOST_DIGITS))
    instants = _in_one_form(without(text, lossy)).cast(_INSTANT)
    return _in_range(instants, {**problems, "precision": lossy})


def _cast_whole(text: pa.Array) -> pa.Array | None:
    """The usual column: all right, and all with an offset or all without. Arrow's cast accepts no form that
    this module does not (tested), but fails as a whole, and slowly: hence the probe."""
    probe = text.drop_null().slice(0, _PROBE_ROWS)
    for arrow_type in (_INSTANT, pa.timestamp("us")):
        try:
            probe.cast(arrow_type)
            return text.cast(arrow_type).cast(_INSTANT)
        except pa.ArrowInvalid:
            continue
    return None


def _past_end_of_month(text: pa.Array, shaped: np.ndarray) -> np.ndarray:
    past = np.zeros(len(text), dtype=bool)
    late = np.flatnonzero(
        shaped & mask(pc.greater_equal(pc.binary_slice(text.cast(pa.binary()), 8, 10), b"29"))
    )
    if len(late):
        dates = text.take(pa.array(late))
        year, month, day = (_number(dates, start, stop) for start, stop in ((0, 4), (5, 7), (8, 10)))
        months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
        days_in_month = (months + np.timedelta64(1, "M")).astype("datetime64[D]") - months.astype(
            "datetime64[D]"
        )
        past[late] = day > days_in_month.astype(np.int64)
    return past


def _number(text: pa.Array, start: int, stop: int) -> np.ndarray:
    return pc.utf8_slice_codeunits(text, start, stop).cast(pa.int64()).to_numpy()


def _what_is_wrong(text: pa.Array, wrong: np.ndarray) -> dict[str, np.ndarray]:
    """A year of other than four digits is right in itself, but none of ours; the rest are no timestamps."""
    places = np.flatnonzero(wrong)
    other_year = np.zeros(len(text), dtype=bool)
    other_year[places] = mask(pc.match_substring_regex(text.take(pa.array(places)), _OTHER_YEAR))
    return {"type": wrong & ~other_year, "range": other_year}


def _in_one_form(text: pa.Array) -> pa.Array:
    """Right texts in the form Arrow casts: with an offset and at most six digits of a second."""
    if pc.any(pc.match_substring_regex(text, _LONG_FRACTION)).as_py():
        text = pc.replace_substring_regex(text, r"(\.\d{6})0+", r"\1")
    hour = pc.if_else(pc.equal(pc.binary_length(text), len("YYYY-MM-DD")), "T00", "")
    zone = pc.if_else(pc.match_substring_regex(text, _ZONED), "", "Z")
    return pc.binary_join_element_wise(text, hour, zone, "")


def _in_range(instants: pa.Array, problems: dict[str, np.ndarray]) -> tuple[pa.Array, dict[str, np.ndarray]]:
    numbers = instants.cast(pa.int64())
    outside = mask(pc.or_(pc.less(numbers, FIRST_INSTANT), pc.greater(numbers, LAST_INSTANT)))
    outside_too = problems.get("range", outside) | outside
    problems = {**problems, "range": outside_too}
    return without(instants, outside), {kind: rows for kind, rows in problems.items() if rows.any()}
