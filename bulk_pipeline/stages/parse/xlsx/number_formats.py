"""Reads stored numbers by the number formats of a workbook: dates, durations, and digits with fixed text."""

import datetime as dt
import math
import re
from collections.abc import Callable

from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.parse.cells import shown
from bulk_pipeline.stages.parse.xlsx.cells import Cell, Flaw, not_a_number, number, too_long
from bulk_pipeline.stages.parse.xlsx.package import Element, too_large
from bulk_pipeline.stages.sheet_format import EXACT_TEXT

Reader = Callable[[str], Cell]
"""A function that returns the text of a stored number."""

_BUILT_IN_DATES = {*range(14, 23), *range(27, 37), 45, 47, *range(50, 59)}
_BUILT_IN_DURATION = 46
_QUOTED = re.compile(r'"[^"]*"|\\.|_.|\*.')
_ELAPSED = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"\[[^\]]*\]")
_DATE_LETTER = re.compile(r"[ymdhs]", re.IGNORECASE)
_TOKEN = re.compile(
    r"""(?P<digit>[0#])
    | "(?P<quoted>[^"]*)" | \\(?P<escaped>.) | (?P<plain>[-+ ():$€£¥&'~{}<>=!^])
    | \[\$(?P<currency>[^-\]]*)[^\]]*\]
    | (?P<colour>\[(?:black|blue|cyan|green|magenta|red|white|yellow|color\s*\d+)\])
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SECTION = re.compile(r'(?:"[^"]*"|\\.|\[[^\]]*\]|[^;])+|(?<=;)(?=;|$)')
_DAY_SECONDS, _DAY_MICROSECONDS = 86_400, 86_400_000_000
_NEAR_MICROSECONDS = 5
_DAY_0_OF_1900, _DAY_0_OF_1904 = dt.date(1899, 12, 30).toordinal(), dt.date(1904, 1, 1).toordinal()
_LAST_DAY = dt.date.max.toordinal()
_LEAP_DAY_1900 = 60
"""Number of a day that did not exist: spreadsheets count 1900 as a leap year."""
_CODE_CHARACTERS = 1_000
"""Most characters of a format, which may be in the text of every cell; spreadsheet programs allow 255."""


def readers(styles: list[Element], *, from_1904: bool) -> list[Reader]:
    """Return the readers of numbers, by the number of the cell style."""
    codes = {
        element.attributes.get("numFmtId"): element.attributes.get("formatCode", "")
        for element in styles
        if element.name == "numFmt" and element.parent == "numFmts"
    }
    if (longest := max(map(len, codes.values()), default=0)) > _CODE_CHARACTERS:
        raise too_large(f"a number format has {longest:,} characters")
    by_format: dict[str, Reader] = {}
    by_style = []
    for element in styles:
        if element.name == "xf" and element.parent == "cellXfs":
            format_ = element.attributes.get("numFmtId", "0")
            if format_ not in by_format:
                by_format[format_] = _reader(format_, codes.get(format_), from_1904)
            by_style.append(by_format[format_])
    return by_style


def exact_styles(styles: list[Element]) -> frozenset[str]:
    """Return the numbers of the cell styles by which our exports mark texts to be taken as they are."""
    named = {
        element.attributes.get("xfId")
        for element in styles
        if element.name == "cellStyle" and element.attributes.get("name") == EXACT_TEXT
    }
    own = (element for element in styles if element.name == "xf" and element.parent == "cellXfs")
    return frozenset(str(at) for at, element in enumerate(own) if element.attributes.get("xfId") in named)


def _reader(format_: str, code: str | None, from_1904: bool) -> Reader:
    if code is None:
        built_in = int(format_) if format_.isdecimal() else 0
        if built_in == _BUILT_IN_DURATION:
            return duration
        return _date_reader(from_1904) if built_in in _BUILT_IN_DATES else number
    plain = _QUOTED.sub("", code)
    if _ELAPSED.search(plain):
        return duration
    if _DATE_LETTER.search(_IN_BRACKETS.sub("", plain)):
        return _date_reader(from_1904)
    return _padded_reader(code) or number


def _date_reader(from_1904: bool) -> Reader:
    return lambda value: moment(value, from_1904=from_1904)


def moment(value: str, *, from_1904: bool = False) -> Cell:
    """Return a date, a date with a time, or for less than one day a time, in ISO 8601.

    Times are stored as binary fractions of a day, so a time within a few microseconds of a whole millisecond is
    rounded to it.
    """
    days = _float(value)
    if days is None:
        return not_a_number(value)
    whole = int(days)
    first = _DAY_0_OF_1904 if from_1904 else _DAY_0_OF_1900 + (whole < _LEAP_DAY_1900)
    if days < 0 or whole > _LAST_DAY - first or (whole == _LEAP_DAY_1900 and not from_1904):
        return _no_day(value)
    microseconds = round((days - whole) * _DAY_MICROSECONDS)
    nearest = round(microseconds, -3)
    if microseconds != nearest and abs(microseconds - nearest) <= max(
        _NEAR_MICROSECONDS, math.ulp(days) * _DAY_MICROSECONDS
    ):
        microseconds = nearest
    if microseconds == _DAY_MICROSECONDS:
        return moment(str(whole + 1), from_1904=from_1904)
    if whole == 0 and (microseconds or not from_1904):
        return _time(microseconds)
    date = dt.date.fromordinal(first + whole).isoformat()
    return f"{date}T{_time(microseconds)}" if microseconds else date


def _no_day(value: str) -> Flaw:
    return Flaw(
        shown(value),
        f"'{shown(value)}' is formatted as a date, but the calendar of spreadsheets has no such day",
        Code.OUT_OF_RANGE,
    )


def _time(microseconds: int) -> str:
    seconds, fraction = divmod(microseconds, 1_000_000)
    time = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{time}.{fraction:06}" if fraction else time


def duration(value: str) -> Cell:
    """Return hours, minutes and seconds in the form `h:mm:ss`."""
    days = _float(value)
    if days is None:
        return not_a_number(value)
    milliseconds = round(abs(days) * _DAY_SECONDS * 1000)
    seconds, fraction = divmod(milliseconds, 1000)
    text = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    text += f".{fraction:03}" if fraction else ""
    return f"-{text}" if days < 0 and milliseconds else text


def _float(value: str) -> float | None:
    try:
        parsed = float(value)
    except ValueError:
        return None
    return parsed if math.isfinite(parsed) and "_" not in value else None


def _padded_reader(code: str) -> Reader | None:
    """Return a reader for a format of only digits and fixed text, such as `00000` or `"K-"0000`, else None.

    It returns the text that the cell shows, since a number in such a format is usually an identifier.
    """
    sections = [_tokens(section) for section in _SECTION.findall(code) if section.strip() != "@"]
    if not sections or any(section is None for section in sections[:3]):
        return None
    if all(_is_plain(section) for section in sections[:3]):
        return None

    def padded(value: str) -> Cell:
        parsed = _float(value)
        if parsed is None or not parsed.is_integer():
            return number(value)
        if abs(parsed) >= 1e15:
            return too_long(parsed)
        whole = int(parsed)
        if whole < 0:
            own = sections[1] if len(sections) > 1 else None
            return _shown(own, -whole) if own else "-" + _shown(sections[0] or [], -whole)
        zero = sections[2] if len(sections) > 2 and whole == 0 else None
        return _shown(zero or sections[0] or [], whole).strip(" \t") or None

    return padded


Tokens = list[tuple[bool, str]]
"""Digit placeholders (True) and fixed texts (False) of a format."""


def _tokens(section: str) -> Tokens | None:
    tokens: Tokens = []
    at = 0
    while at < len(section):
        match = _TOKEN.match(section, at)
        if match is None:
            return None
        at = match.end()
        if match["digit"]:
            tokens.append((True, match["digit"]))
        elif match["colour"] is None:
            tokens.append((False, match[match.lastgroup or 0] or ""))
    return tokens if any(is_digit for is_digit, _ in tokens) else None


def _is_plain(tokens: Tokens | None) -> bool:
    return tokens is not None and "".join(text for _, text in tokens).lstrip("#") in ("", "0")


def _shown(tokens: Tokens, whole: int) -> str:
    places = [text for is_digit, text in tokens if is_digit]
    needed = len(places) - places.index("0") if "0" in places else 0
    digits = str(whole) if whole else ""
    digits = digits.zfill(needed)
    surplus = max(0, len(digits) - len(places))
    cells = iter([*[""] * (len(places) - len(digits)), digits[: surplus + 1], *digits[surplus + 1 :]])
    return "".join(next(cells, "") if is_digit else text for is_digit, text in tokens)
