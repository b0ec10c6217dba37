"""Reads cells in the notation that is declared for an upload: words, numbers, dates and times as its people write them.

The result is the notation that `schema.types` reads. A cell that does not have the declared notation is never read in
another one. Values that a workbook stores as numbers, times or booleans have no notation, and stay as they are.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.masks import mask, without
from bulk_pipeline.arrow.time_zones import instants
from bulk_pipeline.schema import Column, UploadFormat, invisible
from bulk_pipeline.schema.families.numbers import FRACTIONS, SPECIAL, WHOLE_NUMBERS
from bulk_pipeline.schema.families.times import TIMES_OF_DAY, TIMESTAMPS
from bulk_pipeline.schema.time_patterns import ISO, MONTHS, TimePattern, time_pattern
from bulk_pipeline.schema.types import FIRST_INSTANT, LAST_INSTANT
from bulk_pipeline.schema.upload_format import POINT
from bulk_pipeline.stages.shown import shown
from bulk_pipeline.stages.validate.checks import is_not
from bulk_pipeline.stages.validate.missing_days import says_missing_day

_MARKS = {"'": "['’]", " ": "[ \u00a0\u2007\u2009\u202f]"}
"""Characters that count as a mark between thousands besides the mark itself, since people cannot tell them apart."""
_OFFSET = r"[T ].*(Z|[+-].*)\z"
_HOURS = pa.array([f"{hour:02}{half}" for half in "AP" for hour in (12, *range(1, 12))])
"""Hours of twelve with the letter of their half, in the order of the day."""


@dataclass(frozen=True)
class ReadCells:
    """Cells in the usual notation, NULL where they have none, and masks of cells with a problem.

    `unread`: not in the declared notation. `ambiguous`: two of the declared formats read them differently.
    """

    texts: pa.Array
    unread: np.ndarray
    ambiguous: np.ndarray


class Notation(ABC):
    """The notation of a column's cells. `expected` completes "'x' is not …"."""

    expected: str

    @abstractmethod
    def read(self, text: pa.Array) -> ReadCells:
        """Read cells, of which some may be NULL or empty, which means no value."""


@lru_cache(4096)
def notation_of(column: Column, format_: UploadFormat) -> Notation | None:
    """Return the notation that is declared for the type of the column; None if there is none."""
    family = column.type.family.name
    if family in (*WHOLE_NUMBERS, *FRACTIONS) and (format_.decimal or format_.thousands):
        return _Numbers(format_.decimal or POINT, format_.thousands or "", is_whole=family in WHOLE_NUMBERS)
    if family == "boolean" and (format_.true_words or format_.false_words):
        return _Booleans(format_.true_words, format_.false_words)
    if family == "date" and format_.date_formats:
        return _Times(format_.date_formats, "a date", "2026-01-31")
    if family in TIMES_OF_DAY and format_.time_formats:
        return _Times(format_.time_formats, "a time of day", "23:59:59")
    if family in TIMESTAMPS and format_.timestamp_formats:
        return _Times(format_.timestamp_formats, "a time", "2026-01-31T23:59:59")
    return None


def read_cells(column: Column, text: pa.Array, stored: pa.Array | None, format_: UploadFormat) -> ReadCells:
    """Read the cells of a column. `stored`: which of them a workbook stores as values, if any."""
    notation = notation_of(column, format_)
    words = _without_null_words(text, format_)
    cells = _as_they_are(words) if notation is None else notation.read(words)
    if stored is None:
        return cells
    is_text = ~mask(stored)
    return ReadCells(pc.if_else(stored, text, cells.texts), cells.unread & is_text, cells.ambiguous & is_text)


def not_as_declared(notation: Notation, column: Column, cells: pa.Array) -> pa.Array:
    """Return sentences for cells that are not in the declared notation."""
    sentences = is_not(column, cells, notation.expected)
    if not isinstance(notation, _Times):
        return sentences
    iso = notation.read(pc.utf8_trim(cells, invisible.BLANKS)).texts
    return says_missing_day(column, cells, iso, sentences)


def ambiguous(column: Column, cells: pa.Array) -> pa.Array:
    """Return sentences for cells that two of the declared formats read differently."""
    return _about(column, cells, "means another time in each of two declared formats: declare one")


def skipped(zone: str, column: Column, cells: pa.Array) -> pa.Array:
    """Return sentences for local times that a time zone does not have."""
    return _about(
        column,
        cells,
        f"does not exist in {zone}, because the clocks are put forward over it: write a time with its offset, like "
        "2026-01-31T23:59:59+02:00",
    )


def repeated(zone: str, column: Column, cells: pa.Array) -> pa.Array:
    """Return sentences for local times that a time zone has twice."""
    return _about(
        column,
        cells,
        f"happens twice in {zone}, because the clocks are put back over it: write the time with its offset, like "
        "2026-01-31T23:59:59+02:00",
    )


def _about(column: Column, cells: pa.Array, predicate: str) -> pa.Array:
    return pc.binary_join_element_wise(f"{column.name} '", shown(cells), f"' {predicate}", "")


def _without_null_words(text: pa.Array, format_: UploadFormat) -> pa.Array:
    """Return the cells trimmed, if that is declared, and NULL for the words that mean it."""
    if format_.trim:
        text = pc.utf8_trim(text, invisible.BLANKS)
    if format_.null_words:
        text = without(text, mask(pc.is_in(text, pa.array(format_.null_words))))
    return text


def _as_they_are(text: pa.Array) -> ReadCells:
    nothing = np.zeros(len(text), bool)
    return ReadCells(text, nothing, nothing)


class _Numbers(Notation):
    def __init__(self, decimal: str, thousands: str, *, is_whole: bool) -> None:
        self._decimal, self._is_whole = decimal, is_whole
        self._mark = _MARKS.get(thousands, re.escape(thousands)) if thousands else ""
        whole = rf"(?:\d{{1,3}}(?:{self._mark}\d{{3}})+|\d+)" if thousands else r"\d+"
        point = re.escape(decimal)
        self._cells = rf"\A[+-]?(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d{{1,6}})?\z"
        example = f"1{thousands}234" if is_whole else f"1{thousands}234{decimal}56"
        marks = f"decimal {decimal!r}" + (f", thousands {thousands!r}" if thousands else "")
        noun = "a whole number" if is_whole else "a number"
        self.expected = f"{noun} like {example}, as is declared for the file: {marks}"

    def read(self, text: pa.Array) -> ReadCells:
        good = mask(pc.match_substring_regex(text, self._cells))
        if not self._is_whole:
            special = ~good & mask(pc.match_substring_regex(text, rf"\A{SPECIAL}\z"))
            good |= special
        unread = _has_value(text) & ~good
        text = without(text, unread)
        if self._mark:
            text = pc.replace_substring_regex(text, self._mark, "")
        if self._decimal != POINT:
            text = pc.replace_substring(text, self._decimal, POINT)
        return ReadCells(text, unread, np.zeros(len(text), bool))


class _Booleans(Notation):
    def __init__(self, true_words: Sequence[str], false_words: Sequence[str]) -> None:
        self._words = pc.utf8_lower(pa.array([*true_words, *false_words]))
        self._values = pa.array(["true"] * len(true_words) + ["false"] * len(false_words))
        meanings = [
            f"{' or '.join(words)} for {value}"
            for words, value in ((true_words, "true"), (false_words, "false"))
            if words
        ]
        self.expected = f"one of the words that are declared for the file: {', '.join(meanings)}"

    def read(self, text: pa.Array) -> ReadCells:
        values = self._values.take(pc.index_in(pc.utf8_lower(text), self._words))
        unread = _has_value(text) & mask(pc.is_null(values))
        return ReadCells(values, unread, np.zeros(len(text), bool))


class _Times(Notation):
    """Dates, times of day, or both. A cell may have any one of the formats."""

    def __init__(self, formats: Sequence[str], noun: str, iso: str) -> None:
        self._patterns = [None if text == ISO else time_pattern(text) for text in formats]
        examples = [iso if pattern is None else pattern.example for pattern in self._patterns]
        declared = "the format that is" if len(formats) == 1 else "one of the formats that are"
        self.expected = (
            f"{noun} like {' or '.join(examples)}, {declared} declared for the file: {' or '.join(formats)}"
        )

    def read(self, text: pa.Array) -> ReadCells:
        found, ambiguous = pa.nulls(len(text), pa.string()), np.zeros(len(text), bool)
        for pattern in self._patterns:
            texts = _iso(text) if pattern is None else _in_iso(text, pattern)
            ambiguous |= mask(pc.not_equal(found, texts))
            found = pc.coalesce(found, texts)
        unread = _has_value(text) & mask(pc.is_null(found))
        return ReadCells(without(found, ambiguous), unread, ambiguous)


def _has_value(text: pa.Array) -> np.ndarray:
    return mask(pc.not_equal(text, ""))


def _iso(text: pa.Array) -> pa.Array:
    """Return the cells that may be in ISO 8601, which their codec decides."""
    return without(text, ~mask(pc.match_substring_regex(text, r"\A(\d{4}-\d\d-\d\d|\d\d:\d\d)")))


def _in_iso(text: pa.Array, pattern: TimePattern) -> pa.Array:
    """Return the cells that have the pattern, in ISO 8601."""
    parts = pc.extract_regex(text, pattern.cells)
    part = {name: parts.field(name) for name in pattern.parts}
    good = parts.is_valid()
    pieces: list[pa.Array | str] = []
    if "year" in part:
        pieces += [part["year"], "-", _month(part["month"]), "-", pc.ascii_lpad(part["day"], 2, "0")]
    if "hour" in part:
        pieces += ["T"] if pieces else []
        hour = pc.ascii_lpad(part["hour"], 2, "0")
        pieces += [_hour(hour, part["half"]) if "half" in part else hour, ":", part.get("minute", "00")]
        pieces += [":", part["second"]] if "second" in part else []
        pieces += [".", part["fraction"]] if "fraction" in part else []
        pieces += [part["offset"]] if "offset" in part else []
    return pc.if_else(good, pc.binary_join_element_wise(*pieces, ""), None)


def _month(month: pa.Array) -> pa.Array:
    number = pc.add(pc.index_in(pc.ascii_lower(month), pa.array(MONTHS)), 1)
    return pc.ascii_lpad(pc.coalesce(number.cast(pa.string()), month), 2, "0")


def _hour(hour: pa.Array, half: pa.Array) -> pa.Array:
    """Return hours of twelve as those of a day."""
    letter = pc.utf8_slice_codeunits(pc.ascii_upper(half), 0, 1)
    number = pc.index_in(pc.binary_join_element_wise(hour, letter, ""), _HOURS)
    return pc.ascii_lpad(number.cast(pa.string()), 2, "0")


@dataclass(frozen=True)
class ZonedTimes:
    """Instants, NULL where there is none, and masks of local times that a zone does not have (`gap`), has twice
    (`overlap`), or has outside the years 1 to 9999 in UTC (`outside`)."""

    values: pa.Array
    gap: np.ndarray
    overlap: np.ndarray
    outside: np.ndarray


def in_zone(values: pa.Array, text: pa.Array, zone: str) -> ZonedTimes:
    """Return the instants of cells, where `values` took those without an offset for UTC."""
    is_local = mask(values.is_valid()) & ~mask(pc.match_substring_regex(text, _OFFSET))
    read = instants(values.filter(pa.array(is_local)).cast(pa.int64()).to_numpy(), ZoneInfo(zone))
    outside = (read.microseconds < FIRST_INSTANT) | (read.microseconds > LAST_INSTANT)
    gap, overlap, outside = (_spread(rows, is_local) for rows in (read.gap, read.overlap, outside))
    moved = pc.replace_with_mask(values, pa.array(is_local), pa.array(read.microseconds).cast(values.type))
    return ZonedTimes(without(moved, gap | overlap | outside), gap, overlap, outside)


def _spread(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return a mask of all cells from one of the cells at `places`."""
    mask_of_all = np.zeros(len(places), bool)
    mask_of_all[places] = rows
    return mask_of_all
