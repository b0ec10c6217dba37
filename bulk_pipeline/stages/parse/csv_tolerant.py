"""Reads one delimited record at a time, byte by byte where it must: the rules for whatever is not perfectly
regular.

What costs a row, and why (DESIGN §4): a quoted cell that is not closed or is followed by text, a width that
is not the header's, and an unquoted cell with a quote too many: a quote was lost or strayed, and nobody can
say which. Pairs of quotes inside an unquoted cell are text (`["a"]` in a file with tabs). After a row whose
quotes do not add up, reading goes on at the next physical line that is a whole record by itself.
"""

import re
from dataclasses import dataclass

from bulk_pipeline.stages.parse.csv_plan import Plan

SWALLOWED_LINES = 100
"""How many lines after a broken quote may belong to its row; text that long was never one cell."""

_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Record:
    """One record: `cells`, or the `problem` that cost it. It ends before `end`; its bytes stop at `stop`."""

    cells: list[bytes | None]
    problem: str | None
    stop: int
    end: int


class MoreNeeded(Exception):  # not an error: the buffer ends before the record does
    """The record is not complete in the buffer, and the file goes on."""


class Reader:
    """Reads records out of `data`; with `final`, nothing follows it."""

    def __init__(self, data: bytes, plan: Plan, final: bool) -> None:
        self._data = data
        self._plan = plan
        self._final = final
        syntax, limits = plan.syntax, plan.limits
        self._delimiter, self._quote, self._escape = syntax.delimiter, syntax.quote, syntax.escape
        self._blanks = syntax.blanks
        self._strict_quotes = syntax.quote != b"'"  # an apostrophe in a word is not a lost quote
        self._cell_limit, self._byte_limit = limits.cell_bytes, limits.record_bytes
        self._line_limit = limits.record_lines
        self._found = {b"\n": (-1, -1), b"\r": (-1, -1)}

    def line(self, start: int) -> tuple[int, int]:
        """Where the physical line at `start` stops, and where the next one starts."""
        size = len(self._data)
        feed, back = self._next(b"\n", start), self._next(b"\r", start)
        if feed < back:
            return feed, feed + 1
        if back < size and (back + 1 < size or self._final):
            return back, back + (2 if self._data.startswith(b"\n", back + 1) else 1)
        if not self._final and size - start <= self._byte_limit:
            raise MoreNeeded
        return size, size

    def record(self, start: int) -> Record:
        """The record at `start`, which is at a line's start and not blank."""
        stop, end = self.line(start)
        if self._data[start:stop] == self._plan.header:
            return Record([], "the header is repeated here", stop, end)
        try:
            cells, after = self._cells(start, stop, None)
        except _BrokenError as broken:
            return self._broken(start, stop, end, str(broken))
        if after > stop:  # a quoted cell went on over lines
            return self._long(start, stop, end, cells, after)
        return Record(cells, self._wrong_width(cells), stop, end)

    def loose(self, start: int) -> tuple[list[bytes | None] | None, int, int]:
        """The cells at `start` whatever their number, None if their quotes do not add up; stop and end as
        in `Record`."""
        stop, end = self.line(start)
        try:
            cells, after = self._cells(start, stop, None)
        except _BrokenError:
            return None, stop, end
        return (cells, *self.line(after)) if after > stop else (cells, stop, end)

    def alone(self, start: int) -> bool:
        """Whether the physical line at `start` is a whole record of the right width by itself."""
        stop, _ = self.line(start)
        try:
            cells, _ = self._cells(start, stop, stop)
        except _BrokenError:
            return False
        return len(cells) == self._plan.width

    def _next(self, byte: bytes, start: int) -> int:
        """Where `byte` stands next; remembered, because one of the two may be rare or absent."""
        since, at = self._found[byte]
        if not since <= start <= at:
            at = self._data.find(byte, start)
            at = len(self._data) if at < 0 else at
            self._found[byte] = (start, at)
        return at

    def _long(self, start: int, stop: int, end: int, cells: list[bytes | None], after: int) -> Record:
        long_stop, long_end = self.line(after)
        problem = self._wrong_width(cells)
        if problem is None:
            return Record(cells, None, long_stop, long_end)
        lines = len(_LINE_END.findall(self._data, start, long_stop)) + 1
        problem = f"a quoted cell runs over {lines} lines and leaves a row that {problem}"
        return self._resume(start, stop, end, problem, long_end)

    def _broken(self, start: int, stop: int, end: int, problem: str) -> Record:
        balanced = self._data.count(self._quote, start, stop) % 2 == 0
        return Record([], problem, stop, end) if balanced else self._resume(start, stop, end, problem, None)

    def _resume(self, start: int, stop: int, end: int, problem: str, until: int | None) -> Record:
        """The malformed record ends before the next line that is a record by itself, or before `until`."""
        last_stop, next_start, lines = stop, end, 0
        while next_start < len(self._data) or not self._final:
            if next_start == until or self.alone(next_start):
                return Record([], problem, last_stop, next_start)
            if lines == SWALLOWED_LINES:
                return Record([], problem, stop, end)
            last_stop, next_start = self.line(next_start)
            lines += 1
        return Record([], problem, last_stop, next_start)

    def _cells(self, start: int, stop: int, bound: int | None) -> tuple[list[bytes | None], int]:
        """The cells from `start`, and where the last one ended. Quoted cells may cross lines unless
        `bound`."""
        data, delimiter, quote = self._data, self._delimiter, self._quote
        if not self._escape and (not quote or data.find(quote, start, stop) < 0):
            return [self._unquoted(text, i) for i, text in enumerate(data[start:stop].split(delimiter))], stop
        cells: list[bytes | None] = []
        at, line_stop = start, stop
        while True:
            first = self._skip_blanks(at, line_stop)
            if quote and data.startswith(quote, first) and first < line_stop:
                text, at = self._quoted(first + len(quote), start, len(cells), bound)
                cells.append(text)
                if at > line_stop:
                    line_stop, _ = self.line(at)
                at = self._skip_blanks(at, line_stop)
                if at < line_stop and not data.startswith(delimiter, at):
                    raise _BrokenError(self._after_quote(len(cells) - 1, crossed=line_stop > stop))
            else:
                text, at = self._until_delimiter(at, line_stop)
                cells.append(self._unquoted(text, len(cells)))
            if at >= line_stop:
                return cells, at
            at += len(delimiter)

    def _after_quote(self, cell: int, crossed: bool) -> str:
        label = self._plan.label(cell)
        return (
            f"has a quote in {label} that is not closed"
            if crossed
            else f"has text after the closing quote of {label}"
        )

    def _unquoted(self, text: bytes, cell: int) -> bytes | None:
        if self._strict_quotes and self._quote and text.count(self._quote) % 2:
            raise _BrokenError(f"has a quote inside the unquoted {self._plan.label(cell)}")
        self._check_size(text, cell)
        if self._escape and self._escape in text:
            text = self._unescaped(text)
        return text.strip(self._blanks) or None

    def _until_delimiter(self, at: int, stop: int) -> tuple[bytes, int]:
        data, search = self._data, at
        while (found := data.find(self._delimiter, search, stop)) >= 0:
            if not self._escape or not self._is_escaped(found, at):
                return data[at:found], found
            search = found + 1
        return data[at:stop], stop

    def _quoted(self, at: int, record: int, cell: int, bound: int | None) -> tuple[bytes, int]:
        """The text of the quoted cell whose content starts at `at`, and the place after its closing quote."""
        data, quote, search = self._data, self._quote, at
        limit = len(data) if bound is None else bound
        while True:
            found = data.find(quote, search, limit)
            if found < 0:
                self._unclosed(record, cell, bound)
            if self._escape and self._is_escaped(found, at):
                search = found + 1
            elif data.startswith(quote, found + 1) and found + 1 < limit:
                search = found + 2
            elif found + 1 == len(data) and bound is None and not self._final:
                raise MoreNeeded
            elif not self._strict_quotes and not self._may_close(found + 1):
                search = found + 1
            else:
                break
        text = data[at:found]
        self._check_size(text, cell)
        if found - record > self._byte_limit or text.count(b"\n") > self._line_limit:
            raise _BrokenError(
                f"has a quote in {self._plan.label(cell)} that is not closed within the limits"
            )
        text = text.replace(quote * 2, quote)
        return self._unescaped(text) if self._escape else text, found + 1

    def _may_close(self, at: int) -> bool:
        """Whether a cell may end at `at`; an apostrophe inside a word is not the end of it."""
        at = self._skip_blanks(at, len(self._data))
        return self._data[at : at + 1] in (b"", b"\r", b"\n") or self._data.startswith(self._delimiter, at)

    def _unclosed(self, record: int, cell: int, bound: int | None) -> None:
        size = len(self._data) - record
        within = size <= self._byte_limit and self._data.count(b"\n", record) <= self._line_limit
        if bound is None and not self._final and within:
            raise MoreNeeded
        raise _BrokenError(f"has a quote in {self._plan.label(cell)} that is not closed")

    def _is_escaped(self, at: int, start: int) -> bool:
        before = self._data[max(start, at - 64) : at]
        return (len(before) - len(before.rstrip(self._escape))) % 2 == 1

    def _unescaped(self, text: bytes) -> bytes:
        plain = re.escape(self._quote or b"\\") + b"|" + re.escape(self._delimiter) + rb"|\\|\r\n|\n|\r"
        return re.sub(rb"\\(" + plain + b")", rb"\1", text)

    def _skip_blanks(self, at: int, stop: int) -> int:
        while at < stop and self._data[at] in self._blanks:
            at += 1
        return at

    def _check_size(self, text: bytes, cell: int) -> None:
        if len(text) > self._cell_limit:
            raise _BrokenError(
                f"has {len(text):,} bytes in {self._plan.label(cell)}, the limit is {self._cell_limit:,}"
            )

    def _wrong_width(self, cells: list[bytes | None]) -> str | None:
        if len(cells) == self._plan.width:
            return None
        return f"has {len(cells)} cell{'s' if len(cells) != 1 else ''}, expected {self._plan.width}"


class _BrokenError(Exception):
    """The quotes of a record do not add up; the message completes "the row …"."""
