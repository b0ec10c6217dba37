"""Converts JSON objects to rows of text, for NDJSON and JSON arrays.

Strings stay unchanged, numbers, booleans and arrays become their JSON text, null becomes NULL. A missing key is NULL
and absent (see `stages.absence`). Arrow parses objects of one shape together; others are read one by one with orjson,
and with `text` where orjson would lose something.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.limits import Limits
from bulk_pipeline.schema import NOTHING_DECLARED, Mode, Table, UploadFormat
from bulk_pipeline.stages import absence
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.parse.cells import bad_text, shown
from bulk_pipeline.stages.parse.json.bounds import may_be_oversize, oversize, oversize_keys, oversize_object
from bulk_pipeline.stages.parse.json.fast import ArrowJson, rows_without
from bulk_pipeline.stages.parse.json.keys import Keys
from bulk_pipeline.stages.parse.json.text import JsonError, kind, read_object, read_with_documents, text_of
from bulk_pipeline.stages.parse.parsed import (
    RAW,
    RAW_KEPT_BYTES,
    FailureRows,
    Notes,
    ParsedChunk,
    code_of,
    records_schema,
)

_REMEMBERED_SHAPES = 10_000
_NUMBER_LIKE = re.compile(rb"\d[.eE]|\d{16}")

Place = tuple[int, int | None]
"""The row and line numbers of an object."""

Cells = tuple[list[pa.Array], pa.Array | None]
"""A column of text per name, and the table's columns that each row lacks, None if the mode does not need them."""


class ObjectRows:
    """Converts raw objects to chunks, and numbers their rows."""

    def __init__(
        self,
        table: Table | None,
        mode: Mode | None,
        notes: Notes,
        encoding: str,
        limits: Limits,
        declared: UploadFormat = NOTHING_DECLARED,
    ) -> None:
        self._table = table
        self._says_absent = table is not None and (mode or table.default_mode).rules.keeps_absent_cells
        self._encoding = encoding
        self._limits = limits
        self._keys = Keys(table, notes, limits, declared)
        self._arrow = ArrowJson()
        self._tried: tuple[Sequence[bytes], Cells | None] = ([], None)
        self._absent_cells: dict[tuple[str, ...], bytes] = {}
        self._documents = {
            column.name for column in (table.columns if table else ()) if column.type.facts.is_json
        }
        self._row = 1

    def all_readable(self, raw: Sequence[bytes]) -> bool:
        """Return True if the items are all good objects; their columns are kept for `chunk`."""
        self._tried = (raw, self._together(raw))
        return self._tried[1] is not None

    def chunk(
        self, raw: Sequence[bytes], lines: Sequence[int] | None, problems: dict[int, str]
    ) -> ParsedChunk:
        """Return a chunk with one row per item of `raw`; `problems` are rows known to be malformed, by index."""
        line_of: Sequence[int | None] = [None] * len(raw) if lines is None else lines
        places = list(zip(range(self._row, self._row + len(raw)), line_of, strict=True))
        self._row += len(raw)
        failures = FailureRows()
        cells, good = self._tried[1] if self._tried[0] is raw else self._together(raw), places
        if problems or cells is None:
            objects, good = self._one_by_one(raw, places, problems, failures)
            columns = [self._column(name, objects, good, failures) for name in self._keys.columns]
            cells = columns, self._absent(objects)
        columns, absent = cells
        self._keys.note()
        if places and places[0][0] == 1:
            self._keys.refuse_other_table()
        schema = records_schema(self._keys.columns)
        records = pa.RecordBatch.from_arrays([*_ids(good), *columns], schema=schema)
        short_raw = self._shortened(raw, places, good) if len(good) < len(places) else raw
        raw_rows = pa.RecordBatch.from_arrays([*_ids(places), pa.array(short_raw, pa.binary())], schema=RAW)
        return ParsedChunk(records, raw_rows, failures.batch(), absent)

    def finish(self) -> None:
        self._keys.finish()

    def _together(self, raw: Sequence[bytes]) -> Cells | None:
        """Return the columns of objects that all have the same shape, else None."""
        if may_be_oversize(raw, self._limits):
            return None
        by_key = self._arrow.columns(raw, self._accepts)
        if by_key is None:
            return None
        keys = {name: key for key in by_key if (name := self._keys.name(key)) is not None}
        if not self._documents.isdisjoint(keys):
            return None
        near = ((key, self._keys.near(key)) for key in by_key)
        if any(_may_be_lost(by_key[key], by_key.get(keys.get(name, ""))) for key, name in near if name):
            return None  # each object must be checked for the column
        nulls = pa.nulls(len(raw), pa.string())
        columns = [by_key[keys[name]] if name in keys else nulls for name in self._keys.columns]
        if self._table is None or not self._says_absent:
            return columns, None
        absent: dict[str, np.ndarray | bool] = dict.fromkeys(self._table.column_names, True)
        for name, key in keys.items():
            if (without := rows_without(key, raw, by_key)) is None:
                return None
            absent[name] = np.isin(np.arange(len(raw)), without) if len(without) else False
        return columns, absence.cells(self._table, len(raw), absent)

    def _absent(self, objects: Sequence[dict[str, Any]]) -> pa.Array | None:
        """Return the table's columns that each object lacks, or None if the mode does not need them."""
        if self._table is None or not self._says_absent:
            return None
        shapes = [tuple(item) for item in objects]
        if len(self._absent_cells) > _REMEMBERED_SHAPES:
            self._absent_cells.clear()
        for shape in set(shapes) - self._absent_cells.keys():
            self._absent_cells[shape] = absence.cell(self._table, {*self._table.column_names} - {*shape})
        cells = [self._absent_cells[shape] for shape in shapes]
        return pa.array(cells, absence.cells(self._table, 0, {}).type)

    def _accepts(self, keys: Sequence[str], lists: Sequence[str]) -> bool:
        """Return True if names are within the limits and unique, and arrays stand only in columns of arrays."""
        if oversize_keys(keys, self._limits):
            return False
        names = [name for name in self._keys.names(keys) if name is not None]
        wrong = [name for name in map(self._keys.name, lists) if name and self._is_nested_wrongly(name, [])]
        return len(names) == len(set(names)) and not wrong

    def _one_by_one(
        self, raw: Sequence[bytes], places: Sequence[Place], problems: dict[int, str], failures: FailureRows
    ) -> tuple[list[dict[str, Any]], list[Place]]:
        """Return the objects with columns as keys, and their places; malformed ones become failures."""
        objects, good = [], []
        check, least = may_be_oversize(raw, self._limits), min(self._limits.name_bytes, self._limits.columns)
        for index, item in enumerate(raw):
            row = problems.get(index) or (check and oversize(item, self._limits)) or self._read(item)
            if not isinstance(row, str):
                long = len(item) > least and oversize_object(row, item, self._limits)
                row = long or self._keys.renamed(row)
            if isinstance(row, str):
                failures.add(*places[index], None, code_of(row), shown(item), row)
            else:
                objects.append(row)
                good.append(places[index])
        return objects, good

    def _read(self, raw: bytes) -> dict[str, Any] | str:
        if not self._documents:
            return _read(raw)
        try:
            return read_with_documents(raw, lambda key: self._keys.name(key) in self._documents)
        except JsonError as error:
            return str(error)

    def _shortened(
        self, raw: Sequence[bytes], places: Sequence[Place], good: Sequence[Place]
    ) -> Sequence[bytes]:
        """Return the rows as written in the file; long ones that were rejected are cut."""
        if not may_be_oversize(raw, self._limits):
            return raw
        read = set(good)
        return [
            item if place in read else item[:RAW_KEPT_BYTES] for item, place in zip(raw, places, strict=True)
        ]

    def _column(
        self, name: str, objects: Sequence[dict[str, Any]], places: Sequence[Place], failures: FailureRows
    ) -> pa.Array:
        values = [_quick_text(item.get(name)) for item in objects]
        try:
            column = pa.array(values, pa.string())
        except (pa.ArrowTypeError, pa.ArrowInvalid, UnicodeEncodeError):
            pass
        else:
            if not any("\0" in value for value in values if isinstance(value, str)):
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
        problem = bad_text(text, self._encoding, name)
        if problem is None and isinstance(value, list) and "\\u0000" in text:
            problem = "has a NUL character (\\u0000) in an array"
        if problem is not None:
            failures.add(*place, name, Code.BAD_ENCODING, shown(text), problem)
            return None
        return text

    def _is_nested_wrongly(self, name: str, value: object) -> bool:
        if self._table is None or not isinstance(value, dict | list):
            return False
        return isinstance(value, dict) or not self._table.column(name).type.facts.is_array


def _may_be_lost(cells: pa.Array, column: pa.Array | None) -> bool:
    """Return True if a row has a cell under a key that is near a column, and none in that column."""
    return (
        pc.any(cells.is_valid() if column is None else pc.and_(cells.is_valid(), column.is_null())).as_py()
        is True
    )


def _quick_text(value: object) -> object:
    """Return the text of common values, and any other value unchanged."""
    if value is None or value.__class__ is str:
        return value
    if value.__class__ is bool:
        return "true" if value else "false"
    return str(value) if value.__class__ is int else value


def _read(raw: bytes) -> dict[str, Any] | str:
    """Return the object, or its problem."""
    try:
        value = orjson.loads(raw)
        if type(value) is dict and _is_simple(raw, value):
            return value
    except orjson.JSONDecodeError:
        pass  # `read_object` names the problem, or can read it
    try:
        return read_object(raw)
    except JsonError as error:
        return str(error)


def _is_simple(raw: bytes, value: dict[str, Any]) -> bool:
    """Return True if orjson lost nothing: no key is repeated, and all numbers are small integers.

    Every key is followed by `":`, so if there are as many of these as keys, no key is repeated.
    """
    if raw.count(b'":') != len(value) or b'" :' in raw or b'"\t:' in raw or b'"\r:' in raw:
        return False
    types = set(map(type, value.values()))
    if float in types or b":-0" in raw or b": -0" in raw:
        return False
    return not types & {list, dict} or _NUMBER_LIKE.search(raw) is None


def _ids(places: Sequence[Place]) -> list[pa.Array]:
    return [pa.array([place[i] for place in places], pa.int64()) for i in (0, 1)]
