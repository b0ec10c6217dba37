"""Objects of the same shape, parsed by Arrow: the fast part of reading JSON."""

import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import orjson
import pyarrow as pa
from pyarrow import json as arrow_json

_SAMPLE = 50
_LIST = pa.list_(pa.string())


class ArrowJson:
    """Takes the shape from the first objects, and answers None for anything else that turns up: another
    key, another type, anything malformed. Values whose text Arrow would not keep (fractions, say) are
    nothing for it either."""

    def __init__(self) -> None:
        self._shape: dict[str, pa.DataType] = {}
        self._read = arrow_json.ReadOptions(use_threads=False)
        self._parse: arrow_json.ParseOptions | None = None

    def columns(
        self, raw: Sequence[bytes], accepts: Callable[[list[str], list[str]], bool]
    ) -> dict[str, pa.Array] | None:
        """An array of text per key, a row per item of `raw`; no item may hold a line end. `accepts` is asked
        about the keys and those of them that hold arrays."""
        shape = _shape_of(raw[:_SAMPLE])
        if not shape or not accepts(list(shape), [key for key, type_ in shape.items() if type_ == _LIST]):
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
            # an unexpected key is an error: it may be a column in another spelling, or nested without end
            self._parse = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
        return self._parse


def rows_without(key: str, raw: Sequence[bytes], found: Mapping[str, pa.Array]) -> np.ndarray | None:
    """The positions of objects that do not have `key`: Arrow gives NULL for these as it does for null.

    `found`: what `ArrowJson.columns` has made of the objects. None if only another parser can tell.
    """
    quoted = orjson.dumps(key)
    marked = quoted + b":"
    positions = np.flatnonzero(found[key].is_null()).tolist() if found[key].null_count else []
    if not any('"' in other for other in found):  # the end of the key "a\"city" looks like the key "city"
        positions = [at for at in positions if marked not in raw[at]]
    together = b"".join([raw[at] for at in positions])
    if (
        quoted in together or b"\\" in together
    ):  # blanks before a colon, escapes in a key, or the key as a text
        try:
            positions = [at for at in positions if key not in json.loads(raw[at])]
        except ValueError:
            return None
    return np.array(positions, np.int64)


def _shape_of(raw: Sequence[bytes]) -> dict[str, pa.DataType]:
    """The keys and their types; empty if the objects have no common shape that can be kept."""
    shape: dict[str, pa.DataType] = {}
    for item in raw:
        try:
            found = orjson.loads(item)
        except orjson.JSONDecodeError:
            return {}
        if type(found) is not dict:
            return {}
        for key, value in found.items():
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
    """Arrow's JSON parser does not look."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _one_object_per_line(text: bytes) -> bool:
    """Arrow takes objects however lines are drawn. Where all lines begin with { and end with }, a line end
    can only stand between objects, and the number of rows tells whether there is one in each line."""
    block = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(block == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1])
    return bool((block[starts] == ord("{")).all() and (block[ends - 1] == ord("}")).all())
