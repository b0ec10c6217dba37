"""Exact numbers: nothing is rounded on the way, unless the column says so.

Between validation and Postgres they are Arrow's decimals, which rules can compare; texts where no decimal is wide
enough: without precision, of more than 76 digits, or with NaN and the infinities.
"""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.bytes import text_bytes
from bulk_pipeline.arrow.copy_fields import fixed, sized
from bulk_pipeline.arrow.masks import mask, without
from bulk_pipeline.schema.column import Column
from bulk_pipeline.schema.families.numbers import (
    MOST_DIGITS_AFTER_POINT,
    MOST_DIGITS_BEFORE_POINT,
    NUMBER,
    SPECIAL,
    digits_after_point,
    precision_and_scale,
)
from bulk_pipeline.schema.types.codec import Codec, TypedColumn, problems

_NUMBER, _SPECIAL = rf"\A{NUMBER}\z", rf"\A{SPECIAL}\z"
_CANONICAL = r"\A(0(\.\d+)?|-?[1-9]\d*(\.\d+)?|-0\.\d*[1-9]\d*)\z"
_SHEET_WHOLE = r"\A-?\d{1,15}\z"
_SHEET_FRACTION = r"\A-?[\d.]{3,16}\z"
_ZEROS_AT_END = r"\.\d*0\z"
_NOTHING = r"\z\A."
_MOST_DECIMAL, _MOST_WIDE_DECIMAL = 38, 76
_MOST_BY_EXPONENT = 1000
"""Digits that a number with an exponent may have when it is written out: `1e131071` is eight bytes of a file."""
_SHORT = 1000
"""Characters of texts that are encoded together; longer ones are encoded one by one."""
_EXACT = Context(prec=MOST_DIGITS_BEFORE_POINT + MOST_DIGITS_AFTER_POINT)
_GROUP = 4  # decimal digits in a digit of Postgres
_POSITIVE, _NEGATIVE = 0x0000, 0x4000
_SPECIAL_SIGNS = {"NaN": 0xC000, "Infinity": 0xD000, "-Infinity": 0xF000}


class NumericCodec(Codec):
    def __init__(self, column: Column) -> None:
        self._precision, self._scale = precision_and_scale(column.type.parameters)
        self.arrow = pa.string() if column.not_finite else _decimal(self._precision, self._scale)

    def _parse(self, column: Column, text: pa.Array) -> TypedColumn:
        if pa.types.is_decimal(self.arrow) and (values := _cast_whole(text, self.arrow)) is not None:
            return TypedColumn(values, {})
        is_number = mask(pc.match_substring_regex(text, _NUMBER))
        is_special = mask(pc.match_substring_regex(text, _SPECIAL))
        wrong = mask(pc.is_valid(text)) & ~is_number & ~is_special
        found = {"type": wrong, "not_finite": is_special if not column.not_finite else is_special & False}
        usual = mask(pc.match_substring_regex(text, self._usual))
        usual &= ~mask(pc.greater(pc.binary_length(text), MOST_DIGITS_AFTER_POINT))
        texts = without(text, ~usual)
        places = np.flatnonzero((is_number & ~usual) | (is_special & ~found["not_finite"]))
        answers = [self._read(column, cell) for cell in text.take(pa.array(places)).to_pylist()]
        for kind in ("range", "precision"):
            found[kind] = np.zeros(len(text), bool)
            found[kind][places] = [answer == kind for answer in answers]
        odd = np.zeros(len(text), bool)
        odd[places] = True
        known = pa.array(
            [None if answer in ("range", "precision") else answer for answer in answers], pa.string()
        )
        texts = pc.replace_with_mask(texts, pa.array(odd), known)
        return TypedColumn(texts.cast(self.arrow), problems(**found))

    @property
    def _usual(self) -> str:
        """A pattern of texts that need no closer look."""
        if not pa.types.is_decimal(self.arrow):
            return _CANONICAL if self._precision is None else _NOTHING
        assert self._precision is not None
        return rf"\A[+-]?0*\d{{1,{self._precision - self._scale}}}(\.\d{{0,{self._scale}}}0*)?\z"

    def _read(self, column: Column, text: str) -> str:
        """The number as Postgres would write it, or the kind of its problem."""
        number = Decimal(text)
        if not number.is_finite():
            return "NaN" if number.is_nan() else "-Infinity" if number < 0 else "Infinity"
        if not number:
            places = max(0, self._scale if self._precision is not None else digits_after_point(number))
            return f"0.{'0' * places}" if places else "0"
        if abs(number.adjusted()) > _MOST_BY_EXPONENT and "e" in text.lower():
            return "range"
        if self._precision is not None:
            return self._fitted(column, number)
        whole, _, fraction = format(number, "f").lstrip("-").partition(".")
        if len(whole) > MOST_DIGITS_BEFORE_POINT or len(fraction) > MOST_DIGITS_AFTER_POINT:
            return "range"
        return format(number, "f")

    def _fitted(self, column: Column, number: Decimal) -> str:
        assert self._precision is not None
        rounded = number.quantize(Decimal(1).scaleb(-self._scale), ROUND_HALF_UP, _EXACT)
        if rounded and rounded.adjusted() >= self._precision - self._scale:
            return "range"
        if rounded != number and not column.round:
            return "precision"
        return format(rounded, "f")

    def to_text(self, column: Column, cells: pa.Array) -> pa.Array:
        return self._texts(cells)

    def _texts(self, cells: pa.Array) -> pa.Array:
        if pa.types.is_string(cells.type):
            return cells
        texts = cells.cast(pa.string())
        if self._scale > 6 and pc.any(pc.match_substring(texts, "E")).as_py():  # `1E-7`
            return pa.array(
                [None if cell is None else format(cell, "f") for cell in cells.to_pylist()], pa.string()
            )
        return texts

    def to_sheet(self, column: Column, cells: pa.Array) -> pa.Array | None:
        """A number of a sheet has 15 digits, and no zeros at its end, which count where no scale is declared."""
        texts = self._texts(cells)
        is_short = pc.or_(
            pc.match_substring_regex(texts, _SHEET_WHOLE), pc.match_substring_regex(texts, _SHEET_FRACTION)
        )
        if self._precision is None:
            is_short = pc.and_not(is_short, pc.match_substring_regex(texts, _ZEROS_AT_END))
        return pc.if_else(is_short, texts, None)

    def canonical(self, column: Column, cells: pa.Array) -> pa.Array:
        """Return numbers without zeros at the end: 1.0 = 1.00."""
        return pc.replace_substring_regex(self._texts(cells), r"\.0*\z|(\.\d*?[1-9])0+\z", r"\1")

    def to_csv(self, column: Column, cells: pa.Array) -> pa.Array:
        """Return decimals where there are some: CSV quotes texts."""
        texts = self.to_text(column, cells)
        is_plain = pa.types.is_decimal(self.arrow) and self._scale <= 6
        return texts.cast(self.arrow) if is_plain and pa.types.is_string(cells.type) else texts

    def to_parquet(self, column: Column, cells: pa.Array) -> pa.Array:
        return cells.cast(self.arrow)

    def to_json(self, column: Column, cells: pa.Array) -> list[pa.Array | bytes]:
        texts = self.to_text(column, cells)
        if not column.not_finite:
            return [texts]
        quoted = pc.binary_join_element_wise('"', texts, '"', "")
        return [pc.if_else(pc.is_in(texts, pa.array([*_SPECIAL_SIGNS])), quoted, texts)]

    def to_copy(self, cells: pa.Array) -> Iterable[pa.Array]:
        """Return the fields that `numeric_recv` reads: count of digits, weight, sign and scale, and the digits, each
        of four decimal ones. Postgres drops digits that are zero on either side."""
        if pa.types.is_decimal128(cells.type) and _fits_int64(self._precision or 0, self._scale):
            return [fixed(cells, self._octets_of_int64)]
        texts = self._texts(cells)
        if (pc.max(pc.binary_length(texts)).as_py() or 0) > _SHORT:
            fields = [None if text is None else _field(text) for text in texts.to_pylist()]
            return sized(pa.array(fields, pa.binary()))
        return [fixed(texts, _octets_of_texts)]

    def _octets_of_int64(self, cells: pa.Array) -> np.ndarray:
        limbs = np.frombuffer(cells.buffers()[1], np.int64).reshape(-1, 2)
        numbers = limbs[cells.offset : cells.offset + len(cells), 0]
        rest = np.abs(numbers) * 10 ** (-self._scale % _GROUP)
        after = -(-self._scale // _GROUP)
        before = -(-((self._precision or 0) - self._scale) // _GROUP)
        octets = _heads(len(numbers), before + after, before - 1)
        octets[:, 2] = np.where(numbers < 0, _NEGATIVE, _POSITIVE)
        octets[:, 3] = self._scale
        for place in range(before + after - 1, -1, -1):
            octets[:, 4 + place] = rest % 10_000
            rest //= 10_000
        return octets.view(np.uint8)


def _decimal(precision: int | None, scale: int) -> pa.DataType:
    if precision is None or precision > _MOST_WIDE_DECIMAL or not 0 <= scale <= precision:
        return pa.string()
    return pa.decimal128(precision, scale) if precision <= _MOST_DECIMAL else pa.decimal256(precision, scale)


def _cast_whole(text: pa.Array, type_: pa.DataType) -> pa.Array | None:
    """The usual column. Arrow reads no text as a decimal that is none of ours (tested), but fails as a whole."""
    try:
        return text.cast(type_)
    except pa.ArrowInvalid:
        return None


def _fits_int64(precision: int, scale: int) -> bool:
    return precision + -scale % _GROUP <= 18


def _heads(rows: int, digits: int, weight: int) -> np.ndarray:
    octets = np.empty((rows, 4 + digits), ">u2")
    octets[:, 0] = digits
    octets[:, 1] = weight & 0xFFFF
    return octets


def _octets_of_texts(texts: pa.Array) -> np.ndarray:
    """Fields of one size: as many digits as the widest number needs."""
    sign = np.where(mask(pc.starts_with(texts, "-")), _NEGATIVE, _POSITIVE)
    for name, special in _SPECIAL_SIGNS.items():
        is_special = pc.equal(texts, name)
        if pc.any(is_special).as_py():
            sign[mask(is_special)] = special
            texts = pc.if_else(is_special, "0", texts)
    parts = pc.extract_regex(texts, r"\A-?(?P<whole>\d+)(?:\.(?P<fraction>\d*))?\z")
    whole, fraction = parts.field(0), parts.field(1)
    scales = pc.binary_length(fraction).to_numpy(zero_copy_only=False)
    before = -(-(pc.max(pc.binary_length(whole)).as_py() or 0) // _GROUP)
    after = -(-int(scales.max(initial=0)) // _GROUP)
    aligned = pc.binary_join_element_wise(
        pc.ascii_lpad(whole, before * _GROUP, "0"), pc.ascii_rpad(fraction, after * _GROUP, "0"), ""
    )
    digits = text_bytes(aligned).reshape(len(texts), before + after, _GROUP).astype(np.uint16) - ord("0")
    octets = _heads(len(texts), before + after, before - 1)
    octets[:, 2] = sign
    octets[:, 3] = scales
    octets[:, 4:] = digits @ np.array([1000, 100, 10, 1], np.uint16)
    return octets.view(np.uint8)


def _field(text: str) -> bytes:
    return _octets_of_texts(pa.array([text])).tobytes()
