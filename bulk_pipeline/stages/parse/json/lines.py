"""Cuts a text of JSON objects into records.

Usually each line is an object. Objects may also share a line, span lines, be followed by commas, or follow record
separators (RFC 7464). Lines are checked one by one only if a block may have other lines than one object each. A broken
line is rejected alone.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.blocks import BLOCK_BYTES, MOST_LINES
from bulk_pipeline.stages.parse.json.bounds import (
    CutShortError,
    NotAValueError,
    PastBoundsError,
    Values,
    oversize,
)
from bulk_pipeline.stages.parse.json.text import compact
from bulk_pipeline.stages.parse.parsed import Notes

COMMAS = "objects are followed by commas: these were taken for separators"
_MOST_OPEN_BYTES = 8 << 20
_FIRST_WAIT = 0.5
"""Number of records, below 1, for which the slow search for a broken record's end is first skipped after it failed."""
_BLANKS = b" \t\r"
_BETWEEN = b" \t\r\n,\x1e"
_SEPARATORS = re.compile(r"[\s,\x1e]*")
_SIDE_BY_SIDE = re.compile(rb"\}[ \t\r,\x1e]*\{")


@dataclass(frozen=True)
class Records:
    """Records as written in the file, each on one line, and the numbers of the lines in which they begin."""

    raw: list[bytes]
    lines: list[int]


@dataclass(frozen=True)
class _Block:
    """Lines without their ends. `is_open`: the last line continues in the next block. `is_last`: no block follows."""

    lines: list[bytes]
    is_open: bool = False
    is_last: bool = False


def records(
    chunks: Iterable[bytes],
    line_end: bytes,
    limits: Limits,
    all_readable: Callable[[Sequence[bytes]], bool],
    notes: Notes,
) -> Iterator[Records]:
    """Yield the records of the text. `all_readable` returns True if all given lines are known to be good objects."""
    first, rest, cutter = 1, list[bytes](), _Cutter(notes, limits)
    is_open = False
    for block in _blocks(chunks, line_end):
        lines = _joined(rest, block.lines, is_open)
        raw, numbers = _filled(lines)
        if not block.is_open and (not raw or all_readable(raw) or not _is_odd(raw)):
            rest, is_open = [], False
            if raw:
                yield Records(raw, [first + i for i in numbers])
            first += len(lines)
            continue
        cut, stop = cutter.cut(lines, first, is_open=block.is_open, is_last=block.is_last)
        for start in range(0, len(cut.raw), MOST_LINES):
            part = slice(start, start + MOST_LINES)
            yield Records(cut.raw[part], cut.lines[part])
        first, rest, is_open = first + stop, lines[stop:], block.is_open
        if is_open and not rest:
            first -= 1  # the line continues
        if sum(map(len, rest)) > limits.row_bytes:
            raise FileError(
                FileErrorCode.TOO_LARGE,
                f"a line is longer than {limits.row_bytes:,} bytes, {limits.of('row_bytes')}",
            )


def _blocks(chunks: Iterable[bytes], line_end: bytes) -> Iterator[_Block]:
    parts: list[bytes] = []
    size, most = 0, BLOCK_BYTES
    for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size < most:
            continue
        *lines, rest = b"".join(parts).split(line_end)
        if lines:
            yield from _in_blocks(lines)
            parts, size, most = [rest], len(rest), BLOCK_BYTES
        else:
            yield _Block([rest], is_open=True)
            parts, size, most = [], 0, min(2 * most, _MOST_OPEN_BYTES)
    text = b"".join(parts)
    yield from _in_blocks(text.removesuffix(line_end).split(line_end) if text else [], is_last=True)


def _in_blocks(lines: list[bytes], *, is_last: bool = False) -> Iterator[_Block]:
    """Yield blocks of at most `MOST_LINES` lines, which bounds the memory for very short lines."""
    while len(lines) > MOST_LINES:
        yield _Block(lines[:MOST_LINES])
        lines = lines[MOST_LINES:]
    yield _Block(lines, is_last=is_last)


def _joined(rest: list[bytes], lines: list[bytes], is_open: bool) -> list[bytes]:
    if is_open and rest and lines:
        return [*rest[:-1], rest[-1] + lines[0], *lines[1:]]
    return rest + lines if rest else lines


def _filled(lines: Sequence[bytes]) -> tuple[list[bytes], list[int]]:
    """Return the lines that are not blank, without CR and record separators around them, and their indexes."""
    texts = [text.removesuffix(b"\r") for text in lines]
    if any(text[:1] == b"\x1e" for text in texts[:2]):
        texts = [text.lstrip(b"\x1e") for text in texts]
    numbers = [i for i, text in enumerate(texts) if text.strip(_BLANKS)]
    return texts if len(numbers) == len(texts) else [texts[i] for i in numbers], numbers


def _is_odd(raw: Sequence[bytes]) -> bool:
    """Return True if some line does not look like exactly one object."""
    text = b"\n".join(raw) + b"\n"
    block = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(block == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1])
    whole = bool((block[starts] == ord("{")).all() and (block[ends - 1] == ord("}")).all())
    return not whole or text.count(b"{") != text.count(b"}") or _SIDE_BY_SIDE.search(text) is not None


class _Cutter:
    """Cuts lines that are not one object each. The end of a record is first searched at the last record's length."""

    def __init__(self, notes: Notes, limits: Limits) -> None:
        self._notes = notes
        self._limits = limits
        self._usual = 2
        self._wait, self._next_wait = 0, _FIRST_WAIT
        self._raw: list[bytes] = []
        self._lines: list[int] = []

    def cut(self, lines: list[bytes], first: int, *, is_open: bool, is_last: bool) -> tuple[Records, int]:
        """Return the records, and the index of the first line that needs more text; `lines` then has its remainder."""
        self._raw, self._lines = [], []
        at = 0
        while at < len(lines):
            continues = is_open and at + 1 == len(lines)
            text = lines[at].strip(_BETWEEN if not continues else b" \t\r\n\x1e")
            if text and not (not continues and self._is_value(text)):
                rest = self._within(text, first + at, continues)
                if rest:
                    comma = b"," if b"," in lines[at][len(lines[at].rstrip(_BETWEEN)) :] else b""
                    lines[at] = rest if continues else _indented(lines[at], rest + comma)
                    after = self._over_lines(lines, at, first, is_last and not is_open)
                    if after is None:
                        break
                    at = after
                    continue
            elif text:
                self._add(text, first + at)
                if b"," in (lines[at].strip(_BLANKS)[:1], lines[at].strip(_BLANKS)[-1:]):
                    self._notes.warn(COMMAS)
            at += 1
        return Records(self._raw, self._lines), at

    def _add(self, raw: bytes, line: int) -> None:
        self._raw.append(raw)
        self._lines.append(line)

    def _is_value(self, text: bytes) -> bool:
        if oversize(text, self._limits):
            return False
        try:
            orjson.loads(text)
        except orjson.JSONDecodeError:
            return False
        return True

    def _within(self, text: bytes, line: int, continues: bool) -> bytes:
        """Add the records of one line; return the beginning of a record that may end in another line, or nothing."""
        decoded = text.decode("utf-8", "surrogateescape")
        values = Values(decoded, self._limits)
        at, size = 0, len(decoded)
        while at < size:
            begin = at
            try:
                value, at = values.read(at)
            except (CutShortError, NotAValueError) as error:
                if decoded[begin] == "{" and isinstance(error, CutShortError):
                    return _encoded(decoded[begin:])
                at = values.next_object(begin) if decoded[begin] == "{" else size
                if at == size and continues:
                    return _encoded(decoded[begin:])
            except PastBoundsError:
                if continues:
                    return _encoded(decoded[begin:])
                at = size
            else:
                after = _SEPARATORS.match(decoded, at)
                end = at if after is None else after.end()
                if end == size or (isinstance(value, dict) and decoded[end] == "{"):
                    self._add(_encoded(decoded[begin:at]), line)
                    if "," in decoded[at:end]:
                        self._notes.warn(COMMAS)
                    at = end
                    continue
                at = size
            self._add(_encoded(decoded[begin:at]).rstrip(_BETWEEN), line)
        return b""

    def _over_lines(self, lines: list[bytes], at: int, first: int, is_last: bool) -> int | None:
        """Add the record that begins in line `at`; return the index of the next line, whose rest stays in `lines`.

        None if the record needs more text.
        """
        count = self._usual
        self._wait -= 1
        while self._wait < 0:
            text = b"\n".join(lines[at : at + count]).decode("utf-8", "surrogateescape")
            begin = len(text) - len(text.lstrip())
            try:
                _, end = Values(text, self._limits).read(begin)
            except CutShortError:
                if at + count < len(lines):
                    count *= 4
                    continue
                if not is_last:
                    return None
                break
            except NotAValueError:
                break
            except PastBoundsError as error:
                if at + 1 == len(lines) and not is_last:
                    return None  # one line, which continues
                raise FileError(
                    FileErrorCode.TOO_LARGE, f"the object that begins in line {first + at} {error}"
                ) from None
            self._wait, self._next_wait = 0, _FIRST_WAIT
            return self._take(lines, at, first, text, begin, end)
        if self._wait < 0:
            self._wait, self._next_wait = int(self._next_wait), min(1024.0, 1.1 * self._next_wait)
        broken = _broken_lines(lines, at)
        self._add(compact(b"\n".join(lines[at : at + broken])).strip(_BETWEEN), first + at)
        return at + broken

    def _take(self, lines: list[bytes], at: int, first: int, text: str, begin: int, end: int) -> int:
        stop = at + text.count("\n", 0, end)
        self._usual = max(2, stop + 1 - at)
        line_end = text.find("\n", end)
        left = text[end : line_end if line_end >= 0 else len(text)]
        rest = left.strip(" \t\r,\x1e")
        if "," in left and (not rest or rest[0] == "{"):
            self._notes.warn(COMMAS)
        if rest and rest[0] != "{":
            end, rest = end + len(left), ""
        self._add(compact(_encoded(text[begin:end])).strip(_BLANKS), first + at)
        lines[stop] = _encoded(rest)
        return stop


def _broken_lines(lines: Sequence[bytes], at: int) -> int:
    """Return the number of lines of a broken record: lines indented more than the first, and a closing bracket.

    A record without indentation that begins with a bracket alone extends to the next opening bracket.
    """
    depth, is_alone = _indent(lines[at]), lines[at].strip(_BLANKS) == b"{"
    for count in range(1, len(lines) - at):
        line = lines[at + count]
        text = line.strip(_BLANKS)
        if text.startswith(b"}") and _indent(line) == depth:
            return count + 1
        if text and _indent(line) <= depth and (not is_alone or text.startswith(b"{")):
            return count
    return len(lines) - at


def _indent(line: bytes) -> int:
    return len(line) - len(line.lstrip(b" \t"))


def _indented(line: bytes, rest: bytes) -> bytes:
    return line[: _indent(line)] + rest


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
