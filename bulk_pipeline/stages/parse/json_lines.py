"""Cuts a text of JSON objects into one record each: a line each as a rule, but also side by side in a line, over
several lines, with commas at the ends of lines, or each after a record separator (RFC 7464).

Lines that hold one object each are not looked at by themselves. A line that is broken costs itself.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from bulk_pipeline.errors import FileError
from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.blocks import BLOCK_BYTES
from bulk_pipeline.stages.parse.json_text import compact, is_cut_short
from bulk_pipeline.stages.parse.parsed import Notes

COMMAS = "objects are followed by commas: these were taken for separators"
_MOST_OPEN_BYTES = 8 << 20
_CANDIDATES = 20
_FIRST_WAIT = 0.5
"""To look for the end of a broken record costs time: after some vain attempts, more and more lines are passed over."""
_BLANKS = b" \t\r"
_BETWEEN = b" \t\r\n,\x1e"
_SEPARATORS = re.compile(r"[\s,\x1e]*")
_SIDE_BY_SIDE = re.compile(rb"\}[ \t\r,\x1e]*\{")
_NEXT_OBJECT = re.compile(r"\}[\s,\x1e]*(?=\{)")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Records:
    """Records as they stand in the file, on one line each, and the lines in which they begin."""

    raw: list[bytes]
    lines: list[int]


@dataclass(frozen=True)
class _Block:
    """Lines without their ends. `is_open`: the last one goes on in the next block. `is_last`: there is none."""

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
    """The records of the text. `all_readable` may say of lines that each is an object with nothing wrong."""
    first, rest, cutter = 1, list[bytes](), _Cutter(notes)
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
        found, stop = cutter.cut(lines, first, is_open=block.is_open, is_last=block.is_last)
        if found.raw:
            yield found
        first, rest, is_open = first + stop, lines[stop:], block.is_open
        if is_open and not rest:
            first -= 1  # the line goes on
        if sum(map(len, rest)) > limits.row_bytes:
            raise FileError("too_large", f"a line is longer than {limits.row_bytes:,} bytes")


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
            yield _Block(lines)
            parts, size, most = [rest], len(rest), BLOCK_BYTES
        else:
            yield _Block([rest], is_open=True)
            parts, size, most = [], 0, min(2 * most, _MOST_OPEN_BYTES)
    text = b"".join(parts)
    yield _Block(text.removesuffix(line_end).split(line_end) if text else [], is_last=True)


def _joined(rest: list[bytes], lines: list[bytes], is_open: bool) -> list[bytes]:
    if is_open and rest and lines:
        return [*rest[:-1], rest[-1] + lines[0], *lines[1:]]
    return rest + lines if rest else lines


def _filled(lines: Sequence[bytes]) -> tuple[list[bytes], list[int]]:
    """The lines that are not blank, without what is not part of a record at their ends, and their indices."""
    texts = [text.removesuffix(b"\r") for text in lines]
    if any(text[:1] == b"\x1e" for text in texts[:2]):
        texts = [text.lstrip(b"\x1e") for text in texts]
    numbers = [i for i, text in enumerate(texts) if text.strip(_BLANKS)]
    return texts if len(numbers) == len(texts) else [texts[i] for i in numbers], numbers


def _is_odd(raw: Sequence[bytes]) -> bool:
    """Whether some line does not look like one object from its beginning to its end."""
    text = b"\n".join(raw) + b"\n"
    block = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(block == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1])
    whole = bool((block[starts] == ord("{")).all() and (block[ends - 1] == ord("}")).all())
    return not whole or text.count(b"{") != text.count(b"}") or _SIDE_BY_SIDE.search(text) is not None


class _Cutter:
    """Looks at each line closely. How many lines the last record took is where the next one is first looked for."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._usual = 2
        self._wait, self._next_wait = 0, _FIRST_WAIT
        self._raw: list[bytes] = []
        self._lines: list[int] = []

    def cut(self, lines: list[bytes], first: int, *, is_open: bool, is_last: bool) -> tuple[Records, int]:
        """The records, and the index of the line from which on more must be read first. What is left of that line
        is put in its place."""
        self._raw, self._lines = [], []
        at = 0
        while at < len(lines):
            goes_on = is_open and at + 1 == len(lines)
            text = lines[at].strip(_BETWEEN if not goes_on else b" \t\r\n\x1e")
            if text and not (not goes_on and _is_value(text)):
                rest = self._within(text, first + at, goes_on)
                if rest:
                    lines[at] = rest if goes_on else _indented(lines[at], rest)
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

    def _within(self, text: bytes, line: int, goes_on: bool) -> bytes:
        """Take the records of one line; gives what may be the beginning of one that ends in another line."""
        decoded = text.decode("utf-8", "surrogateescape")
        at, size = 0, len(decoded)
        while at < size:
            begin = at
            try:
                value, at = _DECODER.raw_decode(decoded, at)
            except json.JSONDecodeError as error:
                if decoded[begin] == "{" and is_cut_short(decoded, error.pos):
                    return _encoded(decoded[begin:])
                at = _next_object(decoded, begin) if decoded[begin] == "{" else size
                if at == size and goes_on:
                    return _encoded(decoded[begin:])
            except RecursionError:
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
        """Take the record that begins in that line; gives the index of the line to go on with, which what is left of
        it takes the place of. None if more must be read."""
        count = self._usual
        self._wait -= 1
        while self._wait < 0:
            text = b"\n".join(lines[at : at + count]).decode("utf-8", "surrogateescape")
            begin = len(text) - len(text.lstrip())
            try:
                _, end = _DECODER.raw_decode(text, begin)
            except (json.JSONDecodeError, RecursionError) as error:
                is_short = isinstance(error, json.JSONDecodeError) and is_cut_short(text, error.pos)
                if is_short and at + count < len(lines):
                    count *= 4
                    continue
                if is_short and not is_last:
                    return None
                break
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


def _is_value(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _next_object(text: str, begin: int) -> int:
    """Where the next object stands that can be read, a few candidates on; else the end of the text."""
    for count, match in enumerate(_NEXT_OBJECT.finditer(text, begin)):
        if count == _CANDIDATES:
            break
        try:
            _DECODER.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            continue
        return match.end()
    return len(text)


def _broken_lines(lines: Sequence[bytes], at: int) -> int:
    """How many lines a broken record takes: those that are indented more than the first, and a closing bracket.
    Without indentation, after a bracket alone, it goes on to the next one."""
    depth, is_alone = _indent(lines[at]), lines[at].strip(_BLANKS) == b"{"
    for count, line in enumerate(lines[at + 1 :], 1):
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
