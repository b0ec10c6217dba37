"""Where records, cells and quotes stand in a block of text, found with whole-array operations.

Everything here works on bytes as numpy uint8 and knows nothing about columns. A mask is as long as its block.
"""

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]

_LF, _CR = 10, 13


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


def inside(block: Bytes, quote: int) -> Mask:
    """Bytes between quotes, the opening one included, if quotes come in pairs from the block's start on."""
    return np.bitwise_xor.accumulate((block == quote).view(np.uint8)).view(np.bool_)


def inside_by_line(block: Bytes, quote: int, ends: Places) -> Mask:
    """The same, with every physical line beginning outside quotes."""
    running = np.bitwise_xor.accumulate((block == quote).view(np.uint8))
    before = np.concatenate([np.zeros(1, np.uint8), running[ends[:-1]]])
    return (running ^ np.repeat(before, np.diff(ends, prepend=-1))).view(np.bool_)


def is_any(block: Bytes, values: bytes) -> Mask:
    found = block == values[0]
    for value in values[1:]:
        found |= block == value
    return found


def without_padding(blank: Mask, structure: Mask) -> Mask | None:
    """What is left when blanks beside structure are taken out; None where there are none."""
    places = np.flatnonzero(blank)
    if not len(places):
        return None
    opens = np.diff(places, prepend=-2) > 1
    begin, end = places[opens], places[np.append(opens[1:], True)] + 1
    last = len(blank) - 1
    touches = (begin == 0) | (end > last) | structure[begin - 1] | structure[np.minimum(end, last)]
    if not touches.any():
        return None
    keep = np.ones(len(blank), np.bool_)
    keep[places[np.repeat(touches, end - begin)]] = False
    return keep


def stretches(block: Bytes, starts: Places, stops: Places) -> Bytes:
    """The bytes from each start to its stop, one stretch after the other; they ascend and do not overlap."""
    first, last = int(starts[0]), int(stops[-1])
    gaps, lengths = stops[:-1], starts[1:] - stops[:-1]
    before = np.cumsum(lengths) - lengths
    keep = np.ones(last - first, np.bool_)
    keep[np.repeat(gaps - first - before, lengths) + np.arange(lengths.sum())] = False
    return block[first:last][keep]


def irregular_quotes(block: Bytes, places: Places, opens: Mask, delimiter: int, quote: int) -> Places:
    """Those of the quotes at `places` that stand where RFC 4180 allows none."""
    allowed = np.zeros(256, np.bool_)
    allowed[[delimiter, quote, _LF, _CR]] = True
    last = len(block) - 1
    before = allowed[block[np.maximum(places - 1, 0)]] | (places == 0)
    after = allowed[block[np.minimum(places + 1, last)]] | (places == last)
    return places[~np.where(opens, before, after)]


def per_line(places: Places, ends: Places) -> Places:
    """The index of the line that each place is in."""
    return np.searchsorted(ends, places)
