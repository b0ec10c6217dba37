"""Objects of strings under a table's own column names, parsed by Arrow: the fast part of reading JSON."""

from collections.abc import Sequence

import numpy as np
import orjson
import pyarrow as pa
from pyarrow import json


class ArrowJson:
    """Answers None for everything that is out of the ordinary: other keys, other types, anything malformed."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._read = json.ReadOptions(use_threads=False)
        schema = pa.schema([pa.field(name, pa.string()) for name in names])
        # an unexpected key is an error: inferring the type of a deeply nested value would overflow the stack
        self._parse = json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")

    def columns(self, raw: Sequence[bytes]) -> list[pa.Array] | None:
        """One array per name, a row per item of `raw`; no item may hold a line end."""
        text = b"\n".join(raw) + b"\n"
        if not raw or b"\\u0000" in text or not _is_utf8(text) or not _one_object_per_line(text):
            return None
        self._read.block_size = len(text) + 1
        try:
            table = json.read_json(pa.py_buffer(text), self._read, self._parse)
        except pa.ArrowInvalid:
            return None
        if table.num_rows != len(raw):
            return None
        return [table.column(name).combine_chunks() for name in self._names]

    def seen(self, raw: Sequence[bytes], columns: Sequence[pa.Array]) -> set[str]:
        """The names that are keys of at least one object, if only with null."""
        found = set()
        for name, column in zip(self._names, columns, strict=True):
            key = b'"%b"' % name.encode()
            if column.null_count < len(column) or any(
                key in item and name in orjson.loads(item) for item in raw
            ):
                found.add(name)
        return found


def _is_utf8(text: bytes) -> bool:
    """Arrow's JSON parser does not look."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _one_object_per_line(text: bytes) -> bool:
    """Arrow takes objects however lines are drawn. Where all lines begin with { and end with }, a line end can only
    stand between objects, and the number of rows tells whether there is one in each line."""
    block = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(block == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1])
    return bool((block[starts] == ord("{")).all() and (block[ends - 1] == ord("}")).all())
