"""Reads one JSON object without loss of number texts, repeated keys and lone surrogates.

Slower than orjson, so it reads only objects that orjson refuses or that may have one of these.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

import orjson

from bulk_pipeline.stages.parse.cells import encodable

_BLANKS_OUTSIDE_STRINGS = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\r\n]+', re.DOTALL)
_LONG_BYTES = 1 << 16
"""From here on pieces are added one by one, as `re.sub` takes 80 bytes for each piece until it joins them."""
_CUT_SHORT = re.compile(r'(?:"[^"\\]*+(?:\\.[^"\\]*+)*+\\?|\\?[-+.\w]*+)\s*+\Z', re.DOTALL)

_BLANKS = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


class JsonError(Exception):
    """The text is not an object that can be a row; the message completes "the row …"."""


class Number(str):
    """A number as written."""

    __slots__ = ()


def read_object(raw: bytes) -> dict[str, Any]:
    """Return the object with its numbers as `Number`; a byte that is not UTF-8 becomes a lone surrogate.

    Raises `JsonError` if it cannot be a row.
    """
    text = raw.decode("utf-8", "surrogateescape")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise JsonError(f"is not valid JSON: {_cause(text, error.pos)}") from error
    except RecursionError as error:
        raise JsonError("is nested too deeply") from error
    if not isinstance(value, dict):
        raise JsonError(f"is {kind(value)}, expected an object")
    return value


class Document(str):
    """JSON text, as it was written."""

    __slots__ = ()


def read_with_documents(raw: bytes, is_document: Callable[[str], bool]) -> dict[str, Any]:
    """The object as `read_object` gives it, but with the text of each value but null whose key `is_document` knows.

    Keys that are repeated inside of such a value, and the digits of its numbers, stay as they are.
    """
    text = raw.decode("utf-8", "surrogateescape")
    found: dict[str, Any] = {}
    try:
        if not isinstance(STRUCTURE.decode(text), dict):
            return read_object(raw)
        for key, begin, end in _members(text):
            if key in found:
                raise JsonError(f"has the key {key[:50]!r} twice")
            value = text[begin:end]
            found[key] = Document(value) if value != "null" and is_document(key) else _DECODER.decode(value)
    except (json.JSONDecodeError, RecursionError):
        return read_object(raw)  # which says what is wrong
    return found


def _members(text: str) -> Iterator[tuple[str, int, int]]:
    """The keys of an object, which is valid JSON, each with the place of its value."""
    at = _after_blanks(text, _after_blanks(text, 0) + 1)
    while text[at] == '"':
        key, at = json.decoder.scanstring(text, at + 1)
        begin = _after_blanks(text, _after_blanks(text, at) + 1)
        _, end = STRUCTURE.raw_decode(text, begin)
        yield key, begin, end
        at = _after_blanks(text, end)
        at = _after_blanks(text, at + 1) if text[at] == "," else at


def _after_blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return found.end() if found else at


def kind(value: object) -> str:
    """Return the kind of a JSON value with its article, for a message."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def text_of(value: object) -> str:
    """Return a value as JSON text, but strings and numbers unchanged."""
    if isinstance(value, str):
        return value
    return orjson.dumps(_plain(value)).decode("utf-8")


def compact(raw: bytes) -> bytes:
    """Return JSON without line breaks; JSON on one line stays unchanged."""
    if b"\n" not in raw and b"\r" not in raw:
        return raw
    if len(raw) < _LONG_BYTES:
        return _BLANKS_OUTSIDE_STRINGS.sub(lambda match: match[1] or b"", raw)
    line, kept_to = bytearray(), 0
    for match in _BLANKS_OUTSIDE_STRINGS.finditer(raw):
        if match[1] is None:
            line += raw[kept_to : match.start()]
            kept_to = match.end()
    return bytes(line + raw[kept_to:])


def is_cut_short(text: str, at: int) -> bool:
    """Return True if the decoder's error at `at` is the end of the text inside a value."""
    return _CUT_SHORT.match(text, at) is not None


def _plain(value: Any) -> Any:
    if isinstance(value, Number):
        return orjson.Fragment(str(value))
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    return value


def _without_repeats(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise JsonError(f"has the key {key[:50]!r} twice")
        members[key] = value
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise JsonError(f"is not valid JSON: {name} is not a JSON value")


def _cause(text: str, position: int) -> str:
    """Return the cause of a decoding error at `position`.

    The messages of `json`, and the place of a superfluous comma, differ between versions of Python.
    """
    if text[position : position + 1] == ",":
        after = _BLANKS.match(text, position + 1)
        position = after.end() if after and text[after.end() : after.end() + 1] in ("]", "}") else position
    at = f"at character {position + 1}"
    character = text[position : position + 1]
    if not text[position:].strip(" \t\r\n"):
        return f"it ends too early, {at}"
    if character == '"' and not _STRING.match(text, position):
        return f"the text that begins {at} is not closed"
    if "\\" in text[max(0, position - 1) : position + 1]:
        return f"a backslash with nothing that it escapes {at}"
    if character < " ":
        return f"control character U+{ord(character):04X} inside a text {at}"
    return f"unexpected {encodable(character)} {at}"


STRUCTURE = json.JSONDecoder(parse_int=str)
"""Finds the end of a value. Integers stay text, since Python converts no integer of more than 4,300 digits."""

_DECODER = json.JSONDecoder(
    object_pairs_hook=_without_repeats,
    parse_int=Number,
    parse_float=Number,
    parse_constant=_refuse_constant,
)
