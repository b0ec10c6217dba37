"""Types of columns that keep every cell of a file as it is, and the notation that they need.

A number, a date or a time is one only if all cells of its column are, in a single reading: no leading zero, no sign
and no digit may get lost. Everything else is a text. One notation of numbers holds for a file, the one in which most
columns are numbers; dates and times have a list of formats.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.masks import mask, without
from bulk_pipeline.schema import NOTHING_DECLARED, Column, ColumnType, UploadFormat
from bulk_pipeline.schema.column_type import parse
from bulk_pipeline.schema.time_patterns import ISO
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline.stages.proposals.cells import Cells
from bulk_pipeline.stages.proposals.notations import CLOCKS, DATES, MARKS
from bulk_pipeline.stages.validate.notation import notation_of

_WHOLE = ("integer", "bigint")
_NUMBER = "numeric"
_TIME, _ZONED, _ZONELESS = "time without time zone", "timestamp with time zone", "timestamp without time zone"
_OFFSET = r"(?:Z|[+-]\d\d(?::?\d\d)?)"
_CLOCK = r"\d\d:\d\d(?::\d\d(?:\.\d+)?)?"
_DAY = r"\d{4}-\d\d-\d\d"
_UNCHANGED = {
    **dict.fromkeys(_WHOLE, r"\A(?:0|-?[1-9]\d*)\z"),
    _NUMBER: r"\A(?:-?[1-9]\d*(?:\.\d+)?|0(?:\.\d+)?|-0\.0*[1-9]\d*)\z",
    "boolean": r"\A(?i:true|false)\z",
    "uuid": r"\A[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\z",
    "date": rf"\A{_DAY}\z",
    _TIME: rf"\A{_CLOCK}\z",
    _ZONED: rf"\A{_DAY}[T ]{_CLOCK}{_OFFSET}\z",
    _ZONELESS: rf"\A{_DAY}[T ]{_CLOCK}\z",
    "jsonb": r"\A\s*[\[{]",
}
"""Patterns of cells, in the usual notation, that the type holds without a loss."""
_MAY_BE_TIME = r"\A[\w ,./:-]{4,40}\z"
"""A pattern of all formats of times, so that texts are not tried with each of them."""
_PROBE = 1_000


class Notation(Enum):
    """The notation of a column's cells: one that may be declared, that of the file's format, or some of each."""

    DECLARED = "declared"
    OF_THE_FORMAT = "of the format"
    MIXED = "mixed"


@dataclass(frozen=True)
class ColumnCells:
    """The cells of a column, and whose notation they have."""

    cells: Cells
    notation: Notation

    @property
    def name(self) -> str:
        return self.cells.column.name


@dataclass(frozen=True)
class TypeChoice:
    """The type of a column, with the reason for it."""

    type: ColumnType
    evidence: str


def choose(columns: Sequence[ColumnCells]) -> tuple[dict[str, TypeChoice], UploadFormat]:
    """Return the type of each column by name, and the notation that the types need."""
    choices = dict[str, TypeChoice]()
    for one in columns:
        if not len(one.cells.texts):
            choices[one.name] = TypeChoice(ColumnType.TEXT, "no cell has a value")
        elif one.notation is Notation.MIXED:
            reason = "some cells are stored as numbers or times, others as text"
            choices[one.name] = TypeChoice(ColumnType.TEXT, reason)
    format_ = _choose_numbers(_rest(columns, choices), choices)
    for one in _rest(columns, choices):
        _choose_plain(one, choices)
    for attribute, types, formats in _TIMES:
        format_ = _choose_times(_rest(columns, choices), choices, attribute, types, formats).over(format_)
    for one in _rest(columns, choices):
        choices[one.name] = TypeChoice(ColumnType.TEXT, _why_text(one.cells))
    return choices, format_


def _rest(columns: Sequence[ColumnCells], choices: Mapping[str, TypeChoice]) -> list[ColumnCells]:
    return [one for one in columns if one.name not in choices]


def _choose_numbers(columns: Sequence[ColumnCells], choices: dict[str, TypeChoice]) -> UploadFormat:
    """Choose the columns that are numbers in the notation in which most are, and return it if one of them needs it."""
    notations = (NOTHING_DECLARED, *MARKS)
    readings = dict[str, list[int]]()
    for one in columns:
        if one.notation is Notation.DECLARED:
            readings[one.name] = [
                at for at, format_ in enumerate(notations) if _is_kept(one.cells, _NUMBER, format_)
            ]
        elif _is_kept(one.cells, _NUMBER, NOTHING_DECLARED):
            choices[one.name] = _number(one.cells, NOTHING_DECLARED)
    counts = Counter(at for fitting in readings.values() for at in fitting)
    if not counts:
        return NOTHING_DECLARED
    best = max(counts, key=lambda at: (counts[at], -at))
    is_needed = False
    for one in _rest(columns, choices):
        fitting = readings.get(one.name, [])
        equal = [notations[at] for at in fitting if counts[at] == counts[best]]
        if (both := _two_readings(one.cells, _NUMBER, equal)) is not None:
            choices[one.name] = TypeChoice(ColumnType.TEXT, both)
        elif best in fitting:
            choices[one.name] = _number(one.cells, notations[best])
            is_needed |= 0 not in fitting
    return notations[best] if is_needed else NOTHING_DECLARED


def _number(cells: Cells, format_: UploadFormat) -> TypeChoice:
    texts = _usual(cells, format_)
    whole = next((name for name in _WHOLE if _is_kept(cells, name, format_)), None)
    declared = ", ".join(f"{name}: '{text}'" for name, text in format_.texts().items())
    how = f"; {declared}" if not _is_kept(cells, _NUMBER, NOTHING_DECLARED) else ""
    if whole is not None:
        least, most = pc.min_max(texts.cast(pa.int64())).values()
        return TypeChoice(parse(whole), f"whole numbers from {least} to {most}{how}")
    decimals = pc.utf8_length(pc.replace_substring_regex(texts, r"\A[^.]*\.?", ""))
    at = int(np.argmax(decimals))
    if decimals[at].as_py():
        return TypeChoice(
            parse(_NUMBER), f"numbers; {cells.quoted(at)} has the most decimals, {decimals[at]}{how}"
        )
    digits = pc.utf8_length(texts)
    longest = cells.quoted(int(np.argmax(digits)))
    return TypeChoice(parse(_NUMBER), f"whole numbers; {longest} is more than bigint holds{how}")


def _usual(cells: Cells, format_: UploadFormat) -> pa.Array:
    """Return numbers of a notation in the usual one."""
    notation = notation_of(cells.as_type(parse(_NUMBER)).column, format_)
    return cells.texts if notation is None else notation.read(cells.texts).texts


def _choose_plain(one: ColumnCells, choices: dict[str, TypeChoice]) -> None:
    nouns = {"boolean": "true or false", "uuid": "a UUID"}
    if one.notation is Notation.OF_THE_FORMAT:
        nouns["jsonb"] = "a JSON object or array"
    for name, noun in nouns.items():
        if _is_kept(one.cells, name, NOTHING_DECLARED):
            choices[one.name] = TypeChoice(parse(name), f"each cell is {noun}")
            return


def _choose_times(
    columns: Sequence[ColumnCells],
    choices: dict[str, TypeChoice],
    attribute: str,
    types: Sequence[str],
    formats: Sequence[str],
) -> UploadFormat:
    """Choose the columns that are times, each in a single format, and return the formats that are to be declared."""
    chosen, used = list[tuple[Cells, str]](), tuple[str, ...]()
    for one in columns:
        cells = one.cells
        usual = next((type_ for type_ in types if _is_kept(cells, type_, NOTHING_DECLARED)), None)
        type_ = usual or types[-1]
        noun = f"each cell is {_NOUNS[type_]} like {cells.quoted(0)}"
        if one.notation is Notation.OF_THE_FORMAT:
            if usual:
                choices[one.name] = TypeChoice(parse(type_), noun)
            continue
        may_be = usual is None and mask(pc.match_substring_regex(cells.texts, _MAY_BE_TIME)).all()
        possible = formats if may_be else ()
        fitting = [format_ for format_ in possible if _is_kept(cells, type_, _with(attribute, format_))]
        both = _two_readings(cells, type_, [_with(attribute, format_) for format_ in fitting])
        if both is not None:
            choices[one.name] = TypeChoice(ColumnType.TEXT, both)
        elif usual or fitting:
            together = tuple(dict.fromkeys((*used, ISO if usual else fitting[0])))
            declared = _with(attribute, *together)
            if all(_is_kept(*other, declared) for other in (*chosen, (cells, type_))):
                used = together
                chosen.append((cells, type_))
                how = "" if usual else f"; {attribute.removesuffix('s')}: {fitting[0]}"
                choices[one.name] = TypeChoice(parse(type_), noun + how)
    return NOTHING_DECLARED if used in ((), (ISO,)) else _with(attribute, *used)


_TIMES = (
    ("date_formats", ("date",), DATES),
    ("time_formats", (_TIME,), CLOCKS),
    (
        "timestamp_formats",
        (_ZONED, _ZONELESS),
        [f"{date} {clock}" for date in (*DATES, "YYYY-MM-DD") for clock in CLOCKS],
    ),
)
_NOUNS = {
    "date": "a date",
    _TIME: "a time of day",
    _ZONED: "a time with its offset",
    _ZONELESS: "a time without an offset",
}


def _with(attribute: str, *formats: str) -> UploadFormat:
    return replace(NOTHING_DECLARED, **{attribute: formats})


def _is_kept(cells: Cells, type_: str, format_: UploadFormat) -> bool:
    """Return whether every cell is a value of the type in this notation, and loses nothing."""
    column = Column(name=cells.column.name, type=parse(type_))
    parts = [cells.texts[:_PROBE], cells.texts[_PROBE:]]
    return all(bool(_kept(column, part, format_).all()) for part in parts if len(part))


def _kept(column: Column, texts: pa.Array, format_: UploadFormat) -> np.ndarray:
    notation = notation_of(column, format_)
    if notation is not None:
        cells = notation.read(texts)
        texts = without(cells.texts, cells.unread | cells.ambiguous)
        if texts.null_count == len(texts):
            return np.zeros(len(texts), bool)
    kept = mask(pc.match_substring_regex(texts, _UNCHANGED[str(column.type)]))
    typed = codec_of(column).from_text(column, without(texts, ~kept))
    for rows in typed.problems.values():
        kept &= ~rows
    return kept


def _two_readings(cells: Cells, type_: str, formats: Sequence[UploadFormat]) -> str | None:
    """Return what two of the formats make of the same cell; None if all make the same of every cell."""
    if len(formats) < 2:
        return None
    typed = cells.as_type(parse(type_))
    first, *others = [typed.read(format_) for format_ in formats]
    for values in others:
        places = np.flatnonzero(mask(pc.not_equal(first, values)))
        if len(places):
            at = int(places[0])
            return f"{cells.quoted(at)} may be {first[at]} or {values[at]}, and no cell shows which"
    return None


def _why_text(cells: Cells) -> str:
    """Return the reason why a column is no more than text."""
    texts = cells.texts
    if mask(pc.match_substring_regex(texts, r"\A[+-]?\d+\z")).all():
        at = int(np.argmax(mask(pc.match_substring_regex(texts, r"\A[+-]?0\d|\A\+|\A-0"))))
        return f"{cells.quoted(at)} would not stay as it is as a number"
    for type_, noun in _OTHERS.items():
        kept = _kept(Column(name=cells.column.name, type=parse(type_)), texts, NOTHING_DECLARED)
        if 2 * kept.sum() >= len(texts):
            return f"{cells.quoted(int(np.argmin(kept)))} is no {noun}, as most cells are"
    most = pc.max(pc.utf8_length(texts)).as_py()
    return f"texts of up to {most:,} characters, like {cells.quoted(0)}"


_OTHERS: Mapping[str, str] = {_NUMBER: "number", "date": "date", _ZONED: "time", _ZONELESS: "time"}
