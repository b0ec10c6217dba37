"""The physical lines of a window, and which of them are whole regular records by themselves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bulk_pipeline.stages.parse import csv_structure as structure
from bulk_pipeline.stages.parse.csv_plan import BYTE_ORDER_MARK, Plan
from bulk_pipeline.stages.parse.csv_structure import Bytes, Mask, Places
from bulk_pipeline.stages.parse.csv_window import Window

_LINES_AT_ONCE = 64


@dataclass(frozen=True)
class Lines:
    """The physical lines of a window: where they start, stop and end, and which are `good` or `blank`.

    A good line is a whole regular record of the right width. `keep` are the bytes that are not padding. `widths`:
    the number of cells of the lines of which that is all there is to know, as it is wrong; 0 of all others.
    """

    start: Places
    stop: Places
    end: Places
    good: Mask
    blank: Mask
    keep: Mask
    widths: Places


def lines_of(window: Window, plan: Plan, *, together: bool) -> Lines:
    """Without `together`, no line counts as good."""
    block = window.block
    is_end = structure.line_ends(block)
    is_end[-1] = True
    end = np.flatnonzero(is_end)
    start, stop = structure.starts(end), structure.stops(block, end)
    if block[-1] not in b"\r\n":
        stop[-1] = len(block)
    if not together:
        blanks = plan.syntax.blanks
        texts = (
            window.data[window.start + a : window.start + b]
            for a, b in zip(start.tolist(), stop.tolist(), strict=True)
        )
        blank = np.array([not text.strip(blanks) for text in texts], np.bool_)
        nothing = np.zeros(len(end), np.bool_)
        return Lines(
            start, stop, end, nothing, blank, np.ones(len(block), np.bool_), nothing.astype(np.int64)
        )
    keep, good, blank, widths = _sorted(block, is_end, end, plan)
    for odd in _odd_lines(window, plan, block, start, stop, end):
        good[odd], widths[odd] = False, 0
    return Lines(start, stop, end, good, blank, keep, widths)


def _sorted(block: Bytes, is_end: Mask, end: Places, plan: Plan) -> tuple[Mask, Mask, Mask, Places]:
    """Which bytes are not padding, which lines have the right width and regular quotes, and which are blank; the
    widths of lines that have another one, and neither quote nor escape."""
    syntax = plan.syntax
    delimiter, quote = syntax.delimiter[0], syntax.quote
    within = structure.inside_by_line(block, quote[0], end) if quote else np.zeros(len(block), np.bool_)
    between = ((block == delimiter) | (block == ord("\r"))) & ~within | is_end
    keep = structure.without_padding(structure.is_any(block, syntax.blanks) & ~within, between)
    keep = np.ones(len(block), np.bool_) if keep is None else keep
    text, text_within, text_end = block[keep], within[keep], np.flatnonzero(is_end[keep])
    blank = structure.stops(text, text_end) <= structure.starts(text_end)
    delimiters = np.flatnonzero((text == delimiter) & ~text_within)
    widths = np.diff(np.searchsorted(delimiters, text_end), prepend=0) + 1
    good = (widths == plan.width) & ~blank
    widths[good | blank] = 0
    for mark in filter(None, (quote, syntax.escape)):
        widths[structure.per_line(np.flatnonzero(block == mark[0]), end)] = 0
    if quote:
        good[_lines_with_odd_quotes(text, text_end, delimiter, quote[0])] = False
    return keep, good, blank, widths


def _lines_with_odd_quotes(text: Bytes, end: Places, delimiter: int, quote: int) -> Places:
    places = np.flatnonzero(text == quote)
    line = structure.per_line(places, end)
    counts = np.bincount(line, minlength=len(end))
    first = np.cumsum(counts) - counts
    opens = (np.arange(len(places)) - first[line]) % 2 == 0
    wrong = structure.irregular_quotes(text, places, opens, delimiter, quote)
    return np.concatenate([np.flatnonzero(counts % 2), structure.per_line(wrong, end)])


def _odd_lines(
    window: Window, plan: Plan, block: Bytes, start: Places, stop: Places, end: Places
) -> list[Places]:
    """Lines with NUL bytes, escapes, bad UTF-8 or a mark, lines that are too long, and repeated headers."""
    odd = [structure.per_line(np.flatnonzero(block == 0), end)]
    if plan.syntax.escape:
        odd.append(structure.per_line(np.flatnonzero(block == plan.syntax.escape[0]), end))
    odd.append(np.flatnonzero(stop - start > plan.limits.cell_bytes))
    data, base = window.data, window.start
    if window.has(BYTE_ORDER_MARK):
        odd.append(np.flatnonzero([data.startswith(BYTE_ORDER_MARK, base + at) for at in start.tolist()]))
    if plan.header:
        same = np.flatnonzero(stop - start == len(plan.header))
        odd.append(_chosen(same, [data.startswith(plan.header, base + int(start[i])) for i in same]))
    odd.append(_lines_that_are_no_text(data, start + base, stop + base))
    return odd


def _lines_that_are_no_text(data: bytes, start: Places, stop: Places) -> Places:
    """Lines that are not UTF-8. A line end is a character by itself, so many lines may be looked at together."""
    odd: list[int] = []
    for first in range(0, len(start), _LINES_AT_ONCE):
        last = min(first + _LINES_AT_ONCE, len(start))
        while first < last and (wrong := _no_text(data, int(start[first]), int(stop[last - 1]))) is not None:
            odd.append(first := int(np.searchsorted(start, wrong, side="right")) - 1)
            first += 1
    return np.array(odd, np.int64)


def _chosen(places: Places, choice: Sequence[bool]) -> Places:
    return places[np.array(choice, np.bool_)]


def _no_text(data: bytes, start: int, stop: int) -> int | None:
    """The place of the first byte that is not UTF-8."""
    try:
        data[start:stop].decode("utf-8")
    except UnicodeDecodeError as error:
        return start + error.start
    return None
