"""Finds lines, cells and closing quotes in a buffer, byte by byte; knows nothing about widths or columns.

A hostile file can open a quote in every line and close none. The scanner therefore remembers the places that it has
searched, and a search ends as soon as it reaches one of them.
"""

import re

import numpy as np

from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.csv.syntax import Syntax

Span = tuple[int, int, bool]
"""Start and end of a cell's text, and whether the cell is quoted."""

NOT_CLOSED = "a quote in {} that is not closed"
MEMORY_STEP = 64
_NEAR_BYTES = 16_384
"""Up to this many bytes, counting line ends is faster than a binary search among all of them."""
_DOUBLED = b'""'
_EMPTY_JSON_TEXT = re.compile(rb'(?<=[\[,:{ ])""(?=[\],:} ]|$)')
"""Two adjacent quotes that are a JSON value, as in `["",""]` of a tab-separated file."""


class MoreNeeded(Exception):  # not an error: the buffer ends before the record does
    """The record is not complete in the buffer, and the file continues."""


class Broken(Exception):  # not an error: the reader turns it into a failure of the record
    """A record's quotes do not pair up. `why` completes "the row has …"; `cell` counts from 0."""

    def __init__(self, cell: int, why: str) -> None:
        super().__init__(why)
        self.cell = cell
        self.why = why


class Scanner:
    """Scans `data`; `final` says that it ends with the file."""

    def __init__(self, data: bytes, syntax: Syntax, limits: Limits, final: bool) -> None:
        self._data = data
        self._final = final
        self._delimiter, self._quote, self._escape = syntax.delimiter, syntax.quote, syntax.escape
        self._blanks = syntax.blanks
        self._strict_quotes = syntax.quote != b"'"  # an apostrophe in a word is not a lost quote
        self._limits = limits
        self._next_found = {b"\n": (0, -1), b"\r": (0, -1)}
        self._visited: set[int] = set()
        self._verdict = -1
        self._feeds: np.ndarray | None = None

    def line(self, start: int) -> tuple[int, int]:
        """Return where the physical line at `start` stops, and where the next one starts."""
        size = len(self._data)
        feed, back = self._next(b"\n", start), self._next(b"\r", start)
        if feed < back:
            return feed, feed + 1
        if back < size and (back + 1 < size or self._final):
            return back, back + (2 if self._data.startswith(b"\n", back + 1) else 1)
        if not self._final and size - start <= self._limits.row_bytes:
            raise MoreNeeded
        return size, size

    def cells(self, start: int, stop: int, bound: int | None) -> tuple[list[Span], int]:
        """Return the cells from `start`, in a line that stops at `stop`, and where the last cell ends.

        Quoted cells may cross lines, but must end before `bound` if it is set. Raises `Broken` or `MoreNeeded`.
        """
        data, delimiter, quote = self._data, self._delimiter, self._quote
        found: list[Span] = []
        at, line_stop = start, stop
        while True:
            if len(found) == self._limits.columns:
                raise Broken(
                    len(found) - 1,
                    f"more than {len(found):,} cells: of columns, {self._limits.of('columns')}",
                )
            first = self._skip_blanks(at, line_stop)
            if quote and first < line_stop and data.startswith(quote, first):
                close = self._closing(first + 1, len(found), start, bound)
                found.append((first + 1, close, True))
                if close + 1 > line_stop:
                    line_stop, _ = self.line(close + 1)
                at = self._skip_blanks(close + 1, line_stop)
                if at < line_stop and not data.startswith(delimiter, at):
                    crossed = line_stop > stop
                    why = NOT_CLOSED if crossed else "text after the closing quote of {}"
                    raise Broken(len(found) - 1, why)
            else:
                end = self._end_of_unquoted(at, line_stop)
                if self._strict_quotes and quote and self._lost_quote(data[at:end]):
                    raise Broken(len(found), "a quote inside the unquoted {}")
                found.append((at, end, False))
                at = end
            if at >= line_stop:
                return found, at
            at += len(delimiter)

    def _lost_quote(self, cell: bytes) -> bool:
        """Return True if an unquoted cell has lost a quote: its quotes are odd in number, or it has a doubled one."""
        quotes = cell.count(self._quote)
        if quotes % 2:
            return True
        return quotes > 0 and _DOUBLED in _EMPTY_JSON_TEXT.sub(b"", cell)

    def _next(self, byte: bytes, start: int) -> int:
        """Return where `byte` stands next; cached, since LF or CR may be rare or absent."""
        since, at = self._next_found[byte]
        if start < since <= at:
            earlier = self._data.find(byte, start, since)
            return at if earlier < 0 else earlier
        if start > at or start < since:
            at = self._data.find(byte, start)
            at = len(self._data) if at < 0 else at
            self._next_found[byte] = (start, at)
        return at

    def _end_of_unquoted(self, at: int, stop: int) -> int:
        search = at
        while (found := self._data.find(self._delimiter, search, stop)) >= 0:
            if not self._escape or not self._is_escaped(found, at):
                return found
            search = found + 1
        return stop

    def _closing(self, at: int, cell: int, record: int, bound: int | None) -> int:
        """Return the place of the quote that closes the cell whose text begins at `at`."""
        close = self._search(at, len(self._data) if bound is None else bound, remember=bound is None)
        if close < 0 and bound is None and not self._final and self._may_go_on(record):
            raise MoreNeeded
        if (
            close < 0
            or close - record > self._limits.row_bytes
            or self._feeds_between(record, close) > self._limits.row_lines
        ):
            raise Broken(cell, NOT_CLOSED)
        return close

    def _search(self, at: int, limit: int, remember: bool) -> int:
        search, last = at, at
        visited = []
        while True:
            if remember:
                if search in self._visited:
                    break
                if search - last >= MEMORY_STEP:
                    visited.append(search)
                    last = search
            found = self._data.find(self._quote, search, limit)
            if found < 0 or not (step := self._steps_over(found, at, limit)):
                if remember:
                    self._visited, self._verdict = set(), found
                else:
                    return found
                break
            search = found + step
        self._visited.update(visited)
        return self._verdict

    def _steps_over(self, found: int, start: int, limit: int) -> int:
        """Return how many bytes to skip if the quote at `found` is text, or 0 if it closes the cell."""
        data = self._data
        if self._escape and self._is_escaped(found, start):
            return 1
        if found + 1 < limit and data.startswith(self._quote, found + 1):
            return 2
        if found + 1 == len(data) and not self._final:
            raise MoreNeeded
        return 0 if self._strict_quotes or self._may_close(found + 1) else 1

    def _may_close(self, at: int) -> bool:
        """Return True if a cell may end at `at`; an apostrophe inside a word does not end it."""
        at = self._skip_blanks(at, len(self._data))
        return self._data[at : at + 1] in (b"", b"\r", b"\n") or self._data.startswith(self._delimiter, at)

    def _may_go_on(self, record: int) -> bool:
        size = len(self._data) - record
        lines = self._feeds_between(record, len(self._data))
        return size <= self._limits.row_bytes and lines <= self._limits.row_lines

    def _feeds_between(self, start: int, end: int) -> int:
        if end - start <= self._limits.row_lines:
            return 0  # fewer bytes than a row may have lines
        if end - start <= _NEAR_BYTES:
            return self._data.count(b"\n", start, end)
        if self._feeds is None:
            self._feeds = np.flatnonzero(np.frombuffer(self._data, np.uint8) == ord("\n"))
        return int(np.searchsorted(self._feeds, end) - np.searchsorted(self._feeds, start))

    def _is_escaped(self, at: int, start: int) -> bool:
        before = at
        while before > start and self._data.startswith(self._escape, before - 1):
            before -= 1
        return (at - before) % 2 == 1

    def _skip_blanks(self, at: int, stop: int) -> int:
        return self._blanks.skip(self._data, at, stop)
