"""Tells whether a file's first row is data rather than column names, by the kinds of its cells."""

import re
from collections.abc import Sequence

_KINDS = (
    re.compile(r"[-+]?[$€£¥]?\s?\d[\d.,' ]*\s?[%$€£¥]?([eE][-+]?\d+)?"),  # numbers, amounts
    re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]\d{1,2}:\d{2}.*)?"),  # dates
    re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"),  # times
    re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"),  # uuids
    re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"),  # email addresses
    re.compile(r"https?://\S+"),  # links
    re.compile(r"true|false", re.IGNORECASE),
)
_YEAR = re.compile(r"(1[89]|20|21)\d\d")
_SAMPLE, _SHARE, _LENGTH = 100, 0.8, 200


def looks_like_data(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return True if every column of one kind (numbers, dates, …) has a cell of that kind in the first row too."""
    if any(not cell.strip() for cell in first) and not rows:
        return False
    same = different = years = 0
    for column, cell in enumerate(first):
        kind = _kind_below(column, rows)
        if kind is None or not cell.strip():
            continue
        fits = kind.fullmatch(cell.strip()[:_LENGTH]) is not None
        same, different = same + fits, different + (not fits)
        years += fits and _YEAR.fullmatch(cell.strip()) is not None
    return same > 0 and different == 0 and years < max(2, same) and (same > 1 or len(first) == 1)


def _kind_below(column: int, rows: Sequence[Sequence[str]]) -> re.Pattern[str] | None:
    cells = [
        row[column].strip()[:_LENGTH] for row in rows[:_SAMPLE] if column < len(row) and row[column].strip()
    ]
    if not cells:
        return None
    for kind in _KINDS:
        if sum(kind.fullmatch(cell) is not None for cell in cells) >= _SHARE * len(cells):
            return kind
    return None
