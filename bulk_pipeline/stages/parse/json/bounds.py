"""Checks JSON objects against the limits. Values are counted before parsing, since few bytes can become very many.

The count is that of commas, braces and brackets outside strings, one before each value. A row with fewer bytes than a
row may have values needs no check; nearly all rows are that short.
"""

import re
from collections.abc import Collection, Sequence
from functools import cache
from json import JSONDecodeError
from typing import Any

from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.json.text import STRUCTURE, is_cut_short
from bulk_pipeline.stages.parse.parsed import Oversize

_PIECE = 64 << 10
_CANDIDATES = 20
_NEXT_OBJECT = re.compile(r"\}[\s,\x1e]*(?=\{)")
_VALUES = r'(?:(?:[^,\[{"]++|"(?:[^"\\]++|\\.)*+"?)*+[,\[{])%s'
"""Matches a number of commas, braces and brackets outside strings; possessive, so in linear time without a stack."""


class CutShortError(Exception):
    """The text ends inside the value."""


class NotAValueError(Exception):
    """The text at this place is not a JSON value."""


class PastBoundsError(Exception):
    """The value is nested too deeply, or contains more values than a row may have."""


def may_be_oversize(raw: Sequence[bytes], limits: Limits) -> bool:
    """Return True if one of the objects is long enough to exceed a limit."""
    return max(map(len, raw), default=0) > _safe_bytes(limits)


def oversize(raw: bytes, limits: Limits) -> Oversize | None:
    """Return the problem of an object with too many values, or None; the object is not parsed."""
    if len(raw) > _safe_bytes(limits) and _past_values(limits.row_values)[1].match(raw):
        return Oversize(f"has more than {limits.row_values:,} values")
    return None


def oversize_keys(keys: Collection[str], limits: Limits) -> Oversize | None:
    """Return the problem of too many or too long keys, or None."""
    if len(keys) > limits.columns:
        return Oversize(f"has {len(keys):,} keys: of columns, {limits.of('columns')}")
    if (size := max(map(_size, keys), default=0)) > limits.name_bytes:
        return Oversize(f"has a key of {size:,} bytes: of names, {limits.of('name_bytes')}")
    return None


def oversize_object(item: dict[str, Any], raw: bytes, limits: Limits) -> Oversize | None:
    """Return the problem of an object with too many keys, or with too long a key or cell, or None."""
    if problem := oversize_keys(item, limits):
        return problem
    if len(raw) > limits.cell_bytes:
        for name, value in item.items():
            if isinstance(value, str) and (size := _size(value)) > limits.cell_bytes:
                return Oversize(f"has {size:,} bytes in {name}, {limits.of('cell_bytes')}")
    return None


class Values:
    """Decodes one value after the other in a text of any length.

    Values are first decoded in a short piece of the text, since an error takes time in proportion to the decoded text.
    A value that does not end in the piece is decoded up to the number of values that a row may have.
    """

    def __init__(self, text: str, limits: Limits) -> None:
        self.text = text
        self._limits = limits
        self._begin, self._piece = 0, text[:_PIECE]

    def read(self, at: int) -> tuple[object, int]:
        """Return the value at `at` and its end; integers stay text.

        Raises `CutShortError`, `NotAValueError` or `PastBoundsError`.
        """
        if not 0 <= at - self._begin < len(self._piece):
            self._move_to(at)
        try:
            return self._within_piece(at)
        except CutShortError:
            if self._begin + len(self._piece) == len(self.text):
                raise
        if at > self._begin:
            self._move_to(at)
            try:
                return self._within_piece(at)
            except CutShortError:
                pass
        return self._long_value(at)

    def next_object(self, begin: int) -> int:
        """Return the start of the next readable object among a few candidates, else the end of the text."""
        for count, match in enumerate(_NEXT_OBJECT.finditer(self.text, begin)):
            if count == _CANDIDATES:
                break
            try:
                self.read(match.end())
            except (CutShortError, NotAValueError, PastBoundsError):
                continue
            return match.end()
        return len(self.text)

    def _move_to(self, at: int) -> None:
        self._begin, self._piece = at, self.text[at : at + _PIECE]

    def _within_piece(self, at: int) -> tuple[object, int]:
        value, end = _decoded(self._piece, at - self._begin)
        if end == len(self._piece) and self._begin + end < len(self.text):
            raise CutShortError  # a number may continue
        return value, self._begin + end

    def _long_value(self, at: int) -> tuple[object, int]:
        most, text = self._limits.row_values, self.text
        past = _past_values(most)[0].match(text, at) if len(text) - at > most else None
        try:
            value, end = _decoded(text[at:] if past is None else text[at : past.end()], 0)
        except CutShortError:
            if past is None:
                raise
            raise PastBoundsError(f"has more than {most:,} values") from None
        return value, at + end


def _decoded(text: str, at: int) -> tuple[object, int]:
    try:
        return STRUCTURE.raw_decode(text, at)
    except JSONDecodeError as error:
        raise (CutShortError if is_cut_short(text, error.pos) else NotAValueError)() from None
    except RecursionError:
        raise PastBoundsError("is nested too deeply") from None


def _safe_bytes(limits: Limits) -> int:
    return min(limits.row_values, limits.cell_bytes)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


@cache
def _past_values(count: int) -> tuple[re.Pattern[str], re.Pattern[bytes]]:
    pattern = _VALUES % f"{{{count + 1}}}+"
    return re.compile(pattern, re.DOTALL), re.compile(pattern.encode(), re.DOTALL)
