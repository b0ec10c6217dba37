"""Refuses JSON documents that are no sequence of rows, and says where their rows seem to stand: under a key, in
columns, by index.

Only the head of a file is looked at, and only where its first object has no column of the table.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import ColumnType, Table, UploadFormat
from bulk_pipeline.stages.parse.column_names import ColumnNames, is_brought_along
from bulk_pipeline.stages.parse.header import listed
from bulk_pipeline.stages.parse.json_text import is_cut_short

_SEPARATORS = " \t\r\n,\x1e"
_DEPTH = 4
_ORIENT = "in pandas to_json(orient='records')"
_DECODER = json.JSONDecoder()

_Object = Mapping[str, Any]  # whatever JSON can hold


def refuse_documents(head: bytes, table: Table | None, declared: UploadFormat, *, is_whole: bool) -> None:
    """`FileError` if the text is one object that is no row. `is_whole`: `head` is all of it."""
    text = head.decode("utf-8", "surrogateescape").lstrip(_SEPARATORS)
    found, end = _beginning(text)
    if not isinstance(found, dict) or not found:
        return
    rest = "" if end is None else text[end:].lstrip(_SEPARATORS)
    is_alone = not rest and (is_whole or end is None)
    if table is not None and (
        _has_column(found, table, declared) or _has_column(_first(rest), table, declared)
    ):
        if is_alone:
            _refuse_columns(found, table, is_cut=end is None)
        return
    if table is None and not is_alone:
        return
    _refuse_wrapper(found)
    if is_alone:
        _refuse_columns(found, table, is_cut=end is None)
        _refuse_index(found, table)


def is_report(head: bytes) -> bool:
    """Whether the first object is from a file of rejected rows, which has rows wherever the upload had them."""
    found, _ = _beginning(head.decode("utf-8", "surrogateescape").lstrip(_SEPARATORS))
    return isinstance(found, dict) and "_row" in found and "_errors" in found


def _refuse_wrapper(found: _Object) -> None:
    paths = list(_arrays(found, "", _DEPTH))
    if len(paths) == 1:
        raise FileError(
            "unsupported_format",
            f"the rows of this JSON document seem to stand under {paths[0]!r}: declare records: {paths[0]} (on the "
            f"command line --records {paths[0]}); found the keys {listed(found)}",
        )
    if paths:
        shown = " and ".join(map(repr, paths[:5])) + (" and others" if len(paths) > 5 else "")
        raise FileError(
            "unsupported_format",
            f"this JSON document holds arrays of objects under {shown}: declare the one with the rows, like records: "
            f"{paths[0]} (on the command line --records {paths[0]})",
        )
    for key, value in found.items():
        if isinstance(value, list) and value and isinstance(value[0], list):
            raise FileError(
                "unsupported_format",
                f"this JSON document holds an array of arrays under {key!r}; expected objects, {_ORIENT}",
            )


def _refuse_columns(found: _Object, table: Table | None, *, is_cut: bool) -> None:
    """Each key with the values of a column: all arrays of one length, or all objects with the same keys."""
    values = list(found.values())
    values = values[:-1] if is_cut and len(values) > 1 else values
    lengths = {len(value) for value in values if isinstance(value, list)}
    keys = {tuple(value) for value in values if isinstance(value, dict)}
    same_arrays = all(isinstance(value, list) for value in values) and len(lengths - {0}) == 1
    same_objects = all(isinstance(value, dict) for value in values) and len(keys) == 1 and keys != {()}
    single = [key for key in found if table is None or _holds_one_value(key, table)]
    if (same_arrays and single and (len(values) > 1 or table)) or (same_objects and single and table):
        raise FileError(
            "unsupported_format",
            f"this is a JSON object of columns ({listed(found)}), each with the values of all rows; expected an object "
            f"per row, {_ORIENT}",
        )


def _refuse_index(found: _Object, table: Table | None) -> None:
    values = list(found.values())
    if not all(isinstance(value, dict) and value for value in values):
        return
    if table is None and len(values) < 2:
        return
    if table is None or _has_column(values[0], table, UploadFormat()):
        raise FileError(
            "unsupported_format",
            f"this is a JSON object that holds each row under a key ({listed(found)}); expected an array of the rows, "
            f"{_ORIENT}",
        )


def _arrays(found: _Object, above: str, depth: int) -> Iterator[str]:
    """Paths of the arrays of objects."""
    for key, value in found.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield above + key
        elif isinstance(value, dict) and depth:
            yield from _arrays(value, f"{above}{key}.", depth - 1)


def _has_column(found: object, table: Table, declared: UploadFormat) -> bool:
    if not isinstance(found, dict):
        return False
    names = ColumnNames(table, declared)
    return any(names.column(key) is not None or is_brought_along(key) for key in found)


def _holds_one_value(key: str, table: Table) -> bool:
    name = ColumnNames(table).column(key)
    return name is not None and table.column(name).type is not ColumnType.TEXT_ARRAY


def _first(text: str) -> object:
    return _beginning(text)[0] if text else None


def _beginning(text: str) -> tuple[object, int | None]:
    """The first value and its end; of one that is cut short what there is of it, and None. None for broken JSON."""
    try:
        return _DECODER.raw_decode(text)
    except json.JSONDecodeError as error:
        return (_partial(text, 0, _DEPTH), None) if is_cut_short(text, error.pos) else (None, None)
    except RecursionError:
        return None, None


def _partial(text: str, at: int, depth: int) -> object:
    """What there is of a value that is cut short, down to a few levels; None for what is not nested."""
    if depth and text[at : at + 1] == "{":
        return dict(_members(text, at + 1, depth))
    if depth and text[at : at + 1] == "[":
        return list(_items(text, at + 1, depth))
    return None


def _members(text: str, at: int, depth: int) -> Iterator[tuple[str, object]]:
    while True:
        try:
            key, at = _DECODER.raw_decode(text, _filled(text, at))
        except ValueError:
            return
        value, at = _value(text, _filled(text, at, ":"), depth)
        if value is None and at == len(text):
            return
        yield str(key), value


def _items(text: str, at: int, depth: int) -> Iterator[object]:
    while (at := _filled(text, at)) < len(text):
        value, at = _value(text, at, depth)
        if value is None and at == len(text):
            return
        yield value


def _value(text: str, at: int, depth: int) -> tuple[object, int]:
    """A value and its end. One that is cut short ends with the text."""
    try:
        return _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return _partial(text, at, depth - 1), len(text)


def _filled(text: str, at: int, also: str = "") -> int:
    while at < len(text) and text[at] in _SEPARATORS + also:
        at += 1
    return at
