"""JSON objects to rows of text: the part that NDJSON and JSON arrays have in common.

Strings stay as they are, numbers and booleans become their JSON text, null is NULL, an array is JSON text. Objects
of strings go to Arrow; others are read one by one with orjson, and what that cannot tell by `json_text`.
"""

import re
from collections.abc import Sequence
from typing import Any

import orjson
import pyarrow as pa

from bulk_pipeline.schema import ColumnType, Table
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.parse import header
from bulk_pipeline.stages.parse.cells import bad_character, shown
from bulk_pipeline.stages.parse.json_arrow import ArrowJson
from bulk_pipeline.stages.parse.json_text import JsonError, kind, read_object, text_of
from bulk_pipeline.stages.parse.parsed import IGNORED_COLUMNS, RAW, FailureRows, Notes, Parsed, records_schema

_NUMBER_LIKE = re.compile(rb"\d[.eE]|\d{16}")
Place = tuple[int, int | None]
"""Row and line of an object."""


class ObjectRows:
    """Turns raw objects into chunks, counting rows and remembering which keys there were."""

    def __init__(self, table: Table | None, notes: Notes, encoding: str) -> None:
        self._table = table
        self._notes = notes
        self._encoding = encoding
        self._arrow = None if table is None else ArrowJson(table.column_names)
        self._names: dict[str, str | None] = {}
        self._row = 1

    def chunk(self, raw: Sequence[bytes], lines: Sequence[int] | None, problems: dict[int, str]) -> Parsed:
        """One row per item of `raw`. `problems` are rows known to be malformed, by index."""
        line_of: Sequence[int | None] = [None] * len(raw) if lines is None else lines
        places = list(zip(range(self._row, self._row + len(raw)), line_of, strict=True))
        self._row += len(raw)
        failures = FailureRows()
        columns = self._arrow.columns(raw) if self._arrow and not problems else None
        if columns is not None and self._arrow is not None:
            self._names |= {name: name for name in self._arrow.seen(raw, columns)}
            names, kept = self._columns(), places
        else:
            objects, kept = self._objects(raw, places, problems, failures)
            names = self._columns()
            columns = [self._column(name, objects, kept, failures) for name in names]
        self._notes.columns = tuple(name for name in names if name in self._names.values())
        records = pa.RecordBatch.from_arrays([*_ids(kept), *columns], schema=records_schema(names))
        raw_rows = pa.RecordBatch.from_arrays([*_ids(places), pa.array(raw, pa.binary())], schema=RAW)
        return Parsed(records, raw_rows, failures.batch())

    def finish(self) -> None:
        """Says which keys were not used, once for the file."""
        unknown = [key for key, name in self._names.items() if name is None and key not in IGNORED_COLUMNS]
        if self._table is not None:
            header.warn_of_unknown(unknown, self._table, self._notes)

    def _columns(self) -> tuple[str, ...]:
        if self._table is not None:
            return self._table.column_names
        return tuple(name for name in self._names.values() if name is not None)

    def _objects(
        self, raw: Sequence[bytes], places: Sequence[Place], problems: dict[int, str], failures: FailureRows
    ) -> tuple[list[dict[str, Any]], list[Place]]:
        """The objects with columns for keys, and their places; malformed ones become failures."""
        objects, kept = [], []
        for index, item in enumerate(raw):
            found = problems.get(index) or self._renamed(_read(item))
            if isinstance(found, str):
                failures.add(*places[index], None, Code.MALFORMED_ROW, shown(item), found)
            else:
                objects.append(found)
                kept.append(places[index])
        return objects, kept

    def _renamed(self, found: dict[str, Any] | str) -> dict[str, Any] | str:
        if isinstance(found, str):
            return found
        plain = True
        for key in found:
            name = self._names[key] if key in self._names else self._learn(key)
            plain = plain and name == key
        if plain:
            return found
        renamed: dict[str, Any] = {}
        for key, value in found.items():
            name = self._names[key]
            if name is None:
                continue
            if name in renamed:
                return f"has the column {name} twice, under different spellings of its key"
            renamed[name] = value
        return renamed

    def _learn(self, key: str) -> str | None:
        if self._table is None:
            text = key.encode("utf-8", "backslashreplace").decode("utf-8")
            name = None if key in IGNORED_COLUMNS else text
        else:
            normal = header.normalized(key)
            name = normal if normal in self._table.column_names else None
        self._names[key] = name
        return name

    def _column(
        self, name: str, objects: Sequence[dict[str, Any]], places: Sequence[Place], failures: FailureRows
    ) -> pa.Array:
        values = [found.get(name) for found in objects]
        try:
            column = pa.array(values, pa.string())
        except (pa.ArrowTypeError, pa.ArrowInvalid, UnicodeEncodeError):
            pass
        else:
            if not any("\0" in value for value in values if value):
                return column
        cells = [
            self._cell(name, value, place, failures) for value, place in zip(values, places, strict=True)
        ]
        return pa.array(cells, pa.string())

    def _cell(self, name: str, value: object, place: Place, failures: FailureRows) -> str | None:
        if value is None:
            return None
        if self._is_nested_wrongly(name, value):
            failures.add(
                *place, name, Code.BAD_TYPE, shown(text_of(value)), f"is {kind(value)}, expected one value"
            )
            return None
        text = text_of(value)
        problem = bad_character(text, self._encoding)
        if problem is not None:
            failures.add(*place, name, Code.BAD_ENCODING, shown(text), problem)
            return None
        return text

    def _is_nested_wrongly(self, name: str, value: object) -> bool:
        if self._table is None or not isinstance(value, dict | list):
            return False
        return isinstance(value, dict) or self._table.column(name).type is not ColumnType.TEXT_ARRAY


def _read(raw: bytes) -> dict[str, Any] | str:
    """The object, or what is wrong with it."""
    try:
        value = orjson.loads(raw)
        if type(value) is dict and _is_simple(raw, value):
            return value
    except orjson.JSONDecodeError:
        pass  # json_text says what it is, or can read it after all
    try:
        return read_object(raw)
    except JsonError as error:
        return str(error)


def _is_simple(raw: bytes, value: dict[str, Any]) -> bool:
    """Whether orjson lost nothing: no key repeated, no number but small whole ones.

    A key is followed by `":`, so as many of these as keys means that no key came twice.
    """
    if raw.count(b'":') != len(value) or b'" :' in raw or b'"\t:' in raw or b'"\r:' in raw:
        return False
    types = set(map(type, value.values()))
    if float in types or b"-0" in raw:
        return False
    return not types & {list, dict} or _NUMBER_LIKE.search(raw) is None


def _ids(places: Sequence[Place]) -> list[pa.Array]:
    return [pa.array([place[i] for place in places], pa.int64()) for i in (0, 1)]
