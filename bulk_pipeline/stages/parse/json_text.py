"""One JSON object, read so that nothing is lost: number texts, repeated keys, halves of surrogate pairs.

Slower than orjson, so it only sees the objects that orjson refuses or that may hold one of these.
"""

import json
import re
from collections.abc import Iterable
from typing import Any, NoReturn

import orjson

from bulk_pipeline.stages.parse.cells import encodable

_BLANKS_OUTSIDE_STRINGS = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\r\n]+', re.DOTALL)
_CUT_SHORT = re.compile(r'(?:"[^"\\]*(?:\\.[^"\\]*)*\\?|\\?[-+.\w]*)\s*\Z', re.DOTALL)

_BLANKS = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


class JsonError(Exception):
    """This is not an object that can be a row; the message completes "the row …"."""


class Number(str):
    """A number as it was written."""

    __slots__ = ()


def read_object(raw: bytes) -> dict[str, Any]:
    """The object, its numbers as `Number`. A byte that is no UTF-8 is kept as a lone surrogate."""
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


def kind(value: object) -> str:
    """What a JSON value is, for a message."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def text_of(value: object) -> str:
    """A value as JSON text; strings and numbers as they are."""
    if isinstance(value, str):
        return value
    return orjson.dumps(_plain(value)).decode("utf-8")


def compact(raw: bytes) -> bytes:
    """JSON over several lines as one line, otherwise as it was written."""
    if b"\n" not in raw and b"\r" not in raw:
        return raw
    return _BLANKS_OUTSIDE_STRINGS.sub(lambda match: match[1] or b"", raw)


def is_cut_short(text: str, at: int) -> bool:
    """Whether what the decoder stumbled over at that place is the end of the text, within a value."""
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
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise JsonError(f"has the key {key[:50]!r} twice")
        found[key] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise JsonError(f"is not valid JSON: {name} is not a JSON value")


def _cause(text: str, position: int) -> str:
    """What is wrong where `json` gave up. Its own words, and the place of a comma too many, differ between versions
    of Python."""
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


_DECODER = json.JSONDecoder(
    object_pairs_hook=_without_repeats,
    parse_int=Number,
    parse_float=Number,
    parse_constant=_refuse_constant,
)
