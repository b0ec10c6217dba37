"""Arrays of texts, which files hold as JSON arrays."""

from collections.abc import Iterable

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.bytes import text_bytes
from bulk_pipeline.arrow.copy_fields import NOTHING, big_endian, packed, sized
from bulk_pipeline.arrow.masks import mask
from bulk_pipeline.arrow.text import json_escaped
from bulk_pipeline.schema.column import Column
from bulk_pipeline.schema.types.codec import Codec, TypedColumn

# An array without escapes inside its texts, the common kind, which a split can take apart.
_PLAIN_ARRAY = r'\A\s*\[\s*("[^"\\\x00-\x1f]*"(\s*,\s*"[^"\\\x00-\x1f]*")*)?\s*\]\s*\z'
_QUOTE = ord('"')
_TEXT_OID = 25


class TextArrayCodec(Codec):
    arrow = pa.list_(pa.string())

    def _parse(self, column: Column, text: pa.Array) -> TypedColumn:
        plain = pc.match_substring_regex(text, _PLAIN_ARRAY)
        is_plain = mask(plain)
        others = np.flatnonzero(mask(pc.is_valid(text)) & ~is_plain)
        values = _plain_lists(text if not len(others) else pc.if_else(plain, text, None))
        if not len(others):
            return TypedColumn(values, {})
        decoded = [_decode(cell) for cell in text.take(pa.array(others)).to_pylist()]
        problems = {}
        for kind in ("type", "nul"):
            if kind in decoded:
                problems[kind] = np.zeros(len(text), dtype=bool)
                problems[kind][others] = [found == kind for found in decoded]
        lists = pa.array([None if isinstance(found, str) else found for found in decoded], values.type)
        return TypedColumn(_put(values, others, lists), problems)

    def to_text(self, column: Column, cells: pa.Array) -> pa.Array:
        elements = json_escaped(cells.flatten())
        elements = pc.fill_null(pc.binary_join_element_wise('"', elements, '"', ""), "null")
        lengths = pc.fill_null(pc.list_value_length(cells), 0)
        offsets = np.concatenate([[0], np.cumsum(lengths.to_numpy(zero_copy_only=False))]).astype(np.int32)
        joined = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), elements), ",")
        return pc.if_else(cells.is_valid(), pc.binary_join_element_wise("[", joined, "]", ""), None)

    def to_literal(self, column: Column, cells: pa.Array) -> pa.Array:
        return self.canonical(column, cells)

    def canonical(self, column: Column, cells: pa.Array) -> pa.Array:
        elements = pc.replace_substring_regex(cells.flatten(), r'([\\"])', r"\\\1")
        elements = pc.fill_null(pc.binary_join_element_wise('"', elements, '"', ""), "NULL")
        counts = pc.fill_null(pc.list_value_length(cells), 0).cast(pa.int32())
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(counts)])
        joined = pc.binary_join(pa.ListArray.from_arrays(offsets, elements), ",")
        return pc.if_else(cells.is_valid(), pc.binary_join_element_wise("{", joined, "}", ""), None)

    def to_copy(self, cells: pa.Array) -> Iterable[pa.Array]:
        """Return the lists as `array_recv` reads them; an empty one has no dimension."""
        elements = pc.binary_join_element_wise(*sized(pc.list_flatten(cells).cast(pa.binary())), NOTHING)
        counts = pc.fill_null(pc.list_value_length(cells), 0).cast(pa.int32())
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(counts)])
        contents = pc.binary_join(pa.ListArray.from_arrays(offsets, elements), b"")
        heads = np.zeros((len(cells), 20), np.uint8)
        has_null = 1  # it may; Postgres looks for itself
        heads[:, :12] = np.array([1, has_null, _TEXT_OID], ">i4").view(np.uint8)
        heads[:, 12:16] = big_endian(counts, ">i4")
        heads[:, 16:] = (0, 0, 0, 1)  # its lower bound
        empty = pa.scalar(np.array([0, 0, _TEXT_OID], ">i4").tobytes())
        heads_or_empty = pc.if_else(pc.equal(counts, 0), empty, packed(heads))
        joined = pc.binary_join_element_wise(heads_or_empty, contents, NOTHING)
        if cells.null_count:
            joined = pc.if_else(pc.is_null(cells), pa.scalar(None, pa.binary()), joined)
        return sized(joined)


def _plain_lists(text: pa.Array) -> pa.Array:
    """Return the texts between the quotes of plain arrays; NULL for NULL."""
    known = pc.fill_null(text, "") if text.null_count else text
    octets = text_bytes(known)
    quotes = octets == _QUOTE
    before = np.concatenate([[0], np.cumsum(quotes, dtype=np.int32)])
    places = np.flatnonzero(quotes)
    ends = np.concatenate([[0], np.cumsum(places[1::2] - places[0::2] - 1)]).astype(np.int32)
    inside = (before[1:] & 1).astype(bool) & ~quotes
    data = octets[inside]
    texts = pa.StringArray.from_buffers(len(places) // 2, pa.py_buffer(ends), pa.py_buffer(data))
    starts = np.concatenate([[0], np.cumsum(pc.binary_length(known).to_numpy())])
    offsets = pa.array((before[starts] // 2).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, texts, mask=pc.is_null(text) if text.null_count else None)


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
