"""Cuts a stream of a JSON array into its elements, by brackets and commas outside strings.

An element that is broken inside is rejected alone. If a quote or bracket is missing, everything after it looks wrong;
then reading resumes at the next object that can be read.
"""

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import orjson

from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.blocks import MOST_LINES
from bulk_pipeline.stages.parse.json.bounds import may_be_oversize, oversize
from bulk_pipeline.stages.parse.json.text import STRUCTURE, compact
from bulk_pipeline.stages.parse.stream import Chunks

WINDOW_BYTES = 2 << 20
_AFTER_DAMAGE_BYTES = 16 << 10
"""Window after damage, in bytes: it is short, since more damage may follow and waste the work on a long window."""
_NEXT_OBJECT = re.compile(rb",\s*(?=\{)")
_CANDIDATES, _LOOK_AHEAD = 20, 1 << 16
_LONG_ELEMENT = 8 << 20
_LONG_DAMAGE = 64 << 10
MISSING = "is not valid JSON: a quote or bracket is missing"
_MOST_GARBAGE = 64 << 10
_BLANKS = b" \t\r\n"
_SPACES = bytes.maketrans(b"\r\n", b"  ")
_STEPS = np.zeros(256, np.int8)
_STEPS[[*b"[{"]], _STEPS[[*b"]}"]] = 1, -1


@dataclass(frozen=True)
class Elements:
    """Elements as written in the file, each on one line; `problems` are the malformed ones, by index."""

    raw: list[bytes]
    problems: dict[int, str]


@dataclass(frozen=True)
class _Scan:
    """The spans of complete elements, and where the `rest` begins; `closed` says that the array ends there.

    `astray` says that the next element closes more brackets than it opens, or includes others; `more`, that the
    window has more complete elements.
    """

    spans: list[tuple[int, int]]
    rest: int
    closed: bool
    astray: bool = False
    more: bool = False


def elements(
    chunks: Chunks, limits: Limits, all_readable: Callable[[Sequence[bytes]], bool]
) -> Iterator[Elements]:
    """Yield the elements of the array that the text begins with. Text after it is one more element, with a problem.

    `all_readable` returns True if all given elements are known to be good.
    """
    if (yield from elements_to_end(chunks, limits, all_readable)):
        yield from trailing_text(chunks, "stands after the end of the JSON array")


def elements_to_end(
    chunks: Chunks,
    limits: Limits,
    all_readable: Callable[[Sequence[bytes]], bool],
    window_bytes: int = WINDOW_BYTES,
) -> Generator[Elements, None, bool]:
    """Yield the elements of the array; return True if it is closed. Text after it then stays in `chunks`."""
    chunks.drop(chunks.peek(64).index(b"[") + 1)
    rest, new, backoff = 0, window_bytes, _Backoff()
    while True:
        size = rest + max(new, min(rest, _LONG_ELEMENT + 1 - rest))
        ahead = chunks.peek(size + _LOOK_AHEAD)
        data = ahead[:size]
        scan = _up_to_damage(data, ahead, _scan(data), limits)
        final = len(ahead) <= size and not scan.more
        complete, again = _resolved(data, ahead, scan, backoff, final, all_readable, limits)
        if complete.raw:
            yield complete
        if again is None and not scan.closed and not scan.more:
            if scan.astray or final or len(data) - scan.rest > _LONG_ELEMENT:
                again = _next_object(ahead, scan.rest + 1, len(data))
            if again is not None:
                yield Elements([_broken(ahead, scan.rest, again)], {0: MISSING})
        if again is not None:
            chunks.drop(again)
            rest, new = 0, _AFTER_DAMAGE_BYTES
            continue
        chunks.drop(scan.rest)
        if scan.more:
            rest, new = 0, scan.rest
            continue
        rest, new = len(data) - scan.rest, min(2 * new, WINDOW_BYTES)
        if scan.closed:
            return True
        if final or rest > limits.row_bytes:
            yield from _unclosed(chunks, rest, limits)
            return False


def _scan(data: bytes) -> _Scan:
    block = np.frombuffer(data, np.uint8)
    quotes = block == ord('"')
    if b"\\" in data:
        quotes &= ~_escaped(block)
    outside = np.bitwise_xor.accumulate(quotes.view(np.uint8), out=quotes.view(np.uint8)) == 0
    marks = block == ord(",")
    for bracket in b"[]{}":
        marks |= block == bracket
    places = np.flatnonzero(np.logical_and(marks, outside, out=marks))
    steps = _STEPS[block[places]]
    depth = np.cumsum(steps, dtype=np.int32)
    depth += 1
    end = int(np.argmax(depth == 0)) if (depth == 0).any() else None
    cuts = places[:end][(depth[:end] == 1) & (steps[:end] == 0)]
    if len(cuts) > MOST_LINES:
        stops = cuts[:MOST_LINES]
        begins = [0, *(stops[:-1] + 1).tolist()]
        return _Scan(list(zip(begins, stops.tolist(), strict=True)), int(stops[-1]) + 1, False, more=True)
    begins = [0, *(cuts + 1).tolist()]
    stops = cuts.tolist()
    if end is None:
        return _Scan(list(zip(begins, stops, strict=False)), begins[-1], False)
    close = int(places[end])
    if data[close] != ord("]"):
        return _Scan(list(zip(begins, stops, strict=False)), begins[-1], closed=False, astray=True)
    spans = list(zip(begins, [*stops, close], strict=True))
    if not data[spans[-1][0] : close].strip(_BLANKS):
        spans.pop()  # an empty array, or a comma before the bracket
    return _Scan(spans, close + 1, True)


def _up_to_damage(data: bytes, ahead: bytes, scan: _Scan, limits: Limits) -> _Scan:
    """Return the part of the scan before the first element that is unreadable and too long to be a single one."""
    for index in [i for i, (begin, stop) in enumerate(scan.spans) if stop - begin > _LONG_DAMAGE]:
        begin, stop = scan.spans[index]
        last = scan.closed and index + 1 == len(scan.spans)
        if last or _is_whole(data[begin:stop].strip(_BLANKS), limits):
            continue
        if _next_object(ahead, begin + 1, len(data)) is not None:
            return _Scan(scan.spans[:index], begin, closed=False, astray=True)
    return scan


def _escaped(block: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return a mask of the bytes with an odd number of backslashes before them."""
    places = np.flatnonzero(block == ord("\\"))
    first = np.diff(places, prepend=-2) != 1
    last = np.flatnonzero(np.append(first[1:], True))
    lengths = np.diff(last, prepend=-1)
    after = places[last[lengths % 2 == 1]] + 1
    escaped = np.zeros(len(block), np.bool_)
    escaped[after[after < len(block)]] = True
    return escaped


def _resolved(
    data: bytes,
    ahead: bytes,
    scan: _Scan,
    backoff: "_Backoff",
    final: bool,
    all_readable: Callable[[Sequence[bytes]], bool],
    limits: Limits,
) -> tuple[Elements, int | None]:
    """Return the elements of a scan up to the first damage, and where to scan again, None if there is none."""
    raw = [data[begin:stop].strip(_BLANKS) for begin, stop in scan.spans]
    one_line = partial(_one_line, limits=limits) if may_be_oversize(raw, limits) else compact
    raw = list(map(one_line, raw))
    bad = {} if all_readable(raw) else _unreadable(raw, limits)
    for index in bad:
        lost = index + 1 in bad or (index + 1 == len(raw) and final and not scan.closed)
        if not lost or not backoff.is_due():
            continue
        begin = scan.spans[index][0]
        again = _next_object(ahead, begin + 1, len(data))
        backoff.record(again is not None)
        if again is not None:
            return Elements([*raw[:index], _broken(ahead, begin, again)], {index: MISSING}), again
    return Elements(raw, {index: "is empty" for index in bad if not raw[index]}), None


def _broken(data: bytes, begin: int, end: int) -> bytes:
    return compact(data[begin:end].strip(_BLANKS).rstrip(b","))


def _one_line(item: bytes, limits: Limits) -> bytes:
    """Return the element on one line; one with too many values is not compacted, which would take long."""
    return item.translate(_SPACES) if oversize(item, limits) else compact(item)


def _unreadable(raw: Sequence[bytes], limits: Limits) -> dict[int, None]:
    return {index: None for index, item in enumerate(raw) if not _is_whole(item, limits)}


def _is_whole(item: bytes, limits: Limits) -> bool:
    """Return True if the item is one value, judged by its quotes and brackets."""
    if oversize(item, limits):
        return True  # between two commas of the array, at least
    try:
        orjson.loads(item)
    except orjson.JSONDecodeError:
        try:  # numbers beyond a double, lone surrogates
            STRUCTURE.decode(item.decode("utf-8", "replace"))
        except RecursionError:
            return True  # too deep, but closed
        except ValueError:
            return False
    return True


def _next_object(data: bytes, start: int, stop: int) -> int | None:
    """Return the start of the next readable object among a few candidates, or None. It may end after `stop`."""
    for count, match in enumerate(_NEXT_OBJECT.finditer(data, start, stop)):
        if count == _CANDIDATES:
            return None
        text = data[match.end() : match.end() + _LOOK_AHEAD].decode("utf-8", "replace")
        try:
            STRUCTURE.raw_decode(text)
        except (ValueError, RecursionError):
            continue
        return match.end()
    return None


class _Backoff:
    """Limits attempts to recover from damage, which are slow: each failed one doubles the number of skipped ones."""

    def __init__(self) -> None:
        self._wait, self._next_wait = 0, 1

    def is_due(self) -> bool:
        self._wait -= 1
        return self._wait < 0

    def record(self, success: bool) -> None:
        self._next_wait = 1 if success else min(1024, 2 * self._next_wait)
        self._wait = 0 if success else self._next_wait


def trailing_text(chunks: Chunks, problem: str) -> Iterator[Elements]:
    """Yield the text after the JSON as one element with the problem, if there is any."""
    rest = b""
    for chunk in chunks:
        rest = (rest + chunk)[:_MOST_GARBAGE].lstrip(_BLANKS) if len(rest) < _MOST_GARBAGE else rest
    if rest.rstrip(_BLANKS):
        yield Elements([compact(rest.rstrip(_BLANKS))], {0: problem})


def _unclosed(chunks: Chunks, size: int, limits: Limits) -> Iterator[Elements]:
    """Yield the last element, of `size` bytes so far, of an array that ends too early or exceeds the row limit."""
    rest = chunks.peek(size)[:size].strip(_BLANKS)
    for _ in chunks:
        pass
    is_past = oversize(rest, limits) is not None
    rest = rest[:_MOST_GARBAGE].translate(_SPACES) if is_past else compact(rest)
    problem = "the JSON array is not closed after this: the file may be cut short"
    if not is_past and _is_whole(rest, limits):
        yield Elements([rest, b""], {1: problem})
    else:
        yield Elements([rest[:_MOST_GARBAGE]], {0: problem})
