"""Where records, cells and quotes stand in a block of text, found with whole-array operations.

Everything here works on bytes as numpy uint8 and knows nothing about columns. A mask is as long as its block.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]

_LF, _CR = 10, 13


@dataclass(frozen=True)
class BlankBytes:
    """The bytes of a block that belong to blanks: those of `narrow` ones, and at the places of `wide` ones."""

    narrow: bytes
    wide: Places

    def before(self, size: int) -> "BlankBytes":
        """Those of the first bytes."""
        return BlankBytes(self.narrow, self.wide[self.wide < size])

    def places(self, block: Bytes) -> Places:
        narrow = all_of(block, self.narrow)
        return np.sort(np.concatenate([narrow, self.wide])) if len(self.wide) else narrow

    def begin(self, block: Bytes) -> bool:
        """Whether the block begins with one."""
        return bool(block[0] in self.narrow or (len(self.wide) and self.wide[0] == 0))

    def beside(self, block: Bytes, places: Places) -> Places:
        """Those of the places that have such a byte before or behind them."""
        near = np.zeros(len(places), np.bool_)
        for at in (np.maximum(places - 1, 0), np.minimum(places + 1, len(block) - 1)):
            near |= is_any(block[at], self.narrow)
            if len(self.wide):
                near |= self.wide[np.minimum(np.searchsorted(self.wide, at), len(self.wide) - 1)] == at
        return places[near]


@dataclass(frozen=True)
class Quotes:
    """Quotes that come in pairs from the block's start on or, with the `ends` of lines, from the start of each."""

    places: Places
    ends: Places | None = None

    def outside(self, places: Places) -> Places:
        """Those of the places, in order, that are not between quotes."""
        return places[self.are_outside(places)]

    def are_outside(self, places: Places) -> Mask:
        """Whether the places, in order, are not between quotes; a closing quote is not."""
        if not len(self.places):
            return np.ones(len(places), np.bool_)
        last = np.searchsorted(self.places, places) - 1
        inside = self.opens[last] & (last >= 0)
        if self.ends is not None:
            inside &= places <= self.ends[self.lines[last]]
        return ~inside

    @cached_property
    def opens(self) -> Mask:
        """Whether each is the first of a pair."""
        numbers = np.arange(len(self.places))
        if self.ends is not None:
            numbers -= np.searchsorted(self.lines, self.lines)
        return numbers % 2 == 0

    @cached_property
    def lines(self) -> Places:
        """The index of the line that each is in; only with `ends`."""
        assert self.ends is not None
        return per_line(self.places, self.ends)

    @cached_property
    def unpaired(self) -> Mask:
        """Which lines have an odd number of them; only with `ends`."""
        assert self.ends is not None
        return np.bincount(self.lines, minlength=len(self.ends)) % 2 == 1


def line_ends(block: Bytes) -> Mask:
    """The last byte of each physical line: LF, or a CR that no LF follows."""
    ends = block == _LF
    lone = block == _CR
    lone[:-1] &= ~ends[1:]
    return ends | lone


def stops(block: Bytes, ends: Places) -> Places:
    """Where the text of each line stops, before its LF, CR or CRLF."""
    crlf = (block[ends] == _LF) & (ends > 0) & (block[ends - 1] == _CR)
    return ends - crlf


def starts(ends: Places) -> Places:
    return np.concatenate([np.zeros(min(1, len(ends)), np.int64), ends[:-1] + 1])


def all_of(block: Bytes, values: bytes) -> Places:
    """Where one of the values stands."""
    return np.flatnonzero(is_any(block, values)) if values else np.empty(0, np.int64)


def is_any(block: Bytes, values: bytes) -> Mask:
    found = block == values[0]
    for value in values[1:]:
        found |= block == value
    return found


def without_padding(
    block: Bytes, ends: Places, quotes: Quotes, delimiter: bytes, blanks: BlankBytes
) -> Mask | None:
    """The bytes that are left without blanks around cells; None where there are none, as is usual.

    `ends`: of lines, the last of which ends the block. Whether there are any between the cells of a line whose quotes
    do not come in pairs does not matter: it is no regular record.
    """
    between = quotes.outside(blanks.beside(block, all_of(block, delimiter + b"\r")))
    if quotes.ends is not None:
        between = between[~quotes.unpaired[per_line(between, ends)]]
    if not (blanks.begin(block) or len(blanks.beside(block, ends)) or len(between)):
        return None
    places = quotes.outside(blanks.places(block))
    if not len(places):  # a blank before the end of a line whose quote is not closed
        return None
    opens = np.diff(places, prepend=-2) > 1
    begin, end = places[opens], places[np.append(opens[1:], True)] + 1
    last = len(block) - 1
    is_end = np.zeros(len(block), np.bool_)
    is_end[ends] = True

    def are_edges(at: Places) -> Mask:
        return is_end[at] | (is_any(block[at], delimiter + b"\r") & quotes.are_outside(at))

    touches = (
        (begin == 0) | (end > last) | are_edges(np.maximum(begin - 1, 0)) | are_edges(np.minimum(end, last))
    )
    keep = np.ones(len(block), np.bool_)
    keep[places[np.repeat(touches, end - begin)]] = False
    return keep


def moved(places: Places, keep: Mask) -> Places:
    """Where the bytes at the places are, once those that are not kept are gone."""
    return places - np.searchsorted(np.flatnonzero(~keep), places)


def stretches(block: Bytes, starts: Places, stops: Places) -> Bytes:
    """The bytes from each start to its stop, one stretch after the other; they ascend and do not overlap."""
    first, last = int(starts[0]), int(stops[-1])
    gaps, lengths = stops[:-1], starts[1:] - stops[:-1]
    before = np.cumsum(lengths) - lengths
    keep = np.ones(last - first, np.bool_)
    keep[np.repeat(gaps - first - before, lengths) + np.arange(lengths.sum())] = False
    return block[first:last][keep]


def irregular_quotes(block: Bytes, quotes: Quotes, delimiter: int, quote: int) -> Places:
    """Those of the quotes that stand where RFC 4180 allows none."""
    places = quotes.places
    allowed = np.zeros(256, np.bool_)
    allowed[[delimiter, quote, _LF, _CR]] = True
    last = len(block) - 1
    before = allowed[block[np.maximum(places - 1, 0)]] | (places == 0)
    after = allowed[block[np.minimum(places + 1, last)]] | (places == last)
    return places[~np.where(quotes.opens, before, after)]


def per_line(places: Places, ends: Places) -> Places:
    """The index of the line that each place is in."""
    return np.searchsorted(ends, places)
