"""Refuses JSON documents that are not a sequence of rows, and says where the rows seem to be.

These are documents with rows under a key, with an array per column, or with an object per index. Only the head of a
file is checked.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.schema import Table, UploadFormat
from bulk_pipeline.stages.parse.column_names import ColumnNames, is_added_column
from bulk_pipeline.stages.parse.header_match import listed
from bulk_pipeline.stages.parse.json.text import STRUCTURE, is_cut_short

_SEPARATORS = " \t\r\n,\x1e"
_DEPTH = 4
_ORIENT = "in pandas to_json(orient='records')"

_Object = Mapping[str, Any]  # of any JSON values


def refuse_documents(head: bytes, table: Table | None, declared: UploadFormat, *, is_whole: bool) -> None:
    """Raise `FileError` if the text is one object that is not a row. `is_whole`: `head` is the whole text."""
    text = head.decode("utf-8", "surrogateescape").lstrip(_SEPARATORS)
    document, end = _beginning(text)
    if not isinstance(document, dict) or not document:
        return
    rest = "" if end is None else text[end:].lstrip(_SEPARATORS)
    is_alone = not rest and (is_whole or end is None)
    if table is not None and (
        _has_column(document, table, declared) or _has_column(_first(rest), table, declared)
    ):
        if is_alone:
            _refuse_columns(document, table, is_cut=end is None)
        return
    if table is None and not is_alone:
        return
    _refuse_wrapper(document)
    if is_alone:
        _refuse_columns(document, table, is_cut=end is None)
        _refuse_index(document, table)


def is_report(head: bytes) -> bool:
    """Return True if the first object is from a report of rejected rows, which never has a declared array."""
    document, _ = _beginning(head.decode("utf-8", "surrogateescape").lstrip(_SEPARATORS))
    return isinstance(document, dict) and "_row" in document and "_errors" in document


def _refuse_wrapper(document: _Object) -> None:
    paths = list(_arrays(document, "", _DEPTH))
    if len(paths) == 1:
        raise FileError(
            FileErrorCode.UNSUPPORTED_FORMAT,
            f"the rows of this JSON document seem to stand under {paths[0]!r}: declare records: {paths[0]} (on the "
            f"command line --records {paths[0]}); found the keys {listed(document)}",
        )
    if paths:
        shown = " and ".join(map(repr, paths[:5])) + (" and others" if len(paths) > 5 else "")
        raise FileError(
            FileErrorCode.UNSUPPORTED_FORMAT,
            f"this JSON document holds arrays of objects under {shown}: declare the one with the rows, like records: "
            f"{paths[0]} (on the command line --records {paths[0]})",
        )
    for key, value in document.items():
        if isinstance(value, list) and value and isinstance(value[0], list):
            raise FileError(
                FileErrorCode.UNSUPPORTED_FORMAT,
                f"this JSON document holds an array of arrays under {key!r}; expected objects, {_ORIENT}",
            )


def _refuse_columns(document: _Object, table: Table | None, *, is_cut: bool) -> None:
    """Raise `FileError` if each key has the values of a column: arrays of one length, or objects with equal keys."""
    values = list(document.values())
    values = values[:-1] if is_cut and len(values) > 1 else values
    lengths = {len(value) for value in values if isinstance(value, list)}
    keys = {tuple(value) for value in values if isinstance(value, dict)}
    same_arrays = all(isinstance(value, list) for value in values) and len(lengths - {0}) == 1
    same_objects = all(isinstance(value, dict) for value in values) and len(keys) == 1 and keys != {()}
    single = [key for key in document if table is None or _holds_one_value(key, table)]
    if (same_arrays and single and (len(values) > 1 or table)) or (same_objects and single and table):
        raise FileError(
            FileErrorCode.UNSUPPORTED_FORMAT,
            f"this is a JSON object of columns ({listed(document)}), each with the values of all rows; expected an "
            f"object per row, {_ORIENT}",
        )


def _refuse_index(document: _Object, table: Table | None) -> None:
    values = list(document.values())
    if not all(isinstance(value, dict) and value for value in values):
        return
    if table is None and len(values) < 2:
        return
    if table is None or _has_column(values[0], table, UploadFormat()):
        raise FileError(
            FileErrorCode.UNSUPPORTED_FORMAT,
            f"this is a JSON object that holds each row under a key ({listed(document)}); expected an array of the "
            f"rows, {_ORIENT}",
        )


def _arrays(document: _Object, above: str, depth: int) -> Iterator[str]:
    """Yield the paths of the arrays of objects."""
    for key, value in document.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield above + key
        elif isinstance(value, dict) and depth:
            yield from _arrays(value, f"{above}{key}.", depth - 1)


def _has_column(document: object, table: Table, declared: UploadFormat) -> bool:
    if not isinstance(document, dict):
        return False
    names = ColumnNames(table, declared)
    return any(names.column(key) is not None or is_added_column(key) for key in document)


def _holds_one_value(key: str, table: Table) -> bool:
    name = ColumnNames(table).column(key)
    return name is not None and not table.column(name).type.facts.is_nested


def _first(text: str) -> object:
    return _beginning(text)[0] if text else None


def _beginning(text: str) -> tuple[object, int | None]:
    """Return the first value and its end, the beginning of a value that is cut short and None, or None and None."""
    try:
        return STRUCTURE.raw_decode(text)
    except json.JSONDecodeError as error:
        return (_partial(text, 0, _DEPTH), None) if is_cut_short(text, error.pos) else (None, None)
    except RecursionError:
        return None, None


def _partial(text: str, at: int, depth: int) -> object:
    """Return the beginning of an object or array that is cut short, down to `depth` levels; None for other values."""
    if depth and text[at : at + 1] == "{":
        return dict(_members(text, at + 1, depth))
    if depth and text[at : at + 1] == "[":
        return list(_items(text, at + 1, depth))
    return None


def _members(text: str, at: int, depth: int) -> Iterator[tuple[str, object]]:
    while True:
        try:
            key, at = STRUCTURE.raw_decode(text, _filled(text, at))
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
    """Return a value and its end; a value that is cut short ends with the text."""
    try:
        return STRUCTURE.raw_decode(text, at)
    except (ValueError, RecursionError):
        return _partial(text, at, depth - 1), len(text)


def _filled(text: str, at: int, also: str = "") -> int:
    while at < len(text) and text[at] in _SEPARATORS + also:
        at += 1
    return at
