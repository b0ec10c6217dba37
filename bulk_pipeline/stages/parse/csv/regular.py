"""Reads a window in which every record is regular.

All bytes are searched once per special character; later steps work on the few places where these stand.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bulk_pipeline.stages.parse.csv import structure as structure
from bulk_pipeline.stages.parse.csv.blank_lines import empty_lines
from bulk_pipeline.stages.parse.csv.fast import ArrowParser
from bulk_pipeline.stages.parse.csv.structure import BlankBytes, Bytes, Places, Quotes
from bulk_pipeline.stages.parse.csv.syntax import BYTE_ORDER_MARK, Plan, Syntax
from bulk_pipeline.stages.parse.csv.window import Cut, Window, parsed_chunk, raw_records
from bulk_pipeline.stages.parse.parsed import FailureRows

_MANY_LINES = 1000


@dataclass(frozen=True)
class _Lines:
    """The line ends and quotes of a block; `outer` are the `ends` of physical lines that also end a record."""

    block: Bytes
    ends: Places
    outer: Places
    quotes: Quotes


def read_regular(window: Window, plan: Plan, arrow: ArrowParser) -> Cut | None:
    """Return all records that end in the window, or None if one of them may be irregular."""
    lines = _lines(window, plan.syntax)
    if lines is None or _has_oddities(window, lines, plan):
        return None
    text, text_ends = _trimmed(
        lines, plan.syntax, window.blank_bytes(plan.syntax.blanks).before(len(lines.block))
    )
    if len(lines.quotes.places) and not _quotes_are_regular(text, lines, plan.syntax):
        return None
    filled = ~empty_lines(text, text_ends, plan.width, plan)
    if not filled.all():  # Arrow skips blank lines, but not lines of empty cells
        text = text[np.repeat(filled, np.diff(text_ends, prepend=-1))]
    columns = arrow.columns(text, int(filled.sum()))
    if columns is None:
        return None
    nth = np.searchsorted(lines.ends, structure.starts(lines.outer))
    most = min(plan.limits.cell_bytes, plan.limits.row_bytes)
    if len(lines.block) > most or np.diff(nth).max(initial=0) > _MANY_LINES:
        return None  # near the limits, which the tolerant reader checks
    raw = raw_records(lines.block, structure.starts(lines.outer), structure.stops(lines.block, lines.outer))
    if not filled.all():
        nth, raw = nth[filled], raw.filter(pa.array(filled))
    result = parsed_chunk(plan, columns, None, nth, raw, FailureRows())
    return Cut(result, window.start + len(lines.block), len(lines.ends))


def _lines(window: Window, syntax: Syntax) -> _Lines | None:
    block = window.block
    ends = np.flatnonzero(structure.line_ends(block)) if window.has(b"\r") else structure.all_of(block, b"\n")
    quotes = structure.all_of(block, syntax.quote)
    outer = Quotes(quotes).outside(ends)
    if not len(outer):
        return None
    size = int(outer[-1]) + 1
    return _Lines(block[:size], ends[ends < size], outer, Quotes(quotes[quotes < size]))


def _has_oddities(window: Window, lines: _Lines, plan: Plan) -> bool:
    escape = plan.syntax.escape
    return (
        window.has(b"\0")
        or (plan.width == 1 and window.has(b"\x1a"))
        or (window.has_mark and window.has(BYTE_ORDER_MARK + plan.header))
        or (escape != b"" and window.has(escape))
        or (plan.header != b"" and _repeats(window, lines, plan.header))
    )


def _repeats(window: Window, lines: _Lines, header: bytes) -> bool:
    """Return True if a physical line repeats the header."""
    if b"\n" in header or b"\r" in header:
        return window.has(header)
    starts, stops = structure.starts(lines.ends), structure.stops(lines.block, lines.ends)
    alike = starts[stops - starts == len(header)]
    alike = alike[lines.block[alike] == header[0]]
    return any(window.data.startswith(header, window.start + start) for start in alike.tolist())


def _trimmed(lines: _Lines, syntax: Syntax, blanks: BlankBytes) -> tuple[Bytes, Places]:
    """Return the text without blanks around cells, and the ends of its records."""
    keep = structure.without_padding(lines.block, lines.outer, lines.quotes, syntax.delimiter, blanks)
    return (
        (lines.block, lines.outer)
        if keep is None
        else (lines.block[keep], structure.moved(lines.outer, keep))
    )


def _quotes_are_regular(text: Bytes, lines: _Lines, syntax: Syntax) -> bool:
    quotes = lines.quotes if text is lines.block else Quotes(structure.all_of(text, syntax.quote))
    return not len(structure.irregular_quotes(text, quotes, syntax.delimiter[0], syntax.quote[0]))
