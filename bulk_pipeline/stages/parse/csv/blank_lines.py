"""Finds lines that are not records: blank lines, lines of empty cells, and end markers that programs write.

In a file of one column `""` is a record, since an empty cell can be written in no other way. End markers (`\\.` of
COPY, `(2 rows)` of psql and sqlcmd, a line of dashes) are records there too, since they may be the cell.
With `Plan.empty_rows`, empty cells are records as for COPY: only a line without any cell of a wider file is not.
"""

import re
from functools import lru_cache

import numpy as np

from bulk_pipeline.stages.parse.blanks import WIDE_LEADS, Blanks
from bulk_pipeline.stages.parse.csv.structure import Bytes, Mask, Places, is_any, starts, stops, stretches
from bulk_pipeline.stages.parse.csv.syntax import Plan

_END_OF_FILE = rb"\x1a+"
_MARKERS = rb"|\\\.|\(\d{1,20} rows?(?: affected)?\)|(?=\+*+-)[-+]{3,}+"
_MARKER_STARTS = b"\x1a\\(-+"


def is_blank(line: bytes, plan: Plan) -> bool:
    """Return True if a physical line, given without its line end, is not a record."""
    syntax = plan.syntax
    pattern = _pattern(syntax.delimiter, syntax.quote, syntax.blanks, plan.width > 1, plan.empty_rows)
    return pattern.fullmatch(line) is not None


def empty_lines(text: Bytes, ends: Places, widths: Places | int, plan: Plan) -> Mask:
    """Return a mask of the lines that have only empty cells, in a text without padding.

    `widths` are the numbers of cells by line, counted by the delimiters outside quotes.
    """
    begin, stop = starts(ends), stops(text, ends)
    lengths = stop - begin
    empty = lengths <= 0
    if plan.empty_rows:
        return empty & (plan.width > 1)
    values = plan.syntax.delimiter + plan.syntax.quote
    nth = np.flatnonzero(~empty & (lengths < 3 * widths))
    for at in (begin, stop - 1, (begin + stop) // 2):  # three bytes rule out nearly all lines
        nth = nth[is_any(text[at[nth]], values)]
    if not len(nth):
        return empty
    others = ~is_any(stretches(text, begin[nth], stop[nth]), values)
    firsts = np.cumsum(lengths[nth]) - lengths[nth]
    nth = nth[np.add.reduceat(others, firsts, dtype=np.int64) == 0]
    plain = lengths[nth] == (widths if isinstance(widths, int) else widths[nth]) - 1
    empty[nth[plain]] = True
    for line in nth[~plain].tolist():
        empty[line] = is_blank(text[begin[line] : stop[line]].tobytes(), plan)
    return empty


def marker_lines(block: Bytes, begin: Places, stop: Places, widths: Places, plan: Plan) -> Places:
    """Return the lines of one cell that are end markers."""
    nth = np.flatnonzero((widths == 1) & (stop > begin))
    nth = nth[is_any(block[begin[nth]], _MARKER_STARTS + plan.syntax.blanks.narrow + WIDE_LEADS)]
    texts = (block[begin[line] : stop[line]].tobytes() for line in nth.tolist())
    return nth[np.fromiter((is_blank(text, plan) for text in texts), np.bool_, len(nth))]


@lru_cache(64)
def _pattern(
    delimiter: bytes, quote: bytes, blanks: Blanks, is_wide: bool, empty_rows: bool
) -> re.Pattern[bytes]:
    """Return the pattern of lines that are not records. All quantifiers are possessive, since a line may be long."""
    blank, between = blanks.pattern, re.escape(delimiter)
    empty = b"%b(?:%b%b)?+" % (blank, re.escape(quote * 2), blank) if is_wide and quote else blank
    marker = b"(?!.*%b)(?:%b)" % (between, _END_OF_FILE + (_MARKERS if is_wide else b""))
    nothing = b"%b(?:%b%b)*+" % (empty, between, empty)
    if empty_rows:
        nothing = blank if is_wide else b"(?!)"
    return re.compile(b"%b|%b%b%b" % (nothing, blank, marker, blank), re.DOTALL)
