"""JSON objects to rows of text: the part that NDJSON and JSON arrays have in common.

Strings stay as they are, numbers and booleans become their JSON text, null is NULL, an array is JSON text. A key that
an object does not have is NULL too, and absent (see `stages.absence`).
Objects of one shape go to Arrow together; others are read one by one with orjson, and what that cannot tell
by `json_text`.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.limits import Limits
from bulk_pipeline.schema import NOTHING_DECLARED, ColumnType, Mode, Table, UploadFormat
from bulk_pipeline.stages import absence
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.parse.cells import bad_text, shown
from bulk_pipeline.stages.parse.json_arrow import ArrowJson, rows_without
from bulk_pipeline.stages.parse.json_keys import Keys
from bulk_pipeline.stages.parse.json_text import JsonError, kind, read_object, text_of
from bulk_pipeline.stages.parse.parsed import RAW, FailureRows, Notes, Parsed, records_schema

_NUMBER_LIKE = re.compile(rb"\d[.eE]|\d{16}")

Place = tuple[int, int | None]
"""Row and line of an object."""

Cells = tuple[list[pa.Array], pa.Array | None]
"""A column of texts for each name, and which of the table's columns each row lacks, if that matters."""


class ObjectRows:
    """Turns raw objects into chunks and counts the rows."""

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
        self._says_absent = table is not None and (mode or table.default_mode).updates_rows
        self._encoding = encoding
        self._keys = Keys(table, notes, limits, declared)
        self._arrow = ArrowJson()
        self._tried: tuple[Sequence[bytes], Cells | None] = ([], None)
        self._absent_cells: dict[tuple[str, ...], bytes] = {}
        self._row = 1

    def all_readable(self, raw: Sequence[bytes]) -> bool:
        """Whether the items are objects without anything to say about them; the work is kept for `chunk`."""
        self._tried = (raw, self._together(raw))
        return self._tried[1] is not None

    def chunk(self, raw: Sequence[bytes], lines: Sequence[int] | None, problems: dict[int, str]) -> Parsed:
        """One row per item of `raw`. `problems` are rows known to be malformed, by index."""
        line_of: Sequence[int | None] = [None] * len(raw) if lines is None else lines
        places = list(zip(range(self._row, self._row + len(raw)), line_of, strict=True))
        self._row += len(raw)
        failures = FailureRows()
        cells, kept = self._tried[1] if self._tried[0] is raw else self._together(raw), places
        if problems or cells is None:
            objects, kept = self._one_by_one(raw, places, problems, failures)
            columns = [self._column(name, objects, kept, failures) for name in self._keys.columns]
            cells = columns, self._absent(objects)
        columns, absent = cells
        self._keys.note()
        if places and places[0][0] == 1:
            self._keys.refuse_strangers()
        schema = records_schema(self._keys.columns)
        records = pa.RecordBatch.from_arrays([*_ids(kept), *columns], schema=schema)
        raw_rows = pa.RecordBatch.from_arrays([*_ids(places), pa.array(raw, pa.binary())], schema=RAW)
        return Parsed(records, raw_rows, failures.batch(), absent)

    def finish(self) -> None:
        self._keys.finish()

    def _together(self, raw: Sequence[bytes]) -> Cells | None:
        """The columns of objects that all have keys of the same shape."""
        found = self._arrow.columns(raw, self._accepts)
        if found is None:
            return None
        keys = {name: key for key in found if (name := self._keys.name(key)) is not None}
        near = ((key, self._keys.near(key)) for key in found)
        if any(_may_be_lost(found[key], found.get(keys.get(name, ""))) for key, name in near if name):
            return None  # objects must be asked one by one whether they have the column
        nulls = pa.nulls(len(raw), pa.string())
        columns = [found[keys[name]] if name in keys else nulls for name in self._keys.columns]
        if self._table is None or not self._says_absent:
            return columns, None
        absent: dict[str, np.ndarray | bool] = dict.fromkeys(self._table.column_names, True)
        for name, key in keys.items():
            if (without := rows_without(key, raw, found)) is None:
                return None
            absent[name] = np.isin(np.arange(len(raw)), without) if len(without) else False
        return columns, absence.cells(self._table, len(raw), absent)

    def _absent(self, objects: Sequence[dict[str, Any]]) -> pa.Array | None:
        """Which of the table's columns are no key of each object."""
        if self._table is None or not self._says_absent:
            return None
        shapes = [tuple(found) for found in objects]
        for shape in set(shapes) - self._absent_cells.keys():
            self._absent_cells[shape] = absence.cell(self._table, {*self._table.column_names} - {*shape})
        cells = [self._absent_cells[shape] for shape in shapes]
        return pa.array(cells, absence.cells(self._table, 0, {}).type)

    def _accepts(self, keys: Sequence[str], lists: Sequence[str]) -> bool:
        """Whether no column comes twice, and no array stands where one value is expected."""
        names = [name for name in self._keys.names(keys) if name is not None]
        wrong = [name for name in map(self._keys.name, lists) if name and self._is_nested_wrongly(name, [])]
        return len(names) == len(set(names)) and not wrong

    def _one_by_one(
        self, raw: Sequence[bytes], places: Sequence[Place], problems: dict[int, str], failures: FailureRows
    ) -> tuple[list[dict[str, Any]], list[Place]]:
        """The objects with columns for keys, and their places; malformed ones become failures."""
        objects, kept = [], []
        for index, item in enumerate(raw):
            found = problems.get(index) or _read(item)
            if not isinstance(found, str):
                found = self._keys.renamed(found)
            if isinstance(found, str):
                failures.add(*places[index], None, Code.MALFORMED_ROW, shown(item), found)
            else:
                objects.append(found)
                kept.append(places[index])
        return objects, kept

    def _column(
        self, name: str, objects: Sequence[dict[str, Any]], places: Sequence[Place], failures: FailureRows
    ) -> pa.Array:
        values = [_quick_text(found.get(name)) for found in objects]
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
        return isinstance(value, dict) or self._table.column(name).type is not ColumnType.TEXT_ARRAY


def _may_be_lost(cells: pa.Array, column: pa.Array | None) -> bool:
    """Whether a row has a cell under a key that is near a column, and none in that column."""
    return (
        pc.any(cells.is_valid() if column is None else pc.and_(cells.is_valid(), column.is_null())).as_py()
        is True
    )


def _quick_text(value: object) -> object:
    """Text for the commonest values, any other as it is."""
    if value is None or value.__class__ is str:
        return value
    if value.__class__ is bool:
        return "true" if value else "false"
    return str(value) if value.__class__ is int else value


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
    if float in types or b":-0" in raw or b": -0" in raw:
        return False
    return not types & {list, dict} or _NUMBER_LIKE.search(raw) is None


def _ids(places: Sequence[Place]) -> list[pa.Array]:
    return [pa.array([place[i] for place in places], pa.int64()) for i in (0, 1)]
