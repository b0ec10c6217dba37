"""Finds blanks around the cells of a delimited file in UTF-8: narrow ones, of one byte, and wide ones, of more.

Wide blanks begin with one of a few bytes that most texts do not have, so that searching for them costs next to nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bulk_pipeline.schema import invisible

_WIDE = sorted(character.encode() for character in invisible.BLANKS if ord(character) >= 0x80)
_WIDE_SET = frozenset(_WIDE)
_PREFIXES = {
    lead: sorted({wide[:2] for wide in _WIDE if wide[:1] == lead})
    for lead in sorted({wide[:1] for wide in _WIDE})
}
_CODES = {size: np.array([int.from_bytes(wide) for wide in _WIDE if len(wide) == size]) for size in (2, 3)}
WIDE_LEADS = b"".join(_PREFIXES)
"""The first bytes of wide blanks."""


@dataclass(frozen=True)
class Blanks:
    """The blanks of a file: all wide ones, and `narrow`, the blanks of one byte. Line ends are not among them."""

    narrow: bytes

    @property
    def pattern(self) -> bytes:
        """A regular expression for any number of blanks; its quantifiers are possessive."""
        return b"(?:[%b]|%b)*+" % (re.escape(self.narrow), b"|".join(_WIDE))

    @cached_property
    def _leading(self) -> re.Pattern[bytes]:
        return re.compile(self.pattern)

    @cached_property
    def _first(self) -> bytes:
        return self.narrow + WIDE_LEADS

    def skip(self, data: bytes, at: int, stop: int) -> int:
        """Return the offset of the first byte from `at` on that belongs to no blank, at most `stop`."""
        if at >= stop or data[at] not in self._first:
            return at
        match = self._leading.match(data, at, stop)
        assert match is not None  # it may be empty
        return match.end()

    def strip(self, cell: bytes) -> bytes:
        """Return the cell without blanks around it."""
        cell = cell.strip(self.narrow)
        if not cell or (cell[0] < 0x80 and cell[-1] < 0x80):
            return cell
        begin, end = self.skip(cell, 0, len(cell)), len(cell)
        while end > begin:
            if cell[end - 1] in self.narrow:
                end -= 1
            elif (size := _wide_before(cell, begin, end)) > 0:
                end -= size
            else:
                break
        return cell[begin:end]


def _wide_before(cell: bytes, begin: int, end: int) -> int:
    """Return the number of bytes of the wide blank that ends at `end`, or 0 if there is none."""
    for size in (2, 3):
        if end - size >= begin and cell[end - size : end] in _WIDE_SET:
            return size
    return 0


def wide_places(data: bytes, start: int, stop: int) -> npt.NDArray[np.int64]:
    """Return the offsets in `data[start:stop]` of the bytes that belong to wide blanks."""
    block = np.frombuffer(data, np.uint8, stop - start, start)
    places = list(_wide_places(data, start, stop, block))
    return np.sort(np.concatenate(places)) if places else np.empty(0, np.int64)


def _wide_places(
    data: bytes, start: int, stop: int, block: npt.NDArray[np.uint8]
) -> Iterator[npt.NDArray[np.int64]]:
    for lead, prefixes in _PREFIXES.items():
        if data.find(lead, start, stop) < 0 or all(data.find(prefix, start, stop) < 0 for prefix in prefixes):
            continue
        size = 2 if lead[0] < 0xE0 else 3
        at = np.flatnonzero(block[: max(0, len(block) - size + 1)] == lead[0])
        at = at[np.isin(block[at + 1], [prefix[1] for prefix in prefixes])]
        code = np.zeros(len(at), np.int64)
        for place in range(size):
            code = code << 8 | block[at + place]
        at = at[np.isin(code, _CODES[size])]
        yield from (at + place for place in range(size))
