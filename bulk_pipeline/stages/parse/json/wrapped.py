"""Reads the rows of a JSON document whose array is under a declared key, such as `data` or `result.data`.

The document is read as a stream: the text before and after the array is skipped without being held in memory.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.json.array import MISSING, Elements, elements_to_end, trailing_text
from bulk_pipeline.stages.parse.stream import Chunks

_KEY_BYTES = 64 << 10
_SHOWN_KEYS = 20
_WINDOW_BYTES = 16 << 10
"""First window of an array, in bytes: short, since a file may have many documents with a few rows each."""
_FILLED = re.compile(rb"[^ \t\r\n\x1e]")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_SCALAR = re.compile(rb"[^,\]}\s]*+")
_STRING_REST = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_UP_TO_BRACKETS = re.compile(rb'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_KINDS = {b"{": "an object", b'"': "a string", b"t": "a boolean", b"f": "a boolean", b"n": "null"}
_CUT_SHORT = "the JSON document is not closed after this: the file may be cut short"


class _CutShortError(Exception):
    """The text ends inside the document; `is_reported` says that an element already has the problem."""

    def __init__(self, *, is_reported: bool = False) -> None:
        super().__init__()
        self.is_reported = is_reported


@dataclass
class _Search:
    """The search for the declared key `path`: other `keys` with their kinds, and whether this document has it."""

    path: str
    keys: dict[str, str] = field(default_factory=dict)
    is_found: bool = False


def wrapped_elements(
    chunks: Chunks, path: str, limits: Limits, all_readable: Callable[[Sequence[bytes]], bool]
) -> Iterator[Elements]:
    """Yield the elements of the array under the key `path` of each document. Raises `FileError` if one lacks it."""
    search = _Search(path)
    text = _Text(chunks)
    while mark := text.next():
        if mark in b",":
            text.take(1)
            continue
        if mark != b"{":
            yield from trailing_text(chunks, "stands after the end of the JSON document")
            return
        search.is_found = False
        try:
            yield from _object(text, "", search, limits, all_readable)
        except _CutShortError as cut:
            if not search.is_found:
                raise _no_key(search) from None
            if not cut.is_reported:
                yield Elements([b""], {0: _CUT_SHORT})
            return
        if not search.is_found:
            raise _no_key(search)


def _object(
    text: "_Text",
    above: str,
    search: _Search,
    limits: Limits,
    all_readable: Callable[[Sequence[bytes]], bool],
) -> Iterator[Elements]:
    """Yield the elements below an object; `above` is its path with a dot at the end."""
    text.take(1)
    while (mark := text.next_in_document()) != b"}":
        if mark == b",":
            text.take(1)
            continue
        path = above + text.key()
        value = text.next_in_document()
        if path == search.path:
            if search.is_found:
                raise FileError(
                    FileErrorCode.UNREADABLE_FILE, f"the JSON document has the key {path!r} twice"
                )
            search.is_found = True
            yield from _rows(text, value, search, limits, all_readable)
        elif value == b"{" and search.path.startswith(f"{path}."):
            yield from _object(text, f"{path}.", search, limits, all_readable)
        else:
            search.keys.setdefault(path, _kind(text, value))
            text.skip_value()
    text.take(1)


def _rows(
    text: "_Text",
    value: bytes,
    search: _Search,
    limits: Limits,
    all_readable: Callable[[Sequence[bytes]], bool],
) -> Iterator[Elements]:
    if value != b"[" or text.first_in_array() not in (b"{", b"]"):
        raise FileError(
            FileErrorCode.UNSUPPORTED_FORMAT,
            f"records: {search.path} is declared, and the JSON document holds {_kind(text, value)} there; "
            "expected an array of objects",
        )
    text.return_rest()
    rows = elements_to_end(text.chunks, limits, all_readable, window_bytes=_WINDOW_BYTES)
    while True:
        try:
            part = next(rows)
        except StopIteration as end:
            if not end.value:
                raise _CutShortError(is_reported=True) from None
            return
        if MISSING in part.problems.values():
            shown = part.raw[0][:80].decode("utf-8", "replace")
            raise FileError(
                FileErrorCode.UNREADABLE_FILE,
                f"the array under {search.path!r} is damaged: a quote or bracket is missing in {shown!r}",
            )
        yield part


def _no_key(search: _Search) -> FileError:
    keys = [f"{key!r} ({kind})" for key, kind in list(search.keys.items())[:_SHOWN_KEYS]]
    more = f" and {len(search.keys) - _SHOWN_KEYS} more" if len(search.keys) > _SHOWN_KEYS else ""
    return FileError(
        FileErrorCode.UNSUPPORTED_FORMAT,
        f"records: {search.path} is declared, and the JSON document has no such key: found "
        f"{', '.join(keys) or 'none'}{more}",
    )


def _kind(text: "_Text", value: bytes) -> str:
    if value != b"[":
        return _KINDS.get(value, "a number")
    first = text.first_in_array()
    return {b"{": "an array of objects", b"[": "an array of arrays", b"]": "an empty array"}.get(
        first, "an array"
    )


class _Text:
    """The text of a document, read token by token. Holds one chunk, or the chunks of one key."""

    def __init__(self, chunks: Chunks) -> None:
        self.chunks = chunks
        self._data, self._at = b"", 0

    def next(self) -> bytes:
        """Return the next byte that is not blank, without consuming it; an empty value at the end of the text."""
        while (match := _FILLED.search(self._data, self._at)) is None:
            self._at = len(self._data)
            if not self._more():
                return b""
        self._at = match.start()
        return self._data[self._at : self._at + 1]

    def next_in_document(self) -> bytes:
        if mark := self.next():
            return mark
        raise _CutShortError

    def first_in_array(self) -> bytes:
        """Return the first byte of an array's first element, or its closing bracket, without consuming it."""
        while (match := _FILLED.search(self._data, self._at + 1)) is None:
            if not self._more():
                raise _CutShortError
        return match[0]

    def take(self, size: int) -> None:
        self._at += size

    def key(self) -> str:
        """Read a key and its colon."""
        if self.next_in_document() != b'"':
            raise self._broken("a key in double quotes")
        while (match := _STRING.match(self._data, self._at)) is None:
            if len(self._data) - self._at > _KEY_BYTES:
                raise self._broken("a key")
            if not self._more():
                raise _CutShortError
        try:
            key = orjson.loads(match[0])
        except orjson.JSONDecodeError:
            raise self._broken("a key") from None
        self._at += len(match[0])
        if self.next_in_document() != b":":
            raise self._broken("a colon after a key")
        self.take(1)
        return key

    def skip_value(self) -> None:
        """Skip a value of any size."""
        depth = 0
        while True:
            mark = self._after(_UP_TO_BRACKETS) if depth else self.next_in_document()
            if mark == b'"':
                self._skip_string()
            elif mark in (b"[", b"{"):
                self._at += 1
                depth += 1
            elif depth:
                self._at += 1
                depth -= 1
            elif mark in b",:]}":
                raise self._broken("a value")
            else:
                self._after(_SCALAR)
            if not depth:
                return

    def return_rest(self) -> None:
        """Put the unread text back into `chunks` for another reader."""
        self.chunks.put_back(self._data[self._at :])
        self._data, self._at = b"", 0

    def _skip_string(self) -> None:
        self._at += 1
        while self._after(_STRING_REST) != b'"':  # a backslash that ends the chunk
            if not self._more():
                raise _CutShortError
        self._at += 1

    def _after(self, skipped: re.Pattern[bytes]) -> bytes:
        """Skip the text that matches, and return the byte after it."""
        while True:
            match = skipped.match(self._data, self._at)
            assert match is not None, "an empty match fits too"
            self._at = match.end()
            if self._at < len(self._data):
                return self._data[self._at : self._at + 1]
            if not self._more():
                raise _CutShortError

    def _more(self) -> bool:
        chunk = next(self.chunks, None)
        if chunk is None:
            return False
        self._data, self._at = self._data[self._at :] + chunk, 0
        return True

    def _broken(self, expected: str) -> FileError:
        shown = self._data[self._at : self._at + 40].decode("utf-8", "replace")
        return FileError(
            FileErrorCode.UNREADABLE_FILE,
            f"the JSON document is broken: expected {expected}, found {shown!r}",
        )
