"""Instants: ISO 8601 text in files, vectorised. A text without offset means UTC.

Accepted: `YYYY-MM-DD`, or that with `T` or a blank and `hh`, `hh:mm`, `hh:mm:ss` or `hh:mm:ss.f` (1 to 9
digits, zeros after the sixth), then nothing, `Z`, `+hh`, `+hhmm` or `+hh:mm`; days as the calendar has them.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.bytes import fixed_width, text_bytes
from bulk_pipeline.arrow.copy_fields import big_endian, fixed
from bulk_pipeline.arrow.masks import mask, without
from bulk_pipeline.errors import UnwritableValueError
from bulk_pipeline.schema.column import Column
from bulk_pipeline.schema.types.codec import Codec, TypedColumn, problems

FIRST_INSTANT = -62_135_596_800_000_000
"""0001-01-01T00:00:00Z in microseconds: times before it, and after the last, are no values of ours."""
LAST_INSTANT = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z in microseconds."""
INSTANT = pa.timestamp("us", tz="UTC")
_LOCAL = pa.timestamp("us")
_MOST_DIGITS = 6
_POSTGRES_EPOCH = 946_684_800_000_000
"""2000-01-01, from which Postgres counts, in microseconds since 1970."""
SHEET_EPOCH, FIRST_SHEET_DAY = 25_569, 61
"""1970-01-01 in the days of spreadsheets, and 1900-03-01: before it they count 1900-02-29, which did not exist."""
_MILLISECOND, _DAY_MICROSECONDS = 1_000, 86_400_000_000
_TEXT_LENGTH = len("2026-01-31 12:30:00.000001")
_DATE = r"(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_TIME = r"([01]\d|2[0-3])(:[0-5]\d(:[0-5]\d(\.\d{1,9})?)?)?"
_OFFSET = r"(Z|[+-]([01]\d|2[0-3])(:?[0-5]\d)?)?"
_SHAPE = rf"\A\d{{4}}-{_DATE}([T ]{_TIME}{_OFFSET})?\z"
OTHER_YEAR = rf"\A(-\d{{4,}}|\+?0*[1-9]\d{{4,}})-{_DATE}([T ].*)?\z"
_ZONED = r"[T ].*(Z|[+-].*)\z"
_LONG_FRACTION = r"\.\d{7}"
_LOST_DIGITS = r"\.\d{6}\d*[1-9]"
_PROBE_ROWS = 100


class TimestampCodec(Codec):
    """Instants, or with `zone` empty times without a time zone, which have no offset."""

    def __init__(self, zone: str = "Z") -> None:
        self.arrow = INSTANT if zone else _LOCAL
        self._zone = zone

    def _parse(self, column: Column, text: pa.Array) -> TypedColumn:
        digits = digits_of(column)
        if self._zone and digits == _MOST_DIGITS:
            return TypedColumn(*parse(text))
        if digits == _MOST_DIGITS and (values := _cast_local(text)) is not None:
            return TypedColumn(*_in_range(values, {}))
        zoned = np.zeros(len(text), bool) if self._zone else mask(pc.match_substring_regex(text, _ZONED))
        fine = finer_than(digits, text) & ~zoned
        instants, found = parse(without(text, zoned | fine))
        fine = fine | found.pop("precision", False)
        return TypedColumn(instants.cast(self.arrow), found | problems(zone=zoned, precision=fine))

    def to_text(self, column: Column, cells: pa.Array) -> pa.Array:
        """Return ISO 8601 in UTC with microseconds. pyarrow's own CSV writer needs four seconds for the times that
        this makes in 0.2 (a million customers)."""
        runs = pc.run_end_encode(cells)  # rows that were imported together have equal times
        if len(runs.values) > len(cells) // 2:
            return _texts(cells, self._zone)
        texts = _texts(runs.values, self._zone)
        return pc.run_end_decode(pa.RunEndEncodedArray.from_arrays(runs.run_ends, texts))

    def to_sheet(self, column: Column, cells: pa.Array) -> pa.Array | None:
        """Spreadsheets have no time zones, no more than milliseconds, and no days before 1900-03-01."""
        if self._zone:
            return None
        instants = pc.fill_null(cells.cast(pa.int64()), 0).to_numpy()
        days, rest = np.divmod(instants, _DAY_MICROSECONDS)
        days += SHEET_EPOCH
        fits = pa.array((instants % _MILLISECOND == 0) & (days >= FIRST_SHEET_DAY))
        moments = pa.array(days + rest / _DAY_MICROSECONDS).cast(pa.string())
        return pc.if_else(pc.and_(fits, pc.is_valid(cells)), moments, None)

    def to_copy(self, cells: pa.Array) -> Iterable[pa.Array]:
        return [fixed(cells, _octets)]

    def refuse_unwritable(self, column: Column, cells: pa.Array) -> None:
        """Raise `UnwritableValueError` for `infinity`, and for years that ISO 8601 has no four digits for."""
        refuse_far_times(column, cells.cast(pa.int64()), FIRST_INSTANT, LAST_INSTANT)


def refuse_far_times(column: Column, numbers: pa.Array, first: int, last: int) -> None:
    """Raise `UnwritableValueError` if one of the times, given as numbers of a unit, is not between those two."""
    if len(numbers) == numbers.null_count:
        return
    ends = pc.min_max(numbers)
    if ends["min"].as_py() < first or ends["max"].as_py() > last:
        raise UnwritableValueError(
            f"{column.name} holds a time outside the years 1 to 9999, or infinity: "
            f"leave such rows out by a filter like {column.name}<=9999-12-31"
        )


def digits_of(column: Column) -> int:
    """Return how many digits of a second the column's type keeps."""
    return column.type.parameters[0] if column.type.parameters else _MOST_DIGITS


def finer_than(digits: int, text: pa.Array) -> np.ndarray:
    """Return which of the texts have more digits of a second, apart from zeros."""
    return mask(pc.match_substring_regex(text, rf"\.\d{{{digits}}}\d*[1-9]"))


def _cast_local(text: pa.Array) -> pa.Array | None:
    """The usual column of times without a time zone: Arrow refuses any offset."""
    try:
        text.drop_null().slice(0, _PROBE_ROWS).cast(_LOCAL)
        return text.cast(_LOCAL)
    except pa.ArrowInvalid:
        return None


def _texts(cells: pa.Array, zone: str) -> pa.StringArray:
    """`2026-01-31T12:30:00.000001Z`. In UTC already, and a cast that need not look the zone up is faster."""
    spaced = pc.fill_null(cells.cast(pa.timestamp("us")), 0).cast(pa.string())
    written = np.empty((len(cells), _TEXT_LENGTH + len(zone)), np.uint8)
    written[:, :_TEXT_LENGTH] = text_bytes(spaced).reshape(-1, _TEXT_LENGTH)
    written[:, len("2026-01-31")] = ord("T")
    written[:, _TEXT_LENGTH:] = np.frombuffer(zone.encode("ascii"), np.uint8)
    texts = fixed_width(written)
    return pc.if_else(cells.is_valid(), texts, None) if cells.null_count else texts


def _octets(cells: pa.Array) -> np.ndarray:
    return big_endian(pc.subtract(cells.cast(pa.int64()), _POSTGRES_EPOCH), ">i8")


def parse(text: pa.Array) -> tuple[pa.Array, dict[str, np.ndarray]]:
    """Instants, and a mask for each kind of problem there is: type, range, precision."""
    if (instants := _cast_whole(text)) is not None:
        return _in_range(instants, {})
    good = mask(pc.match_substring_regex(text, _SHAPE))
    good &= ~past_end_of_month(text, good)
    problems = _what_is_wrong(text, mask(pc.is_valid(text)) & ~good)
    text = without(text, ~good)
    if (instants := _cast_whole(text)) is not None:
        return _in_range(instants, problems)
    lossy = mask(pc.match_substring_regex(text, _LOST_DIGITS))
    instants = _in_one_form(without(text, lossy)).cast(INSTANT)
    return _in_range(instants, {**problems, "precision": lossy})


def _cast_whole(text: pa.Array) -> pa.Array | None:
    """The usual column: all right, and all with an offset or all without. Arrow's cast accepts no form that
    this module does not (tested), but fails as a whole, and slowly: hence the probe."""
    probe = text.drop_null().slice(0, _PROBE_ROWS)
    for arrow_type in (INSTANT, _LOCAL):
        try:
            probe.cast(arrow_type)
            return text.cast(arrow_type).cast(INSTANT)
        except pa.ArrowInvalid:
            continue
    return None


def past_end_of_month(text: pa.Array, shaped: np.ndarray) -> np.ndarray:
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
    other_year[places] = mask(pc.match_substring_regex(text.take(pa.array(places)), OTHER_YEAR))
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
