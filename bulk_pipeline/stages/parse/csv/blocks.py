"""Cuts a delimited file into windows and numbers its rows and lines.

`regular` passes a window of regular records to Arrow's parser as a whole. `mixed` passes only the regular records of
any other window, and `tolerant` reads the rest one by one. All of them give the same result for the same record; a
property test asserts it.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from bulk_pipeline.stages.parse.blocks import BATCH_ROWS, BLOCK_BYTES
from bulk_pipeline.stages.parse.csv.fast import ArrowParser
from bulk_pipeline.stages.parse.csv.mixed import read_mixed
from bulk_pipeline.stages.parse.csv.regular import read_regular
from bulk_pipeline.stages.parse.csv.syntax import Plan
from bulk_pipeline.stages.parse.csv.window import Cut, Window, shifted
from bulk_pipeline.stages.parse.parsed import ParsedChunk, in_batches

_AT_ONCE = 2
_MOST_LINES, _MOST_CELLS = BATCH_ROWS, 1 << 19
"""Most lines and cells of a window: each may become a failure, which takes more memory than its line."""
_FEW_BYTES = 64 << 10
_LONG_WINDOW = 2 * BLOCK_BYTES
"""Bytes above which the one line of a window is not parsed with array operations: each byte may be a cell."""


def read_blocks(
    chunks: Iterable[bytes],
    plan: Plan,
    line: int,
    *,
    row: int = 1,
    fast: bool = True,
    block: int = BLOCK_BYTES,
) -> Iterator[ParsedChunk]:
    """Yield the records after the header. The text starts with the physical line `line`; its first record is `row`.

    Without `fast`, every record is read one by one: slower, with the same result. Windows are read in parallel on the
    assumption that each ends with a record; if one does not, the next is read again from the record's real end.
    """
    together = fast and len(plan.syntax.delimiter) == 1
    arrows = [ArrowParser(plan) if together else None for _ in range(_AT_ONCE)]
    data, damaged = b"", False
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="windows") as threads:
        for piece, final in _pieces(chunks, _AT_ONCE * block):
            data = data + piece if data else piece
            end = 0
            while final or len(data) - end >= block:
                windows = _windows(data, end, final, plan, block)
                read = partial(_read, plan=plan, damaged=damaged)
                cuts = list((threads.map if len(windows) > 1 else map)(read, windows, arrows))
                begin = end
                for window, cut in zip(windows, cuts, strict=False):
                    if cut is None or window.start != end:
                        break
                    if cut.parsed.raw.num_rows:
                        yield from in_batches(shifted(cut.parsed, row, line))
                    row, line, end = row + cut.parsed.raw.num_rows, line + cut.lines, cut.end
                    damaged = cut.damaged
                if end == begin:  # not even the first record is complete
                    break
            data = data[end:]


def _read(window: Window, arrow: ArrowParser | None, *, plan: Plan, damaged: bool) -> Cut | None:
    arrow = arrow if window.stop - window.start <= _LONG_WINDOW else None
    regular = read_regular(window, plan, arrow) if arrow and not damaged else None
    return regular or read_mixed(window, plan, arrow)


def _pieces(chunks: Iterable[bytes], block: int) -> Iterator[tuple[bytes, bool]]:
    """Yield the text in pieces of at least `block` bytes, and whether each is the last; that one ends in a line end."""
    parts, size = [], 0
    last = b""
    for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        last = chunk[-1:] or last
        if size >= block:
            yield b"".join(parts), False
            parts, size = [], 0
    yield b"".join(parts) + (b"" if last in (b"\n", b"\r", b"") else b"\n"), True


def _windows(data: bytes, start: int, final: bool, plan: Plan, block: int) -> list[Window]:
    """Return consecutive windows of whole lines, about `block` bytes each; none if no line is complete yet."""
    windows: list[Window] = []
    most_lines = max(1, min(_MOST_LINES, _MOST_CELLS // max(1, plan.width)))
    while len(windows) < _AT_ONCE and (stop := _stop(data, start, final, block, most_lines)) > start:
        windows.append(Window(data, start, stop, final))
        start = stop
    return windows


def _stop(data: bytes, start: int, final: bool, block: int, most_lines: int) -> int:
    near = min(len(data), start + block)
    while near - start > _FEW_BYTES and _lines(data, start, near) > most_lines:
        near = (start + near) // 2
    stop = _last_line_end(data, start, near, final)
    return stop if stop > start else _first_line_end(data, near, final)


def _lines(data: bytes, start: int, stop: int) -> int:
    """Return an upper bound of the number of lines. NumPy counts a byte in a tenth of the time of `bytes.count`."""
    block = np.frombuffer(data, np.uint8, stop - start, start)
    ends = (end for end in b"\n\r" if data.find(end, start, stop) >= 0)
    return sum(int(np.count_nonzero(block == end)) for end in ends)


def _last_line_end(data: bytes, start: int, stop: int, final: bool) -> int:
    """Return the offset after the last line end before `stop`; a CR at the end of the data may be half of a CRLF."""
    if not final and stop == len(data) and data.endswith(b"\r"):
        stop -= 1
    at = max(data.rfind(b"\n", start, stop), data.rfind(b"\r", start, stop))
    after = at + 1
    if data.startswith(b"\n", after) and data.startswith(b"\r", at):
        after += 1
    return after


def _first_line_end(data: bytes, start: int, final: bool) -> int:
    ends = (data.find(b"\n", start), data.find(b"\r", start))
    at = min((end for end in ends if end >= 0), default=-1)
    if at < 0 or (not final and at + 1 == len(data)):
        return 0
    return at + (2 if data.startswith(b"\r\n", at) else 1)
