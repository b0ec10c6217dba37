"""Finds the largest number of values in a row from Parquet's repetition levels.

Level 0 begins a row. Levels are stored as runs of one level and of bit-packed levels.
Source: https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE
"""

import numpy as np

from bulk_pipeline.stages.parse.parquet.thrift import varint


class RowLengths:
    """Takes the levels of one page after the other; `most` is the largest number of values in a row so far."""

    def __init__(self, max_level: int) -> None:
        self.most = 1
        self._bits = max_level.bit_length()
        self._current = 0

    def add(self, levels: bytes, values: int) -> None:
        """Add the levels of a page. Raises `IndexError` if there are fewer levels than values."""
        at, left = 0, values
        while left > 0:
            head, at = varint(levels, at)
            if head & 1:
                size = (head >> 1) * self._bits
                count = min(left, (head >> 1) * 8)
                self._packed(levels[at : at + size], count)
                at += size
            else:
                size = (self._bits + 7) // 8
                count = min(left, head >> 1)
                self._run(any(levels[at : at + size]), count)
                at += size
            if count == 0:
                raise IndexError("an empty run of levels")
            left -= count

    def unknown(self, values: int) -> None:
        """Add a page with unknown levels as if all its values were in one row."""
        self._run(True, values)

    def _run(self, continues: bool, count: int) -> None:
        self._current = self._current + count if continues else 1
        self.most = max(self.most, self._current)

    def _packed(self, data: bytes, count: int) -> None:
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        whole = len(bits) // self._bits * self._bits
        levels = bits[:whole].reshape(-1, self._bits)[:count]
        begins = np.flatnonzero(levels.max(axis=1) == 0)
        if len(levels) < count:
            raise IndexError("fewer levels than values")
        if not len(begins):
            self._run(True, count)
            return
        self._run(True, int(begins[0]))
        longest = int(np.diff(begins, append=count).max())
        self._current = count - int(begins[-1])
        self.most = max(self.most, longest)
