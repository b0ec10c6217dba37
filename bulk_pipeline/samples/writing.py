"""Lines of a file from texts of rows."""

import json
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.masks import mask
from bulk_pipeline.arrow.text import doubled, json_escaped
from bulk_pipeline.samples.formats import Format
from bulk_pipeline.samples.types import sample_of
from bulk_pipeline.schema import Column

_NEEDS_QUOTES = r'[",\r\n]|^\s|\s$|^$'
_WIDE = pa.large_string()


def header(columns: Sequence[Column], format: Format) -> bytes:
    if format is Format.NDJSON:
        return b""
    names = _csv_cell(pa.array([column.name for column in columns], pa.string()))
    return ",".join(names.to_pylist()).encode() + b"\n"


def encoded(columns: Sequence[Column], texts: Sequence[pa.Array], format: Format) -> pa.Array:
    """Return one line (large_binary) per row, with its line end. `texts`: a string array for each column."""
    if format is Format.CSV:
        cells = [_csv_cell(text) for text in texts]
        return _joined(_wide(""), _join(cells, ","), _wide("\n"))
    members = [
        _join([_wide(f"{json.dumps(column.name, ensure_ascii=False)}:"), _json_cell(column, text)], "")
        for column, text in zip(columns, texts, strict=True)
    ]
    return _joined(_wide("{"), _join(members, ","), _wide("}\n"))


def _csv_cell(text: pa.Array) -> pa.Array:
    """Return the cells: NULL is an empty cell, an empty text a quoted one."""
    text = text.cast(_WIDE)
    special = pa.array(mask(pc.match_substring_regex(text, _NEEDS_QUOTES)))
    if pc.any(special).as_py():
        text = pc.replace_with_mask(text, special, _quoted(doubled(text.filter(special))))
    return pc.fill_null(text, "")


def _json_cell(column: Column, text: pa.Array) -> pa.Array:
    """Return the values: booleans and arrays as JSON values where the text is one, else strings."""
    quoted = pc.fill_null(_quoted(json_escaped(text.cast(_WIDE))), "null")
    if (literal := sample_of(column).json_literal) is not None:
        return pc.if_else(_matches(text, literal), text.cast(_WIDE), quoted)
    return quoted


def _matches(text: pa.Array, pattern: str) -> pa.Array:
    return pc.fill_null(pc.match_substring_regex(text, pattern), False)


def _joined(before: pa.Scalar, middle: pa.Array, after: pa.Scalar) -> pa.Array:
    return _join([before, middle, after], "").cast(pa.large_binary())


def _quoted(escaped: pa.Array) -> pa.Array:
    return _join([_wide('"'), escaped, _wide('"')], "")


def _join(parts: Sequence[pa.Array | pa.Scalar], between: str) -> pa.Array:
    return pc.binary_join_element_wise(*parts, _wide(between))


def _wide(text: str) -> pa.Scalar:
    return pa.scalar(text, _WIDE)
