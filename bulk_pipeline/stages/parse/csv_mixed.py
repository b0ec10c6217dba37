"""Reads a window in which something is out of order: its regular lines together, every other record by
itself."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema.octets import odd_texts
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.parse import csv_structure as structure
from bulk_pipeline.stages.parse.cells import shown, text_of
from bulk_pipeline.stages.parse.csv_arrow import ArrowParser
from bulk_pipeline.stages.parse.csv_lines import Lines, lines_of
from bulk_pipeline.stages.parse.csv_plan import Plan
from bulk_pipeline.stages.parse.csv_structure import Bytes, Mask, Places
from bulk_pipeline.stages.parse.csv_tolerant import MoreNeeded, Reader, Record, not_closed, wrong_width
from bulk_pipeline.stages.parse.csv_window import Cut, Window, parsed, raw_records
from bulk_pipeline.stages.parse.parsed import FailureRows, code_of


@dataclass(frozen=True)
class _Odd:
    """Records read one by one, where they start, and the place up to which the window is read."""

    records: list[Record]
    starts: list[int]
    reached: int


def read_mixed(window: Window, plan: Plan, arrow: ArrowParser | None) -> Cut | None:
    """The records that are complete in the window's data; None if not even the first is. Without `arrow`, no
    line is read together with others."""
    lines = lines_of(window, plan, together=arrow is not None)
    odd = _one_by_one(window, plan, lines, lines.good)
    if odd is None:
        return None
    free = _free(window, lines, odd)
    rows = int(free.sum())
    cells = arrow.binary_columns(_text(window, lines, free), rows) if arrow and rows else None
    if rows and cells is None:  # Arrow sees it differently: leave nothing to it
        free = np.zeros(len(free), np.bool_)
        odd = _one_by_one(window, plan, lines, free)
        if odd is None:
            return None
    return _joined(window, plan, lines, free, cells, odd)


def _one_by_one(window: Window, plan: Plan, lines: Lines, good: Mask) -> _Odd | None:
    follows = np.flatnonzero(good[1:] & ~good[:-1]) + 1
    whole = frozenset((lines.start[follows] + window.start).tolist())
    reader = Reader(window.data, plan, window.final, whole)
    records: list[Record] = []
    starts: list[int] = []
    reached = window.start
    asked = np.flatnonzero(~good & ~lines.blank)
    places = [(where[asked] + window.start).tolist() for where in (lines.start, lines.stop, lines.end + 1)]
    known = [of_line[asked].tolist() for of_line in (lines.widths, lines.unclosed)]
    for start, stop, end, width, unclosed in zip(*places, *known, strict=True):
        if start < reached:
            continue  # part of the record before
        try:
            if width:
                record = Record([], wrong_width(width, plan), stop, end)
            elif unclosed:
                record = Record([], not_closed(unclosed - 1, plan), stop, end)
            else:
                record = reader.record(start)
        except MoreNeeded:
            return _Odd(records, starts, start) if start > window.start else None
        records.append(record)
        starts.append(start)
        reached = record.end
    return _Odd(records, starts, max(reached, window.stop))


def _free(window: Window, lines: Lines, odd: _Odd) -> Mask:
    """The good lines that are read and do not belong to a record read by itself."""
    start = lines.start + window.start
    free = lines.good & (start < odd.reached)
    if odd.records:
        before = np.searchsorted(odd.starts, start, side="right") - 1
        ends = np.array([record.end for record in odd.records])
        free &= (before < 0) | (start >= ends[before])
    return free


def _text(window: Window, lines: Lines, free: Mask) -> Bytes:
    if lines.keep is not None:
        return window.block[lines.keep & np.repeat(free, np.diff(lines.end, prepend=-1))]
    edges = np.flatnonzero(np.diff(free, prepend=False, append=False))
    starts, ends = lines.start[edges[::2]] + window.start, lines.end[edges[1::2] - 1] + window.start + 1
    runs = (window.data[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True))
    return np.frombuffer(b"".join(runs), np.uint8)


def _joined(
    window: Window, plan: Plan, lines: Lines, free: Mask, cells: list[pa.Array] | None, odd: _Odd
) -> Cut:
    """Both kinds of records in file order."""
    line_of = np.concatenate([np.flatnonzero(free), np.searchsorted(lines.start + window.start, odd.starts)])
    order = np.argsort(line_of, kind="stable")
    rank = np.argsort(order)
    rank_of_free, rank_of_odd = rank[: int(free.sum())], rank[int(free.sum()) :]
    numbers = line_of[order]
    failures = FailureRows()
    kept, texts = _texts(window, plan, odd, rank_of_odd, numbers, failures)
    if cells is not None:
        doubtful = np.flatnonzero(lines.doubtful[free])
        read = _read_texts(plan, cells, doubtful, rank_of_free[doubtful], numbers, failures)
        texts = [pa.concat_arrays(both) for both in zip(read, texts, strict=True)]
    kept = np.concatenate([rank_of_free, kept])
    in_order = np.argsort(kept)
    merged = [column.take(pa.array(in_order)) for column in texts]
    starts = np.concatenate([lines.start[free] + window.start, np.array(odd.starts, np.int64)])
    stops = np.concatenate([lines.stop[free] + window.start, [record.stop for record in odd.records]])
    data = np.frombuffer(window.data, np.uint8)
    raw = raw_records(data, starts[order], stops[order].astype(np.int64))
    result = parsed(plan, merged, kept[in_order], numbers, raw, failures)
    return Cut(result, odd.reached, _lines_before(window, lines, odd.reached), damaged=bool(odd.records))


def _texts(
    window: Window, plan: Plan, odd: _Odd, rank: Places, numbers: Places, failures: FailureRows
) -> tuple[Places, list[pa.Array]]:
    """The wanted cells of the odd records that have the right form, as columns, and the rank of each."""
    columns: list[list[str | None]] = [[] for _ in plan.positions]
    kept = []
    for record, start, at in zip(odd.records, odd.starts, rank.tolist(), strict=True):
        line = int(numbers[at])
        if record.problem is not None:
            raw = shown(window.data[start : record.stop])
            failures.add(at, line, None, code_of(record.problem), raw, record.problem)
            continue
        kept.append(at)
        for column, name, position in zip(columns, plan.names, plan.positions, strict=True):
            cell = record.cells[position]
            text, problem = (None, None) if cell is None else text_of(cell, plan.encoding, name)
            column.append(text)
            if cell is not None and problem is not None:
                failures.add(at, line, name, Code.BAD_ENCODING, shown(cell), problem)
    return np.array(kept, np.int64), [pa.array(column, pa.string()) for column in columns]


def _read_texts(
    plan: Plan, cells: list[pa.Array], doubtful: Places, rank: Places, numbers: Places, failures: FailureRows
) -> list[pa.Array]:
    """Columns of bytes as columns of texts. What is no text can only stand in the `doubtful` rows; `rank`: of these."""
    texts = []
    for column, name in zip(cells, plan.names, strict=True):
        wrong = np.zeros(len(column), np.bool_)
        odd = np.flatnonzero(odd_texts(column.take(doubtful)))
        rows, at = doubtful[odd], rank[odd]
        places = zip(rows.tolist(), at.tolist(), numbers[at].tolist(), strict=True)
        for (row, number, line), cell in zip(places, column.take(rows).to_pylist(), strict=True):
            if (problem := text_of(cell, plan.encoding, name)[1]) is not None:
                wrong[row] = True
                failures.add(number, line, name, Code.BAD_ENCODING, shown(cell), problem)
        texts.append((pc.if_else(wrong, None, column) if wrong.any() else column).cast(pa.string()))
    return texts


def _lines_before(window: Window, lines: Lines, end: int) -> int:
    count = int(np.searchsorted(lines.start + window.start, end))
    if end > window.stop:
        beyond = np.frombuffer(window.data, np.uint8, end - window.stop, window.stop)
        count += int(structure.line_ends(beyond).sum())
    return count
