"""Sorts the physical lines of a window into regular records, lines to be read one by one, and blank lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bulk_pipeline.stages.parse.blanks import WIDE_LEADS
from bulk_pipeline.stages.parse.csv import structure as structure
from bulk_pipeline.stages.parse.csv.blank_lines import empty_lines, is_blank, marker_lines
from bulk_pipeline.stages.parse.csv.structure import BlankBytes, Bytes, Mask, Places, Quotes
from bulk_pipeline.stages.parse.csv.syntax import BYTE_ORDER_MARK, Plan, Syntax
from bulk_pipeline.stages.parse.csv.window import Window

_LINES_AT_ONCE = 64


@dataclass(frozen=True)
class Lines:
    """The physical lines of a window: where they start, stop and end, and masks of `good`, `doubtful` and `blank` ones.

    A good line is a whole regular record of the right width; the cells of a doubtful one may not be valid UTF-8. Blank
    lines are not records (see `blank_lines`). `keep` is a mask of the bytes that are not padding, None if none is.
    For lines that can be rejected without reading them, `widths` is their wrong number of cells or `unclosed` the
    number, from 1, of the cell whose quote is not closed; both are 0 for all other lines.
    """

    start: Places
    stop: Places
    end: Places
    good: Mask
    doubtful: Mask
    blank: Mask
    keep: Mask | None
    widths: Places
    unclosed: Places


def lines_of(window: Window, plan: Plan, *, together: bool) -> Lines:
    """Return the window's lines; without `together`, none counts as good."""
    block = window.block
    is_end = structure.line_ends(block)
    is_end[-1] = True
    end = np.flatnonzero(is_end)
    start, stop = structure.starts(end), structure.stops(block, end)
    if block[-1] not in b"\r\n":
        stop[-1] = len(block)
    if not together:
        texts = (
            window.data[window.start + a : window.start + b]
            for a, b in zip(start.tolist(), stop.tolist(), strict=True)
        )
        blank = np.array([is_blank(text, plan) for text in texts], np.bool_)
        no, none = np.zeros(len(end), np.bool_), np.zeros(len(end), np.int64)
        return Lines(start, stop, end, no, no, blank, None, none, none)
    lines = _sorted(block, start, stop, end, plan, window.blank_bytes(plan.syntax.blanks))
    for odd in _odd_lines(window, plan, block, start, stop, end):
        lines.good[odd], lines.widths[odd], lines.unclosed[odd] = False, 0, 0
    lines.unclosed[~np.append(lines.good[1:], False)] = 0  # its end is known only if the next line is good
    lines.doubtful[structure.per_line(structure.all_of(block, b"\0"), end)] = True
    lines.doubtful[structure.per_line(_places_not_utf8(window, start), end)] = True
    return lines


def _sorted(block: Bytes, start: Places, stop: Places, end: Places, plan: Plan, blanks: BlankBytes) -> Lines:
    """Return the lines classified by cells and quotes; doubtful lines and other irregularities are not marked yet."""
    syntax = plan.syntax
    quotes = Quotes(structure.all_of(block, syntax.quote), end)
    text, text_end, text_quotes = block, end, quotes
    keep = structure.without_padding(block, end, quotes, syntax.delimiter, blanks)
    if keep is not None:
        text, text_end = block[keep], structure.moved(end, keep)
        text_quotes = Quotes(structure.all_of(text, syntax.quote), text_end)
    delimiters = text_quotes.outside(structure.all_of(text, syntax.delimiter))
    widths = np.diff(np.searchsorted(delimiters, text_end), prepend=0) + 1
    blank = empty_lines(text, text_end, widths, plan)
    blank[marker_lines(block, start, stop, widths, plan)] = True
    if block[-1] not in b"\r\n":
        blank[-1] = is_blank(block[start[-1] : stop[-1]].tobytes(), plan)
    good = (widths == plan.width) & ~blank
    widths[good | blank] = 0
    widths[quotes.lines] = 0
    widths[structure.per_line(structure.all_of(block, syntax.escape), end)] = 0
    good[_lines_with_odd_quotes(text, text_quotes, text_end, syntax)] = False
    unclosed = _unclosed(block, quotes, text, text_quotes, delimiters, syntax)
    return Lines(start, stop, end, good, np.zeros(len(end), np.bool_), blank, keep, widths, unclosed)


def _unclosed(
    block: Bytes, quotes: Quotes, text: Bytes, text_quotes: Quotes, delimiters: Places, syntax: Syntax
) -> Places:
    """Return for each line whose only quote opens a cell the number of that cell, from 1; 0 for all other lines.

    The quote counts as not closed if the next one, in a later line, is followed by text. `delimiters` and
    `text_quotes` are offsets in `text`, the block without padding.
    """
    assert quotes.ends is not None
    assert text_quotes.ends is not None
    cells = np.zeros(len(quotes.ends), np.int64)
    places, line = quotes.places, quotes.lines
    if len(places) < 2 or syntax.quote != b'"' or syntax.escape:
        return cells
    is_alone = (np.diff(line, prepend=-1) > 0) & (np.diff(line, append=line[-1]) > 0)
    nth = np.flatnonzero(is_alone)
    after = np.minimum(places[nth + 1] + 1, len(block) - 1)
    blanks = syntax.blanks.narrow + WIDE_LEADS
    may_close = structure.is_any(block[after], syntax.quote + syntax.delimiter + blanks + b"\r\n")
    nth = nth[~may_close]
    at, begin = text_quotes.places[nth], structure.starts(text_quotes.ends)[line[nth]]
    opens = (at == begin) | (text[at - 1] == syntax.delimiter[0])
    before = np.searchsorted(delimiters, [begin, at])
    cells[line[nth[opens]]] = (before[1] - before[0] + 1)[opens]
    return cells


def _lines_with_odd_quotes(text: Bytes, quotes: Quotes, end: Places, syntax: Syntax) -> Places:
    if not len(quotes.places):
        return quotes.places
    wrong = structure.irregular_quotes(text, quotes, syntax.delimiter[0], syntax.quote[0])
    return np.concatenate([np.flatnonzero(quotes.unpaired), structure.per_line(wrong, end)])


def _odd_lines(
    window: Window, plan: Plan, block: Bytes, start: Places, stop: Places, end: Places
) -> list[Places]:
    """Return the lines with escapes, lines that are too long, and repeated headers."""
    odd = [structure.per_line(structure.all_of(block, plan.syntax.escape), end)]
    odd.append(np.flatnonzero(stop - start > min(plan.limits.cell_bytes, plan.limits.row_bytes)))
    data, base = window.data, window.start
    if plan.header:
        for header in (plan.header, BYTE_ORDER_MARK + plan.header) if window.has_mark else (plan.header,):
            same = np.flatnonzero(stop - start == len(header))
            odd.append(_chosen(same, [data.startswith(header, base + int(start[i])) for i in same]))
    return odd


def _chosen(places: Places, choice: Sequence[bool]) -> Places:
    return places[np.array(choice, np.bool_)]


def _places_not_utf8(window: Window, starts: Places) -> Places:
    """Return the offset of the first byte in each line that is not UTF-8.

    Many lines are decoded together; after an error, decoding continues at the line's end.
    """
    data, base = window.data, window.start
    places: list[int] = []
    edges = [*(starts[::_LINES_AT_ONCE] + base).tolist(), window.stop]
    for at, stop in pairwise(edges):
        while at >= 0:
            try:
                data[at:stop].decode("utf-8")
                break
            except UnicodeDecodeError as error:
                places.append(at + error.start - base)
                ends = data.find(b"\n", places[-1] + base, stop), data.find(b"\r", places[-1] + base, stop)
                at = min(ends) if min(ends) >= 0 else max(ends)
    return np.array(places, np.int64)
