"""Texts that match a regular expression, by number: each number below `count` gives another text.

A repetition without an end is repeated a fixed number of times, so that texts differ wherever their numbers do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from re import _constants as constants  # pyright: ignore[reportAttributeAccessIssue]  # the only parser of the library
from re import _parser as parser  # pyright: ignore[reportAttributeAccessIssue]
from re import error as PatternError
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_DIGITS = "0123456789"
_ALPHABET = f"{_LETTERS}{_DIGITS}{_LETTERS.upper()}-_. !#$%&()*+,/:;<=>?@[]^{{|}}~'\"\\`"
"""Characters for a class that has many; the first of these that it has are used."""
_USUAL = _LETTERS + _DIGITS
_REPETITIONS = (1, 2, 3, 4, 6, 9, 12)
_MOST = 1 << 62


@dataclass(frozen=True)
class PatternTexts:
    """`count`: how many texts there are, at most 2^62. `length`: characters of the longest. `nth`: texts by number."""

    count: int
    length: int
    nth: Callable[[np.ndarray], pa.Array]


def texts_of(pattern: str, *, wanted: int, max_length: int | None, distinct: bool) -> PatternTexts | None:
    """Return texts of the pattern, `wanted` or more if it has so many; None if it has none that this module can make.

    `distinct`: different numbers give different texts; else the alternatives of the pattern are all used, and may
    have texts in common.
    """
    found = None
    for repetitions in _REPETITIONS:
        try:
            made = _sequence(parser.parse(pattern), repetitions, distinct)
        except (NotImplementedError, PatternError, RecursionError, OverflowError):
            return None
        if max_length is not None and made.length > max_length:
            break
        found = made
        if made.count >= wanted:
            break
    return found if found is not None and _all_match(pattern, found) else None


def _all_match(pattern: str, texts: PatternTexts) -> bool:
    """Return whether a sample of the texts matches the pattern in RE2, whose syntax differs from Python's in places."""
    numbers = np.unique(np.linspace(0, texts.count - 1, 50).astype(np.uint64))
    return pc.all(pc.match_substring_regex(texts.nth(numbers), rf"\A(?:{pattern})\z")).as_py()


def _sequence(tokens: Any, repetitions: int, distinct: bool) -> PatternTexts:
    return _joined([_token(token, value, repetitions, distinct) for token, value in tokens])


def _token(token: Any, value: Any, repetitions: int, distinct: bool) -> PatternTexts:
    match token:
        case constants.LITERAL:
            return _one_of(chr(value))
        case constants.NOT_LITERAL:
            return _one_of("".join(c for c in _ALPHABET if c != chr(value))[: len(_USUAL)])
        case constants.ANY:
            return _one_of(_USUAL)
        case constants.IN:
            return _one_of(_class(value))
        case constants.SUBPATTERN:
            return _sequence(value[-1], repetitions, distinct)
        case constants.BRANCH:
            return _branch([_sequence(part, repetitions, distinct) for part in value[1]], distinct)
        case constants.MAX_REPEAT | constants.MIN_REPEAT:
            least, most, part = value
            times = min(int(most), max(int(least), repetitions))
            return _joined([_sequence(part, repetitions, distinct)] * times)
        case constants.AT if value in _EDGES:
            return _joined([])
    raise NotImplementedError(token)


def _class(members: Sequence[tuple[Any, Any]]) -> str:
    chosen: list[str] = []
    for member, value in members:
        match member:
            case constants.LITERAL:
                chosen.append(chr(value))
            case constants.RANGE:
                first, last = value
                chosen += map(chr, range(first, min(last, first + len(_ALPHABET)) + 1))
            case constants.CATEGORY:
                chosen += _CATEGORIES[value]
            case constants.NEGATE:
                pass
            case _:
                raise NotImplementedError(member)
    if members[0][0] is constants.NEGATE:
        chosen = [character for character in _ALPHABET if character not in chosen][: len(_USUAL)]
    if not chosen:
        raise NotImplementedError(members)
    return "".join(dict.fromkeys(chosen))


def _one_of(characters: str) -> PatternTexts:
    values = pa.array(list(characters), pa.string())
    count = len(characters)
    return PatternTexts(count, 1, lambda numbers: values.take(pa.array(numbers % np.uint64(count))))


def _joined(parts: Sequence[PatternTexts]) -> PatternTexts:
    """Return the parts one after the other; the last one differs from one number to the next."""
    count = 1
    for part in parts:
        count *= part.count

    def nth(numbers: np.ndarray) -> pa.Array:
        texts = []
        for part in reversed(parts):
            texts.append(part.nth(numbers % np.uint64(part.count)))
            numbers = numbers // np.uint64(part.count)
        return pc.binary_join_element_wise(*texts[::-1], "") if texts else pa.repeat("", len(numbers))

    return PatternTexts(min(count, _MOST), sum(part.length for part in parts), nth)


def _branch(parts: Sequence[PatternTexts], distinct: bool) -> PatternTexts:
    if distinct:  # two alternatives may have a text in common
        return max(parts, key=lambda part: part.count)

    def nth(numbers: np.ndarray) -> pa.Array:
        which = pa.array((numbers % np.uint64(len(parts))).astype(np.int64))
        rest = numbers // np.uint64(len(parts))
        return pc.choose(which, *(part.nth(rest) for part in parts))

    count = min(part.count for part in parts) * len(parts)
    return PatternTexts(min(count, _MOST), max(part.length for part in parts), nth)


_EDGES = (
    constants.AT_BEGINNING,
    constants.AT_BEGINNING_STRING,
    constants.AT_END,
    constants.AT_END_STRING,
)
_CATEGORIES = {
    constants.CATEGORY_DIGIT: _DIGITS,
    constants.CATEGORY_WORD: f"{_USUAL}_",
    constants.CATEGORY_SPACE: " ",
    constants.CATEGORY_NOT_DIGIT: _LETTERS,
    constants.CATEGORY_NOT_WORD: "-. ",
    constants.CATEGORY_NOT_SPACE: _USUAL,
}
