"""Reads a window whose every record is regular, in a few passes over whole arrays; answers None for any
other."""

import numpy as np
import pyarrow as pa

from bulk_pipeline.stages.parse import csv_structure as structure
from bulk_pipeline.stages.parse.csv_arrow import ArrowParser
from bulk_pipeline.stages.parse.csv_plan import BYTE_ORDER_MARK, Plan, Syntax
from bulk_pipeline.stages.parse.csv_structure import Bytes, Mask, Places
from bulk_pipeline.stages.parse.csv_window import Cut, Window, parsed, raw_records
from bulk_pipeline.stages.parse.parsed import FailureRows

_MANY_LINES = 1000


def read_regular(window: Window, plan: Plan, arrow: ArrowParser) -> Cut | None:
    """All records of the window, up to the last that ends in it."""
    if _has_oddities(window, plan):
        return None
    syntax, block, returns = plan.syntax, window.block, window.has(b"\r")
    ends = structure.line_ends(block) if returns else block == ord("\n")
    outer, within = ends, None
    if syntax.quote and window.has(syntax.quote):
        within = structure.inside(block, syntax.quote[0])
        outer = ends & ~within
        size = len(block) - int(outer[::-1].argmax())
        if not outer[size - 1]:
            return None
        block, ends, outer, within = block[:size], ends[:size], outer[:size], within[:size]
    blanks = bytes(blank for blank in syntax.blanks if window.has(bytes([blank])))
    text, text_outer = _trimmed(block, outer, within, syntax.delimiter, blanks) if blanks else (block, outer)
    if within is not None and not _quotes_are_regular(text, syntax):
        return None
    return _cut(window, plan, arrow, block, ends, outer, within, text, text_outer)


def _cut(
    window: Window,
    plan: Plan,
    arrow: ArrowParser,
    block: Bytes,
    ends: Mask,
    outer: Mask,
    within: Mask | None,
    text: Bytes,
    text_outer: Mask,
) -> Cut | None:
    at = np.flatnonzero(outer)
    filled = _filled(text, at if text is block else np.flatnonzero(text_outer))
    columns = arrow.columns(text, int(filled.sum()))
    if columns is None:
        return None
    ends_at = at if within is None else np.flatnonzero(ends)
    nth = np.arange(len(at)) if within is None else np.searchsorted(ends_at, structure.starts(at))
    if len(block) > plan.limits.cell_bytes or np.diff(nth).max(initial=0) > _MANY_LINES:
        return None  # near the limits, of which the tolerant reader knows all
    raw = _raw(window, block, at, plain=ends is outer and not window.has(b"\r"))
    if not filled.all():
        nth, raw = nth[filled], raw.filter(pa.array(filled))
    result = parsed(plan, columns, None, nth, raw, FailureRows())
    return Cut(result, window.start + len(block), len(ends_at))


def _has_oddities(window: Window, plan: Plan) -> bool:
    escape = plan.syntax.escape
    return (
        window.has(b"\0")
        or window.has(BYTE_ORDER_MARK)
        or (escape != b"" and window.has(escape))
        or (plan.header != b"" and _repeats(window, plan.header))
    )


def _repeats(window: Window, header: bytes) -> bool:
    if window.data.startswith((header + b"\n", header + b"\r"), window.start):
        return True
    return any(window.has(before + header + after) for before in (b"\n", b"\r") for after in (b"\n", b"\r"))


def _trimmed(
    block: Bytes, outer: Mask, within: Mask | None, delimiter: bytes, blanks: bytes
) -> tuple[Bytes, Mask]:
    between = outer | structure.is_any(block, delimiter + b"\r")
    blank = structure.is_any(block, blanks)
    if within is not None:
        between &= ~within
        blank &= ~within
    keep = structure.without_padding(blank, between)
    return (block, outer) if keep is None else (block[keep], outer[keep])


def _quotes_are_regular(text: Bytes, syntax: Syntax) -> bool:
    places = np.flatnonzero(text == syntax.quote[0])
    opens = np.arange(len(places)) % 2 == 0
    return not len(structure.irregular_quotes(text, places, opens, syntax.delimiter[0], syntax.quote[0]))


def _filled(text: Bytes, ends: Places) -> Mask:
    """Which lines are not blank."""
    return structure.stops(text, ends) > structure.starts(ends)


def _raw(window: Window, block: Bytes, ends: Places, plain: bool) -> pa.Array:
    """The bytes of each record; `plain` text has a LF at each record's end and nowhere else."""
    if not plain:
        return raw_records(block, structure.starts(ends), structure.stops(block, ends))
    text = window.data[window.start : window.start + len(block)].replace(b"\n", b"")
    offsets = ends - np.arange(len(ends))
    buffers = [None, pa.py_buffer(np.concatenate([[0], offsets]).astype(np.int32)), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.binary(), len(ends), buffers)
