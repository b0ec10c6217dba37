"""Converts columns of Parquet to text as people would write it, with the problems of values that have no such text."""

import json
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.masks import mask

_EXACT_BITS = {16: 11, 32: 24, 64: 53}
_MICROSECONDS = {"s": 1_000_000, "ms": 1000, "us": 1}
_FIRST, _AFTER = (np.datetime64(day, "us").astype(np.int64).item() for day in ("0001-01-01", "10000-01-01"))


@dataclass(frozen=True)
class Texts:
    """The texts of a column, one per row; an undecodable byte is a lone surrogate.

    `problems` complete a sentence that begins with the column's name, by row; the texts of these rows are not values.
    `warnings` are about the whole column.
    """

    texts: list[str | None]
    problems: dict[int, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def without_problems(self) -> list[str | None]:
        """Return the texts, with None for those with a problem."""
        if not self.problems:
            return self.texts
        return [None if row in self.problems else text for row, text in enumerate(self.texts)]


def as_text(column: pa.Array) -> Texts:
    """Return a column as text: timestamps in ISO 8601 and UTC, structures as JSON, numbers without exponent."""
    if isinstance(column, pa.ExtensionArray):
        if str(column.type) == "extension<arrow.uuid>":
            return Texts([None if value is None else str(value) for value in column.to_pylist()])
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    type_ = column.type
    if pa.types.is_timestamp(type_):
        return Texts(_timestamps(column))
    if pa.types.is_date(type_):
        return Texts(_dates(column))
    if pa.types.is_floating(type_):
        return _floats(column)
    if pa.types.is_decimal(type_):
        return Texts([None if value is None else _decimal(value) for value in column.to_pylist()])
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_fixed_size_binary(type_):
        return Texts(
            [None if v is None else v.decode("utf-8", "surrogateescape") for v in column.to_pylist()]
        )
    if pa.types.is_nested(type_):
        return Texts([None if value is None else _as_json(value) for value in column.to_pylist()])
    try:
        return Texts(column.cast(pa.string()).to_pylist())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return Texts([None if value is None else str(value) for value in column.to_pylist()])


def beginning(column: pa.Array, size: int) -> str | None:
    """Return about the first `size` bytes of the only value as text, without converting the rest; None if nested."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary.take(column.indices)
    if pa.types.is_nested(column.type) or not column[0].is_valid:
        return None
    if hasattr(column[0], "as_buffer"):
        return column[0].as_buffer()[:size].to_pybytes().decode("utf-8", "replace")
    text = as_text(column).texts[0]
    return text and text[:size]


def _decimal(value: Decimal) -> str:
    """Return an integer without the zeros of its scale, and any other number with them."""
    text = format(value, "f")
    whole, _, fraction = text.partition(".")
    return text if fraction.strip("0") else whole


def _floats(column: pa.Array) -> Texts:
    """Return integers without `.0`, and other numbers with the fewest digits that identify them."""
    bits = column.type.bit_width
    numbers = pc.fill_null(column, 0.0).to_numpy(zero_copy_only=False)
    finite = np.isfinite(numbers)
    safe = np.where(finite, numbers, 0)
    whole = (safe == np.trunc(safe)) & finite
    exact = whole & (np.abs(safe) <= 2.0 ** _EXACT_BITS[bits] - 1)
    integers = pa.array(np.where(exact, safe, 0).astype(np.int64)).cast(pa.string())
    shortest = (column if bits > 16 else column.cast(pa.float32())).cast(pa.string())
    texts = pc.if_else(pc.is_null(column), None, pc.if_else(pa.array(exact), integers, shortest)).to_pylist()
    problems: dict[int, str] = {}
    rounded = False
    for row in np.flatnonzero(~exact & (~finite | whole | _has_exponent(shortest) | (bits == 16))).tolist():
        if texts[row] is None:
            continue
        if not finite[row]:
            problems[row] = f"'{texts[row]}' is no number: leave the cell NULL where there is no value"
            continue
        text = np.format_float_positional(numbers[row], unique=True, trim="-")
        texts[row] = text
        if whole[row] and (bits == 64 or int(text) != int(numbers[row])):
            problems[row] = (
                f"'{int(numbers[row])}' is a whole number of more digits than {bits} bits of floating point keep: "
                "write the column as text or as whole numbers"
            )
        rounded = rounded or bool(whole[row])
    if not rounded or bits == 64:
        return Texts(texts, problems)
    warning = f"{bits}-bit floating point numbers: whole ones above {2 ** _EXACT_BITS[bits]:,} may have lost a digit"
    return Texts(texts, problems, (warning,))


def _has_exponent(texts: pa.Array) -> np.ndarray:
    return mask(pc.match_substring(texts, "e"))


def _dates(column: pa.Array) -> list[str | None]:
    if pa.types.is_date64(column.type):
        return [
            text and text.removesuffix("T00:00:00.000000Z")
            for text in _instants(column.cast(pa.int64()), "ms")
        ]
    days = column.cast(pa.int32()).cast(pa.int64())
    return [text and text.partition("T")[0] for text in _instants(pc.multiply(days, 86_400), "s")]


def _timestamps(column: pa.Array) -> list[str | None]:
    """Return timestamps in UTC with microseconds, or nanoseconds if there are any; those without a zone are UTC."""
    numbers = column.cast(pa.int64())
    if column.type.unit != "ns":
        return _instants(numbers, column.type.unit)
    whole = pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False)
    microseconds, rest = np.divmod(whole, 1000)
    return exact_instants(pa.array(microseconds, mask=mask(pc.is_null(numbers))), rest)


def exact_instants(microseconds: pa.Array, nanoseconds: np.ndarray) -> list[str | None]:
    """Return the texts of instants: microseconds since 1970, plus nanoseconds (0 to 999)."""
    texts = _instants(microseconds, "us")
    for row in np.flatnonzero(nanoseconds).tolist():
        text = texts[row]
        texts[row] = text and f"{text.removesuffix('Z')}{nanoseconds[row]:03}Z"
    return texts


def _instants(numbers: pa.Array, unit: str) -> list[str | None]:
    """Return the texts of instants in `unit` since 1970. Years outside 1 to 9999 bypass Arrow, which wraps around."""
    factor = _MICROSECONDS[unit]
    plain = pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False)
    far = (plain < _FIRST // factor) | (plain >= _AFTER // factor)
    near = pa.array(np.where(far, 0, plain) * factor, mask=mask(pc.is_null(numbers)))
    texts = near.cast(pa.timestamp("us", "UTC")).cast(pa.string()).to_pylist()
    texts = [text and text.replace(" ", "T") for text in texts]
    for row in np.flatnonzero(far).tolist():
        texts[row] = f"{plain[row].astype(f'datetime64[{unit}]')}Z"
    return texts


def _as_json(value: object) -> str:
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode("utf-8")
    except TypeError:
        return json.dumps(value, default=str)
