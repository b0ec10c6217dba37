"""Cuts a delimited file into windows and numbers its rows and lines.

A window that is regular throughout goes to Arrow's parser as it is (`csv_regular`), any other one in parts
(`csv_mixed`); what is not regular in it is read record by record (`csv_tolerant`). All three give the same
answer wherever more than one of them can; a property test holds them to it.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from bulk_pipeline.errors import FileError
from bulk_pipeline.stages.parse.csv_arrow import ArrowParser
from bulk_pipeline.stages.parse.csv_mixed import read_mixed
from bulk_pipeline.stages.parse.csv_plan import Plan
from bulk_pipeline.stages.parse.csv_regular import read_regular
from bulk_pipeline.stages.parse.csv_window import Cut, Window, shifted
from bulk_pipeline.stages.parse.limits import BLOCK_BYTES
from bulk_pipeline.stages.parse.parsed import Parsed, in_batches

_AT_ONCE = 2


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
            if len(data) > plan.limits.record_bytes and not _first_line_end(data, 0, final):
                raise FileError("too_large", f"line {line} is longer than {plan.limits.record_bytes:,} bytes")


def _read(window: Window, arrow: ArrowParser | None, *, plan: Plan, damaged: bool) -> Cut | None:
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
    while len(windows) < _AT_ONCE and (stop := _stop(data, start, final, block)) > start:
        windows.append(Window(data, start, stop, final))
        start = stop
    return windows


def _stop(data: bytes, start: int, final: bool, block: int) -> int:
    near = min(len(data), start + block)
    stop = _last_line_end(data, start, near, final)
    return stop if stop > start else _first_line_end(data, near, final)


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
