"""Reads a window with irregular records: regular lines together by Arrow, other records one by one."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.bytes import odd_texts
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.parse.cells import shown, text_of
from bulk_pipeline.stages.parse.csv import structure as structure
from bulk_pipeline.stages.parse.csv.fast import ArrowParser
from bulk_pipeline.stages.parse.csv.lines import Lines, lines_of
from bulk_pipeline.stages.parse.csv.structure import Bytes, Mask, Places
from bulk_pipeline.stages.parse.csv.syntax import Plan
from bulk_pipeline.stages.parse.csv.tolerant import MoreNeeded, Reader, Record, not_closed, wrong_width
from bulk_pipeline.stages.parse.csv.window import Cut, Window, parsed_chunk, raw_records
from bulk_pipeline.stages.parse.parsed import FailureRows, code_of


@dataclass(frozen=True)
class _Odd:
    """Records read one by one, their start offsets, and the offset up to which the window has been read."""

    records: list[Record]
    starts: list[int]
    reached: int


def read_mixed(window: Window, plan: Plan, arrow: ArrowParser | None) -> Cut | None:
    """Return the records that are complete in the window's data, or None if not even the first is.

    Without `arrow`, every record is read one by one.
    """
    lines = lines_of(window, plan, together=arrow is not None)
    odd = _one_by_one(window, plan, lines, lines.good)
    if odd is None:
        return None
    free = _free(window, lines, odd)
    rows = int(free.sum())
    cells = arrow.binary_columns(_text(window, lines, free), rows) if arrow and rows else None
    if rows and cells is None:  # Arrow counts other records or cells: read all lines one by one
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
    irregular = np.flatnonzero(~good & ~lines.blank)
    places = [
        (where[irregular] + window.start).tolist() for where in (lines.start, lines.stop, lines.end + 1)
    ]
    problems = [of_line[irregular].tolist() for of_line in (lines.widths, lines.unclosed)]
    for start, stop, end, width, unclosed in zip(*places, *problems, strict=True):
        if start < reached:
            continue  # part of the previous record
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
    """Return a mask of the good lines that have been reached and are not part of a record read one by one."""
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
    """Return the regular records and those read one by one, in file order."""
    line_of = np.concatenate([np.flatnonzero(free), np.searchsorted(lines.start + window.start, odd.starts)])
    order = np.argsort(line_of, kind="stable")
    rank = np.argsort(order)
    rank_of_free, rank_of_odd = rank[: int(free.sum())], rank[int(free.sum()) :]
    numbers = line_of[order]
    failures = FailureRows()
    ranks, texts = _texts(window, plan, odd, rank_of_odd, numbers, failures)
    if cells is not None:
        doubtful = np.flatnonzero(lines.doubtful[free])
        read = _read_texts(plan, cells, doubtful, rank_of_free[doubtful], numbers, failures)
        texts = [pa.concat_arrays(both) for both in zip(read, texts, strict=True)]
    ranks = np.concatenate([rank_of_free, ranks])
    in_order = np.argsort(ranks)
    merged = [column.take(pa.array(in_order)) for column in texts]
    starts = np.concatenate([lines.start[free] + window.start, np.array(odd.starts, np.int64)])
    stops = np.concatenate([lines.stop[free] + window.start, [record.stop for record in odd.records]])
    data = np.frombuffer(window.data, np.uint8)
    raw = raw_records(data, starts[order], stops[order].astype(np.int64))
    result = parsed_chunk(plan, merged, ranks[in_order], numbers, raw, failures)
    return Cut(result, odd.reached, _lines_before(window, lines, odd.reached), damaged=bool(odd.records))


def _texts(
    window: Window, plan: Plan, odd: _Odd, rank: Places, numbers: Places, failures: FailureRows
) -> tuple[Places, list[pa.Array]]:
    """Return the ranks of the records read one by one that are not malformed, and their cells as columns."""
    columns: list[list[str | None]] = [[] for _ in plan.positions]
    ranks = []
    for record, start, at in zip(odd.records, odd.starts, rank.tolist(), strict=True):
        line = int(numbers[at])
        if record.problem is not None:
            raw = shown(window.data[start : record.stop])
            failures.add(at, line, None, code_of(record.problem), raw, record.problem)
            continue
        ranks.append(at)
        for column, name, position in zip(columns, plan.names, plan.positions, strict=True):
            cell = record.cells[position]
            text, problem = (None, None) if cell is None else text_of(cell, plan.encoding, name)
            column.append(text)
            if cell is not None and problem is not None:
                failures.add(at, line, name, Code.BAD_ENCODING, shown(cell), problem)
    return np.array(ranks, np.int64), [pa.array(column, pa.string()) for column in columns]


def _read_texts(
    plan: Plan, cells: list[pa.Array], doubtful: Places, rank: Places, numbers: Places, failures: FailureRows
) -> list[pa.Array]:
    """Return columns of bytes as columns of text. Only the `doubtful` rows, numbered by `rank`, may not be UTF-8."""
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
