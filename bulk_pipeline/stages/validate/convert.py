"""Text to typed values, a column at a time, by Arrow kernels and masks; NULL where that is impossible.

Limits of the declaration (required, lengths, patterns) are not looked at here; see `schema.frames`.
"""

from dataclasses import dataclass

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema import Column, ColumnType
from bulk_pipeline.schema.masks import mask, without
from bulk_pipeline.schema.types import ARROW_TYPES
from bulk_pipeline.stages.validate import timestamps

_UUID = r"\A[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\z"
_TRUTHS = pa.array(["true", "1", "yes", "false", "0", "no"])
_TRUE_BELOW = 3
# An array without escapes inside its texts, the common kind, which a split can take apart.
_PLAIN_ARRAY = r'\A\s*\[\s*("[^"\\\x00-\x1f]*"(\s*,\s*"[^"\\\x00-\x1f]*")*)\s*\]\s*\z'


@dataclass(frozen=True)
class Converted:
    """A typed column, NULL where the text is NULL or has a problem.

    `problems` holds a mask by kind: `type` (not of that type), `range` (of the type, but too far out),
    `precision` (more than we could keep) and `nul` (a NUL character, which Postgres has no room for).
    """

    values: pa.Array
    problems: dict[str, np.ndarray]


def convert(column: Column, text: pa.Array) -> Converted:
    """The column's values. Outside text columns an empty text is NULL."""
    if column.type is ColumnType.TEXT:
        return Converted(text, {})
    text = _without_empty(text)
    if text.null_count == len(text):
        return Converted(pa.nulls(len(text), ARROW_TYPES[column.type]), {})
    if column.type is ColumnType.UUID:
        return _uuids(text, column.prefix)
    if column.type is ColumnType.BOOLEAN:
        return _booleans(text)
    if column.type is ColumnType.TIMESTAMP:
        return Converted(*timestamps.parse(text))
    return _text_arrays(text)


def _without_empty(text: pa.Array) -> pa.Array:
    empty = pc.equal(text, "")
    return pc.if_else(empty, None, text) if pc.any(empty).as_py() else text


def _uuids(text: pa.Array, prefix: str | None) -> Converted:
    if prefix is not None and pc.any(prefixed := pc.starts_with(text, prefix)).as_py():
        text = pc.if_else(prefixed, pc.utf8_slice_codeunits(text, len(prefix)), text)
    values = pc.ascii_lower(text)
    return _only(values, pc.match_substring_regex(values, _UUID))


def _booleans(text: pa.Array) -> Converted:
    position = pc.index_in(pc.ascii_lower(text), _TRUTHS)
    return _only(pc.less(position, _TRUE_BELOW), pc.or_(pc.is_null(text), pc.is_valid(position)))


def _text_arrays(text: pa.Array) -> Converted:
    plain = pc.match_substring_regex(text, _PLAIN_ARRAY)
    quoted = pc.utf8_trim(pc.if_else(plain, text, None), " \t\r\n[]")
    # The trim may only stop at the outer quotes, which are not among the characters it takes.
    inner = pc.utf8_slice_codeunits(quoted, 1, -1)
    values = pc.split_pattern_regex(inner, r'"\s*,\s*"')
    others = np.flatnonzero(mask(pc.and_(pc.is_valid(text), pc.invert(plain))))
    if not len(others):
        return Converted(values, {})
    decoded = [_decode(cell) for cell in text.take(pa.array(others)).to_pylist()]
    problems = {}
    for kind in ("type", "nul"):
        if kind in decoded:
            problems[kind] = np.zeros(len(text), dtype=bool)
            problems[kind][others] = [found == kind for found in decoded]
    lists = pa.array([None if isinstance(found, str) else found for found in decoded], values.type)
    return Converted(_put(values, others, lists), problems)


def _decode(cell: str) -> list[str] | str:
    """The texts of a JSON array, or the kind of problem it has."""
    try:
        texts = orjson.loads(cell)
    except orjson.JSONDecodeError:
        return "type"
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return "type"
    return "nul" if any("\0" in text for text in texts) else texts


def _put(values: pa.Array, places: np.ndarray, replacements: pa.Array) -> pa.Array:
    """`values` with `replacements` at `places`; Arrow has no such kernel for lists."""
    order = np.arange(len(values))
    order[places] = len(values) + np.arange(len(places))
    return pa.concat_arrays([values, replacements]).take(pa.array(order))


def _only(values: pa.Array, good: pa.Array) -> Converted:
    """Values that are NULL themselves are good."""
    bad = mask(pc.invert(good))
    return Converted(without(values, bad), {"type": bad} if bad.any() else {})
