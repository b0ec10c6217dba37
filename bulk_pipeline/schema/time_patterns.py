"""Formats of dates and times in files, declared like `DD.MM.YYYY HH:mm`. A cell has such a format or is rejected."""

import re
from dataclasses import dataclass
from functools import lru_cache

from bulk_pipeline.errors import DeclarationError

ISO = "ISO"
"""The format that files have where none is declared."""

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

DATE_PARTS, TIME_PARTS = ("year", "month", "day"), ("hour", "minute")
"""The parts that a date, and those that a time of day cannot do without."""


@dataclass(frozen=True)
class _Token:
    """A part of a format. `pattern`: its cells, for RE2. `example`: of 2026-01-31 23:59:59. `varies`: in its width."""

    part: str
    pattern: str
    example: str
    varies: bool = False


_TOKENS = {
    "YYYY": _Token("year", r"\d{4}", "2026"),
    "MMM": _Token("month", f"(?i:{'|'.join(MONTHS)})", "Jan"),
    "MM": _Token("month", r"0[1-9]|1[0-2]", "01"),
    "M": _Token("month", r"0?[1-9]|1[0-2]", "1", varies=True),
    "DD": _Token("day", r"0[1-9]|[12]\d|3[01]", "31"),
    "D": _Token("day", r"[12]\d|3[01]|0?[1-9]", "31", varies=True),
    "HH": _Token("hour", r"[01]\d|2[0-3]", "23"),
    "H": _Token("hour", r"1\d|2[0-3]|0?\d", "23", varies=True),
    "hh": _Token("hour", r"0[1-9]|1[0-2]", "11"),
    "h": _Token("hour", r"1[0-2]|0?[1-9]", "11", varies=True),
    "mm": _Token("minute", r"[0-5]\d", "59"),
    "ss": _Token("second", r"[0-5]\d", "59"),
    "S": _Token("fraction", r"\d{1,9}", "5", varies=True),
    "A": _Token("half", r"(?i:am|pm)", "PM"),
    "Z": _Token("offset", r"Z|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?", "+02:00"),
}
_NUMERIC = frozenset(["YYYY", "MM", "M", "DD", "D", "HH", "H", "hh", "h", "mm", "ss", "S"])
_PIECES = re.compile("|".join([*sorted(_TOKENS, key=len, reverse=True), "."]), re.DOTALL)
_NEEDS = (("minute", "hour"), ("second", "minute"), ("fraction", "second"), ("half", "hour"))
_EXPECTED = (
    "write it with YYYY, MM, M or MMM (Jan), DD or D, HH or H, or hh or h with A (AM, PM), mm, ss, S (digits of a "
    "second) and Z (+02:00), such as DD.MM.YYYY HH:mm"
)


@dataclass(frozen=True)
class TimePattern:
    """A format of dates, times or both.

    `cells`: the RE2 pattern of a whole cell, with a named group for each part of the format. `parts`: the names of
    these groups.
    """

    text: str
    cells: str
    parts: tuple[str, ...]
    example: str


@lru_cache(256)
def time_pattern(text: str) -> TimePattern:
    """Return the pattern of a format. Raises `DeclarationError` for one that could mean two values, or none."""
    pieces = _PIECES.findall(text)
    cells, example, parts = list[str](), list[str](), list[str]()
    for piece, following in zip(pieces, [*pieces, ""][1:], strict=True):
        token = _TOKENS.get(piece)
        if token is None:
            if piece.isascii() and piece.isalnum() and piece != "T":
                raise DeclarationError(f"format {text!r}: {piece!r} is no part of a format: {_hint(text)}")
            cells.append(re.escape(piece) if piece.isascii() else piece)
            example.append(piece)
            continue
        if token.part in parts:
            raise DeclarationError(f"format {text!r} has the {token.part} twice: {_EXPECTED}")
        if token.varies and following in _NUMERIC:
            raise DeclarationError(
                f"format {text!r}: nothing stands between {piece} and {following}, so that it is not clear where "
                f"the {token.part} ends: {_EXPECTED}"
            )
        parts.append(token.part)
        cells.append(f"(?P<{token.part}>{token.pattern})")
        example.append(token.example)
    _check(text, pieces, parts)
    return TimePattern(text, rf"\A{''.join(cells)}\z", tuple(parts), "".join(example))


def check_date_format(text: str) -> None:
    """Raise `DeclarationError` if it is no format of dates."""
    _check_parts(text, DATE_PARTS, DATE_PARTS, "a date")


def check_time_format(text: str) -> None:
    """Raise `DeclarationError` if it is no format of times of day."""
    _check_parts(text, TIME_PARTS, (*TIME_PARTS, "second", "fraction", "half", "offset"), "a time of day")


def check_timestamp_format(text: str) -> None:
    """Raise `DeclarationError` if it is no format of times with a date."""
    _check_parts(text, DATE_PARTS, tuple(token.part for token in _TOKENS.values()), "a date and a time")


def _check_parts(text: str, needed: tuple[str, ...], allowed: tuple[str, ...], noun: str) -> None:
    if text == ISO:
        return
    parts = time_pattern(text).parts
    for part in needed:
        if part not in parts:
            raise DeclarationError(f"format {text!r} is not one of {noun}: it lacks the {part}: {_EXPECTED}")
    for part in parts:
        if part not in allowed:
            raise DeclarationError(f"format {text!r} is not one of {noun}: it has the {part}: {_EXPECTED}")


def _check(text: str, pieces: list[str], parts: list[str]) -> None:
    if not parts:
        raise DeclarationError(f"format {text!r} has no part of a date or a time: {_EXPECTED}")
    for part, needed in _NEEDS:
        if part in parts and needed not in parts:
            raise DeclarationError(f"format {text!r} has the {part} and lacks the {needed}: {_EXPECTED}")
    if {"hh", "h"} & {*pieces} and "A" not in pieces:
        raise DeclarationError(
            f"format {text!r} lacks A, AM or PM: hh and h count 12 hours: add A, or write HH or H for 24 hours"
        )
    if {"HH", "H"} & {*pieces} and "A" in pieces:
        raise DeclarationError(
            f"format {text!r} has A, AM or PM, but hours of a 24-hour clock: write hh or h"
        )


def _hint(text: str) -> str:
    if re.search("(?<!Y)YY(?!Y)", text):
        return "years have four digits, YYYY: of two digits the century is not known"
    return _EXPECTED
