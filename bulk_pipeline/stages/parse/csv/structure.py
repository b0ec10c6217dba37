"""Finds records, cells and quotes in a block of text with whole-array operations.

All functions work on bytes as NumPy uint8 and know nothing about columns. A mask is as long as its block; places are
offsets in it.
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
    """The bytes of a block that belong to blanks: the values of `narrow` blanks and the places of `wide` ones."""

    narrow: bytes
    wide: Places

    def before(self, size: int) -> "BlankBytes":
        """Return the blank bytes of the first `size` bytes."""
        return BlankBytes(self.narrow, self.wide[self.wide < size])

    def places(self, block: Bytes) -> Places:
        narrow = all_of(block, self.narrow)
        return np.sort(np.concatenate([narrow, self.wide])) if len(self.wide) else narrow

    def begin(self, block: Bytes) -> bool:
        """Return True if the block begins with a blank."""
        return bool(block[0] in self.narrow or (len(self.wide) and self.wide[0] == 0))

    def beside_any(self, block: Bytes, values: bytes) -> Places:
        """Return the places of the values, none of which is a blank, that have a blank before or after them.

        Works in passes over the whole block, since values are many and few of them are near a blank.
        """
        may_be = block <= max(self.narrow)
        may_be[self.wide] = True
        near = np.zeros(len(block), np.bool_)
        near[1:] = may_be[:-1]
        near[:-1] |= may_be[1:]
        near &= is_any(block, values)
        return self.beside(block, np.flatnonzero(near))

    def beside(self, block: Bytes, places: Places) -> Places:
        """Return the places that have a blank before or after them."""
        near = np.zeros(len(places), np.bool_)
        for at in (np.maximum(places - 1, 0), np.minimum(places + 1, len(block) - 1)):
            near |= is_any(block[at], self.narrow)
            if len(self.wide):
                near |= self.wide[np.minimum(np.searchsorted(self.wide, at), len(self.wide) - 1)] == at
        return places[near]


@dataclass(frozen=True)
class Quotes:
    """Quotes paired from the start of the block or, with the `ends` of lines, from the start of each line."""

    places: Places
    ends: Places | None = None

    def outside(self, places: Places) -> Places:
        """Return the places, given in order, that are not between quotes."""
        return places[self.are_outside(places)]

    def are_outside(self, places: Places) -> Mask:
        """Return a mask of the places, given in order, that are not between quotes; a closing quote is outside."""
        if not len(self.places):
            return np.ones(len(places), np.bool_)
        last = np.searchsorted(self.places, places) - 1
        if self.ends is None:  # without the mask of all quotes, of which there are many more than places
            return last % 2 == 1
        inside = self.opens[last] & (last >= 0)
        inside &= places <= self.ends[self.lines[last]]
        return ~inside

    @cached_property
    def opens(self) -> Mask:
        """A mask of the quotes that are the first of a pair."""
        numbers = np.arange(len(self.places))
        if self.ends is not None:
            numbers -= np.searchsorted(self.lines, self.lines)
        return numbers % 2 == 0

    @cached_property
    def lines(self) -> Places:
        """The index of each quote's line; needs `ends`."""
        assert self.ends is not None
        return per_line(self.places, self.ends)

    @cached_property
    def unpaired(self) -> Mask:
        """A mask of the lines with an odd number of quotes; needs `ends`."""
        assert self.ends is not None
        return np.bincount(self.lines, minlength=len(self.ends)) % 2 == 1


def line_ends(block: Bytes) -> Mask:
    """Return a mask of the last byte of each physical line: LF, or CR without LF after it."""
    ends = block == _LF
    lone = block == _CR
    lone[:-1] &= ~ends[1:]
    return ends | lone


def stops(block: Bytes, ends: Places) -> Places:
    """Return where the text of each line stops, before its LF, CR or CRLF."""
    crlf = (block[ends] == _LF) & (ends > 0) & (block[ends - 1] == _CR)
    return ends - crlf


def starts(ends: Places) -> Places:
    return np.concatenate([np.zeros(min(1, len(ends)), np.int64), ends[:-1] + 1])


def all_of(block: Bytes, values: bytes) -> Places:
    """Return the places of the values."""
    return np.flatnonzero(is_any(block, values)) if values else np.empty(0, np.int64)


def is_any(block: Bytes, values: bytes) -> Mask:
    mask = block == values[0]
    for value in values[1:]:
        mask |= block == value
    return mask


def without_padding(
    block: Bytes, ends: Places, quotes: Quotes, delimiter: bytes, blanks: BlankBytes
) -> Mask | None:
    """Return a mask of the bytes that are not blanks around cells, or None if there are no such blanks, as is usual.

    The last of the line `ends` is the end of the block. Blanks between the cells of a line with unpaired quotes do not
    count, since it is no regular record.
    """
    between = quotes.outside(blanks.beside_any(block, delimiter + b"\r"))
    if quotes.ends is not None:
        between = between[~quotes.unpaired[per_line(between, ends)]]
    if not (blanks.begin(block) or len(blanks.beside(block, ends)) or len(between)):
        return None
    places = quotes.outside(blanks.places(block))
    if not len(places):  # the only blank is inside a quote that is not closed
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
    """Return the places after removal of the bytes that are not in `keep`."""
    return places - np.searchsorted(np.flatnonzero(~keep), places)


def stretches(block: Bytes, starts: Places, stops: Places) -> Bytes:
    """Return the bytes from each start to its stop, concatenated; the stretches ascend and do not overlap."""
    first, last = int(starts[0]), int(stops[-1])
    gaps, lengths = stops[:-1], starts[1:] - stops[:-1]
    before = np.cumsum(lengths) - lengths
    keep = np.ones(last - first, np.bool_)
    keep[np.repeat(gaps - first - before, lengths) + np.arange(lengths.sum())] = False
    return block[first:last][keep]


def irregular_quotes(block: Bytes, quotes: Quotes, delimiter: int, quote: int) -> Places:
    """Return the quotes at positions where RFC 4180 allows none."""
    allowed = np.zeros(256, np.bool_)
    allowed[[delimiter, quote, _LF, _CR]] = True
    last = len(block) - 1
    if quotes.ends is None:  # they alternate
        opening, closing = quotes.places[0::2], quotes.places[1::2]
    else:
        opening, closing = quotes.places[quotes.opens], quotes.places[~quotes.opens]
    before = allowed[block[np.maximum(opening - 1, 0)]] | (opening == 0)
    after = allowed[block[np.minimum(closing + 1, last)]] | (closing == last)
    return np.sort(np.concatenate([opening[~before], closing[~after]]))


def per_line(places: Places, ends: Places) -> Places:
    """Return the index of each place's line."""
    return np.searchsorted(ends, places)
