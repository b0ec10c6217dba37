"""JSON documents: checked, and kept as they are written, so that no digit and no repeated key is lost on the way."""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import NoReturn

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.copy_fields import sized
from bulk_pipeline.arrow.masks import mask, without
from bulk_pipeline.arrow.text import held
from bulk_pipeline.errors import UnwritableValueError
from bulk_pipeline.schema.column import Column, ColumnType
from bulk_pipeline.schema.families.numbers import (
    MOST_DIGITS_AFTER_POINT,
    MOST_DIGITS_BEFORE_POINT,
    digits_after_point,
)
from bulk_pipeline.schema.types.codec import Codec, TypedColumn, problems

_BLANK, _COMMA, _COLON = r"[ \t\r\n]*", r"[ \t\r\n]*,[ \t\r\n]*", r"[ \t\r\n]*:[ \t\r\n]*"
_STRING = r'"[^"\\\x00-\x1f]*"'
_SCALAR = rf"(?:{_STRING}|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?|true|false|null)"
_NUL = r"(^|[^\\])(\\\\)*\\u0000"
_HUGE = r"[eE][+-]?\d{5}"
_LONG_BYTES = 10_000
"""A shorter document holds no number of too many digits, unless it has an exponent."""
_PADDED = r"\A\s|\s\z"
_NULL = r"\A\s*null\s*\z"
_VERSION = pa.scalar(b"\x01")
"""The version byte that `jsonb_recv` expects."""


def _nested(value: str) -> str:
    """Return a pattern for a scalar, or an array or object of such values."""
    member = f"{_STRING}{_COLON}{value}"
    array = rf"\[{_BLANK}(?:{value}(?:{_COMMA}{value})*)?{_BLANK}\]"
    return rf"(?:{_SCALAR}|{array}|\{{{_BLANK}(?:{member}(?:{_COMMA}{member})*)?{_BLANK}\}})"


_USUAL = rf"\A{_BLANK}{_nested(_nested(_SCALAR))}{_BLANK}\z"
"""JSON of two levels without escapes and exponents: one regular expression takes a fifth of the time of parsing."""


class JsonCodec(Codec):
    """`json` keeps the text, `jsonb` the value, which has no NUL and no number that `numeric` does not hold."""

    arrow = pa.string()

    def __init__(self, type_: ColumnType) -> None:
        self._is_binary_json = type_.facts.postgres == "jsonb"

    def _parse(self, column: Column, text: pa.Array) -> TypedColumn:
        is_short = pc.less_equal(pc.binary_length(text), _LONG_BYTES)
        usual = mask(pc.and_(pc.match_substring_regex(text, _USUAL), is_short))
        others = np.flatnonzero(mask(pc.is_valid(text)) & ~usual)
        if not len(others):
            return TypedColumn(text, {})
        found = {kind: np.zeros(len(text), bool) for kind in ("type", "nul", "range")}
        for kind, rows in self._problems(text.take(pa.array(others))).items():
            found[kind][others] = rows
        return TypedColumn(without(text, np.logical_or.reduce([*found.values()])), problems(**found))

    def _problems(self, text: pa.Array) -> dict[str, np.ndarray]:
        """Return the problems of documents, which are looked at one by one."""
        wrong = np.array([not self._is_json(cell) for cell in text.to_pylist()], bool)
        nul = huge = np.zeros(len(text), bool)
        if self._is_binary_json:
            nul = mask(pc.match_substring_regex(text, _NUL)) & ~wrong
            may_be_huge = mask(pc.match_substring_regex(text, _HUGE))
            huge = (may_be_huge | mask(pc.greater(pc.binary_length(text), _LONG_BYTES))) & ~wrong
            places = np.flatnonzero(huge)
            huge[places] = [_has_huge_number(cell) for cell in text.take(pa.array(places)).to_pylist()]
        return problems(type=wrong, nul=nul, range=huge & ~nul)

    def _is_json(self, cell: str) -> bool:
        """orjson refuses numbers that no float holds, and half a surrogate pair as an escape, which `json` keeps."""
        try:
            orjson.loads(cell)
        except orjson.JSONDecodeError:
            return _is_odd_json(cell, half_pairs=not self._is_binary_json)
        return True

    def to_text(self, column: Column, cells: pa.Array) -> pa.Array:
        return cells

    def to_json(self, column: Column, cells: pa.Array) -> list[pa.Array | bytes]:
        """Return the documents themselves. Raises `UnwritableValueError` for what would not be read again."""
        if held(cells, "\n\r") or pc.any(pc.match_substring_regex(cells, _PADDED)).as_py():
            raise UnwritableValueError(
                f"{column.name} holds JSON over several lines or with blanks around it, which a file of JSON cannot "
                "keep as it is: export to csv or parquet"
            )
        if pc.any(pc.match_substring_regex(cells, _NULL)).as_py():
            raise UnwritableValueError(
                f"{column.name} holds the JSON value null, which a file of JSON cannot tell from no value: "
                "export to csv or parquet"
            )
        return [cells]

    def to_copy(self, cells: pa.Array) -> Iterable[pa.Array]:
        octets = cells.cast(pa.binary())
        return sized(pc.binary_join_element_wise(_VERSION, octets, b"") if self._is_binary_json else octets)


def _is_odd_json(cell: str, *, half_pairs: bool) -> bool:
    try:
        value = _DECODER.decode(cell)
        return half_pairs or bool(json.dumps(value, ensure_ascii=False).encode())
    except (ValueError, RecursionError):
        return False


def _has_huge_number(cell: str) -> bool:
    found: list[bool] = []

    def note(text: str) -> None:
        number = Decimal(text)
        digits_after = digits_after_point(number) if number else 0
        found.append(number.adjusted() >= MOST_DIGITS_BEFORE_POINT or digits_after > MOST_DIGITS_AFTER_POINT)

    json.JSONDecoder(parse_float=note, parse_int=note).decode(cell)
    return any(found)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse_constant)
