"""Cuts a JSON array into its elements, as a stream, by brackets and commas outside strings.

An element may be broken inside: it is cut all the same and costs itself. If a quote or bracket is missing,
all that follows looks wrong; then the reader looks for the next object that can be read and goes on there.
"""

import json
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import orjson

from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.chunks import Chunks
from bulk_pipeline.stages.parse.json_text import compact

WINDOW_BYTES = 2 << 20
_AFTER_DAMAGE_BYTES = 16 << 10
"""More may follow, and what was made of the rest of a window would be for nothing."""
_NEXT_OBJECT = re.compile(rb",\s*(?=\{)")
_CANDIDATES, _LOOK_AHEAD = 20, 1 << 16
_LONG_ELEMENT = 8 << 20
_LONG_DAMAGE = 64 << 10
MISSING = "is not valid JSON: a quote or bracket is missing"
_MOST_GARBAGE = 64 << 10
_BLANKS = b" \t\r\n"
_STEPS = np.zeros(256, np.int64)
_STEPS[[*b"[{"]], _STEPS[[*b"]}"]] = 1, -1


@dataclass(frozen=True)
class Elements:
    """Elements as they stand in the file, on one line each; `problems` by index."""

    raw: list[bytes]
    problems: dict[int, str]


@dataclass(frozen=True)
class _Scan:
    """Where complete elements begin and stop, where the next begins, and whether the array is closed there.

    `astray`: the next element closes more brackets than it opens, or runs over others.
    """

    spans: list[tuple[int, int]]
    rest: int
    closed: bool
    astray: bool = False


def elements(
    chunks: Chunks, limits: Limits, all_readable: Callable[[Sequence[bytes]], bool]
) -> Iterator[Elements]:
    """The elements of the array the text begins with. What stands after it is one more, with a problem.

    `all_readable` may say of elements that there is nothing wrong with any of them.
    """
    if (yield from elements_up_to_the_end(chunks, limits, all_readable)):
        yield from after_the_end(chunks, "stands after the end of the JSON array")


def elements_up_to_the_end(
    chunks: Chunks,
    limits: Limits,
    all_readable: Callable[[Sequence[bytes]], bool],
    window_bytes: int = WINDOW_BYTES,
) -> Generator[Elements, None, bool]:
    """The elements of the array; says whether it is closed. What stands after it is left in `chunks` then."""
    chunks.drop(chunks.peek(64).index(b"[") + 1)
    rest, new, patience = 0, window_bytes, _Patience()
    while True:
        size = rest + max(new, min(rest, _LONG_ELEMENT + 1 - rest))
        ahead = chunks.peek(size + _LOOK_AHEAD)
        data, final = ahead[:size], len(ahead) <= size
        scan = _up_to_damage(data, ahead, _scan(data))
        found, again = _resolved(data, ahead, scan, patience, final, all_readable)
        if found.raw:
            yield found
        if again is None and not scan.closed:
            if scan.astray or final or len(data) - scan.rest > _LONG_ELEMENT:
                again = _next_object(ahead, scan.rest + 1, len(data))
            if again is not None:
                yield Elements([_broken(ahead, scan.rest, again)], {0: MISSING})
        if again is not None:
            chunks.drop(again)
            rest, new = 0, _AFTER_DAMAGE_BYTES
            continue
        chunks.drop(scan.rest)
        rest, new = len(data) - scan.rest, min(2 * new, WINDOW_BYTES)
        if scan.closed:
            return True
        if final or rest > limits.row_bytes:
            yield from _unclosed(chunks, rest)
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
    depth = 1 + np.cumsum(steps)
    end = int(np.argmax(depth == 0)) if (depth == 0).any() else None
    cuts = places[:end][(depth[:end] == 1) & (steps[:end] == 0)]
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


def _up_to_damage(data: bytes, ahead: bytes, scan: _Scan) -> _Scan:
    """What comes before the first element that cannot be read and is so long that it must be several."""
    for index in [i for i, (begin, stop) in enumerate(scan.spans) if stop - begin > _LONG_DAMAGE]:
        begin, stop = scan.spans[index]
        last = scan.closed and index + 1 == len(scan.spans)
        if last or _is_whole(data[begin:stop].strip(_BLANKS)):
            continue
        if _next_object(ahead, begin + 1, len(data)) is not None:
            return _Scan(scan.spans[:index], begin, closed=False, astray=True)
    return scan


def _escaped(block: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Bytes with an odd number of backslashes before them."""
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
    patience: "_Patience",
    final: bool,
    all_readable: Callable[[Sequence[bytes]], bool],
) -> tuple[Elements, int | None]:
    """The elements of a scan up to where it went astray, and from where to scan again."""
    raw = [compact(data[begin:stop].strip(_BLANKS)) for begin, stop in scan.spans]
    bad = {} if all_readable(raw) else _unreadable(raw)
    for index in bad:
        lost = index + 1 in bad or (index + 1 == len(raw) and final and not scan.closed)
        if not lost or not patience.tries():
            continue
        begin = scan.spans[index][0]
        again = _next_object(ahead, begin + 1, len(data))
        patience.learn(again is not None)
        if again is not None:
            return Elements([*raw[:index], _broken(ahead, begin, again)], {index: MISSING}), again
    return Elements(raw, {index: "is empty" for index in bad if not raw[index]}), None


def _broken(data: bytes, begin: int, end: int) -> bytes:
    return compact(data[begin:end].strip(_BLANKS).rstrip(b","))


def _unreadable(raw: Sequence[bytes]) -> dict[int, None]:
    return {index: None for index, item in enumerate(raw) if not _is_whole(item)}


def _is_whole(item: bytes) -> bool:
    """Whether it is one value, as far as quotes and brackets go."""
    try:
        orjson.loads(item)
    except orjson.JSONDecodeError:
        try:  # numbers beyond a double, lone surrogates
            json.loads(item.decode("utf-8", "replace"))
        except RecursionError:
            return True  # too deep, and closed all the same
        except ValueError:
            return False
    return True


def _next_object(data: bytes, start: int, stop: int) -> int | None:
    """Where the next object stands that can be read, a few candidates on. Its end may lie after `stop`."""
    decoder = json.JSONDecoder()
    for count, match in enumerate(_NEXT_OBJECT.finditer(data, start, stop)):
        if count == _CANDIDATES:
            return None
        text = data[match.end() : match.end() + _LOOK_AHEAD].decode("utf-8", "replace")
        try:
            decoder.raw_decode(text)
        except (ValueError, RecursionError):
            continue
        return match.end()
    return None


class _Patience:
    """Looking for the way back costs time: after vain attempts, wait longer and longer."""

    def __init__(self) -> None:
        self._wait, self._next_wait = 0, 1

    def tries(self) -> bool:
        self._wait -= 1
        return self._wait < 0

    def learn(self, found: bool) -> None:
        self._next_wait = 1 if found else min(1024, 2 * self._next_wait)
        self._wait = 0 if found else self._next_wait


def after_the_end(chunks: Chunks, problem: str) -> Iterator[Elements]:
    """What follows the JSON, as one element with that problem."""
    rest = b""
    for chunk in chunks:
        rest = (rest + chunk)[:_MOST_GARBAGE].lstrip(_BLANKS) if len(rest) < _MOST_GARBAGE else rest
    if rest.rstrip(_BLANKS):
        yield Elements([compact(rest.rstrip(_BLANKS))], {0: problem})


def _unclosed(chunks: Chunks, size: int) -> Iterator[Elements]:
    """The last element of an array that ends too early or cannot be followed any further; `size` as far as it was."""
    rest = compact(chunks.peek(size)[:size].strip(_BLANKS))
    for _ in chunks:
        pass
    problem = "the JSON array is not closed after this: the file may be cut short"
    if _is_whole(rest):
        yield Elements([rest, b""], {1: problem})
    else:
        yield Elements([rest[:_MOST_GARBAGE]], {0: problem})
