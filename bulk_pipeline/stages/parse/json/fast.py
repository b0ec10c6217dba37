"""Parses objects of one shape with Arrow, the fast path of reading JSON."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import orjson
import pyarrow as pa
from pyarrow import json as arrow_json

from bulk_pipeline.stages.parse.json.text import STRUCTURE

_SAMPLE = 50
_MOST_CELLS = 4 << 20
"""Most cells of one batch: a row that lacks a key has a cell for it too."""
_LIST = pa.list_(pa.string())


class ArrowJson:
    """Parses objects that have the same shape as the first ones, and keeps the parser's options between batches.

    Objects with another key or another type, malformed ones, and values whose text Arrow would change, such as
    fractions, are left to the other readers.
    """

    def __init__(self) -> None:
        self._shape: dict[str, pa.DataType] = {}
        self._read = arrow_json.ReadOptions(use_threads=False)
        self._parse: arrow_json.ParseOptions | None = None

    def columns(
        self, raw: Sequence[bytes], accepts: Callable[[list[str], list[str]], bool]
    ) -> dict[str, pa.Array] | None:
        """Return an array of text per key with a row per item of `raw`, or None if the objects have not one shape.

        No item may contain a line end. `accepts` decides about the keys and the keys that hold arrays.
        """
        shape = _shape_of(raw[:_SAMPLE])
        lists = [key for key, type_ in shape.items() if type_ == _LIST]
        if not shape or len(shape) * len(raw) > _MOST_CELLS or not accepts(list(shape), lists):
            return None
        text = b"\n".join(raw) + b"\n"
        whole = pa.int64() in shape.values()
        if (
            b"\\u0000" in text
            or (whole and (b":-0" in text or b": -0" in text))
            or not _is_utf8(text)
            or not _one_object_per_line(text)
        ):
            return None
        self._read.block_size = len(text) + 1
        try:
            table = arrow_json.read_json(pa.py_buffer(text), self._read, self._options(shape))
        except pa.ArrowInvalid:
            return None
        if table.num_rows != len(raw):
            return None
        return {key: _as_text(table.column(key).combine_chunks()) for key in shape}

    def _options(self, shape: dict[str, pa.DataType]) -> arrow_json.ParseOptions:
        if self._parse is None or shape != self._shape:
            self._shape = shape
            schema = pa.schema(list(shape.items()))
            # an unexpected key is an error: it may be a column in another spelling, or nested very deeply
            self._parse = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
        return self._parse


def rows_without(key: str, raw: Sequence[bytes], columns: Mapping[str, pa.Array]) -> np.ndarray | None:
    """Return the positions of objects without `key`, for which Arrow gives NULL as it does for null.

    `columns` are those of `ArrowJson.columns`. None if only another parser can tell the two apart.
    """
    quoted = orjson.dumps(key)
    marked = quoted + b":"
    positions = np.flatnonzero(columns[key].is_null()).tolist() if columns[key].null_count else []
    if not any('"' in other for other in columns):  # the end of the key "a\"city" looks like the key "city"
        positions = [at for at in positions if marked not in raw[at]]
    together = b"".join([raw[at] for at in positions])
    if quoted in together or b"\\" in together:  # blanks before a colon, escapes in a key, the key as a value
        try:
            positions = [at for at in positions if key not in STRUCTURE.decode(raw[at].decode("utf-8"))]
        except ValueError:
            return None
    return np.array(positions, np.int64)


def _shape_of(raw: Sequence[bytes]) -> dict[str, pa.DataType]:
    """Return the keys and their types; empty if the objects have no common shape that Arrow reads without loss."""
    shape: dict[str, pa.DataType] = {}
    for item in raw:
        try:
            members = orjson.loads(item)
        except orjson.JSONDecodeError:
            return {}
        if type(members) is not dict:
            return {}
        for key, value in members.items():
            type_ = _type_of(value)
            if type_ is None or (shape.get(key, pa.null()) not in (type_, pa.null()) and type_ != pa.null()):
                return {}
            if type_ != pa.null() or key not in shape:
                shape[key] = type_
    return {key: pa.string() if type_ == pa.null() else type_ for key, type_ in shape.items()}


def _type_of(value: object) -> pa.DataType | None:
    if isinstance(value, list):
        return _LIST if all(type(item) is str for item in value) else None
    return {str: pa.string(), bool: pa.bool_(), int: pa.int64(), type(None): pa.null()}.get(type(value))


def _as_text(column: pa.Array) -> pa.Array:
    if column.type == pa.string():
        return column
    if column.type == _LIST:
        texts = [
            None if value is None else orjson.dumps(value).decode("utf-8") for value in column.to_pylist()
        ]
        return pa.array(texts, pa.string())
    return column.cast(pa.string())


def _is_utf8(text: bytes) -> bool:
    """Return True if the text is UTF-8, which Arrow's JSON parser does not check."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _one_object_per_line(text: bytes) -> bool:
    """Return True if all lines begin with { and end with }.

    Then line ends stand only between objects, and the number of rows tells whether each line has one object. Arrow
    itself does not care where lines end.
    """
    block = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(block == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1])
    return bool((block[starts] == ord("{")).all() and (block[ends - 1] == ord("}")).all())
