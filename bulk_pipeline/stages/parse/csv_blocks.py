"""Cuts a delimited file into windows and numbers its rows and lines.

A window that is regular throughout goes to Arrow's parser as it is (`csv_regular`), any other one in parts
(`csv_mixed`); what is not regular in it is read record by record (`csv_tolerant`). All three give the same
answer wherever more than one of them can; a property test holds them to it.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from bulk_pipeline.stages.parse.blocks import BATCH_ROWS, BLOCK_BYTES
from bulk_pipeline.stages.parse.csv_arrow import ArrowParser
from bulk_pipeline.stages.parse.csv_mixed import read_mixed
from bulk_pipeline.stages.parse.csv_plan import Plan
from bulk_pipeline.stages.parse.csv_regular import read_regular
from bulk_pipeline.stages.parse.csv_window import Cut, Window, shifted
from bulk_pipeline.stages.parse.parsed import Parsed, in_batches

_AT_ONCE = 2
_MOST_LINES, _MOST_CELLS = BATCH_ROWS, 1 << 19
"""In one window: each may be a failure, and that takes more than the few bytes of its line."""
_FEW_BYTES = 64 << 10
_LONG_WINDOW = 2 * BLOCK_BYTES
"""A window of one line so long is not looked at as a whole: each of its bytes may be a cell."""


def read_blocks(
    chunks: Iterable[bytes],
    plan: Plan,
    line: int,
    *,
    row: int = 1,
    fast: bool = True,
    block: int = BLOCK_BYTES,
) -> Iterator[Parsed]:
    """The records after the header; `line` is the physical line the text starts with, `row` the number of its first
    record.

    Without `fast` every record is read by itself: slow, and the same answer. Windows are read side by side as if each
    ended with a record; one for which that turns out wrong is read again from where its record does end.
    """
    together = fast and len(plan.syntax.delimiter) == 1
    arrows = [ArrowParser(plan) if together else None for _ in range(_AT_ONCE)]
    data, damaged = b"", False
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="windows") as threads:
        for grown, final in _grown(chunks, _AT_ONCE * block):
            data = data + grown if data else grown
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


def _grown(chunks: Iterable[bytes], block: int) -> Iterator[tuple[bytes, bool]]:
    """The text in pieces of at least a block; the last one is final and ends in a line end."""
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
    """Whole lines of about one block each, one window after the other; none if there are none yet."""
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
    return data.count(b"\n", start, stop) + data.count(b"\r", start, stop)


def _last_line_end(data: bytes, start: int, stop: int, final: bool) -> int:
    """The place after the last line end before `stop`; a CR at the end of the data may be half of one."""
    if not final and stop == len(data) and data.endswith(b"\r"):
        stop -= 1
    at = max(data.rfind(b"\n", start, stop), data.rfind(b"\r", start, stop))
    after = at + 1
    if data.startswith(b"\n", after) and data.startswith(b"\r", at):
        after += 1
    return after


def _first_line_end(data: bytes, start: int, final: bool) -> int:
    at = min(
        (found for found in (data.find(b"\n", start), data.find(b"\r", start)) if found >= 0), default=-1
    )
    if at < 0 or (not final and at + 1 == len(data)):
        return 0
    return at + (2 if data.startswith(b"\r\n", at) else 1)
