"""The expected result of a damaged file, by its pieces alone, compared with the parser's."""

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from unittest.mock import patch

import pyarrow as pa

from bulk_pipeline import tables
from bulk_pipeline.stages import failures
from bulk_pipeline.stages.parse import open_upload
from bulk_pipeline.stages.parse.csv import blocks as csv_blocks
from bulk_pipeline.stages.parse.csv import reader
from bulk_pipeline.stages.validate import validate
from bulk_pipeline_tests.unit.messy.clean import Clean, Piece

_END = re.compile(rb"\r\n|\r|\n")
Cells = tuple[str, ...]


@dataclass(frozen=True)
class Read:
    """The parser's result: rows without failures as (line, cells), and lines and sentences of failures."""

    good: list[tuple[int, Cells]]
    failures: list[tuple[int, str]]
    warnings: list[str]


def read(data: bytes, table: str | None, names: Sequence[str], block: int | None = None) -> Read:
    """Parse and, with a table, validate the file, in windows of `block` bytes."""
    declared = None if table is None else tables.get(table)
    blocks = csv_blocks.read_blocks if block is None else partial(csv_blocks.read_blocks, block=block)
    with patch.object(reader, "read_blocks", blocks):
        upload = open_upload(io.BytesIO(data), "upload.csv", table=declared)
        chunks = list(upload)
    records = pa.Table.from_batches([chunk.records for chunk in chunks]).combine_chunks().to_batches()
    result = [failure for chunk in chunks for failure in chunk.failures.to_pylist()]
    if declared is not None and records:
        known = pa.Table.from_batches([chunk.failures for chunk in chunks]).combine_chunks().to_batches()
        none = known[0] if known else failures.none()
        checked = validate(records[0], none, declared, declared.default_mode)
        result += checked.failures.to_pylist()
    bad = {failure["row"] for failure in result}
    sentences = [(failure["line"], f"{failure['column']}: {failure['message']}") for failure in result]
    columns = names if declared is not None else [n for n in chunks[0].records.schema.names if n[0] != "_"]
    good = [
        (record["_line"], tuple(record.get(name) or "" for name in columns))
        for batch in records
        for record in batch.to_pylist()
        if record["_row"] not in bad
    ]
    return Read(good, sentences, upload.warnings)


def problems(clean: Clean, pieces: Sequence[Piece], seen: Read, *, with_table: bool = True) -> list[str]:
    """Return the broken promises."""
    lines, spans = _lines(pieces)
    row_of = {cells: row for row, cells in enumerate(clean.cells)}
    line_of_row = {
        piece.row: line for piece, line in zip(pieces, lines, strict=True) if piece.row is not None
    }
    also = {(line, cells) for piece, line in zip(pieces, lines, strict=True) for cells in piece.also}
    extra = {n for piece, span in zip(pieces, spans, strict=True) if piece.row is None for n in span}
    hurt = {n for piece, span in zip(pieces, spans, strict=True) if piece.touched for n in span}
    sentences = []
    loaded: Counter[int] = Counter()
    for line, cells in seen.good:
        row = row_of.get(cells)
        if row is not None and line_of_row.get(row) == line:
            loaded[row] += 1
        elif (line, cells) in also:
            loaded[next(p.row for p, at in zip(pieces, lines, strict=True) if at == line) or 0] += 1
        elif row is not None:
            sentences.append(f"row {row} of line {line_of_row.get(row)} is said to be in line {line}")
        elif with_table or line not in extra:
            sentences.append(f"line {line} is loaded wrong, without a word: {cells}")
    failed = {line for line, _ in seen.failures}
    for piece, line in zip(pieces, lines, strict=True):
        if piece.row is None:
            continue
        if loaded[piece.row] > 1:
            sentences.append(f"row {piece.row} is loaded {loaded[piece.row]} times")
        elif not loaded[piece.row] and (not piece.touched or piece.kept):
            sentences.append(f"row {piece.row} of line {line} is lost, and there is nothing wrong with it")
        elif not loaded[piece.row] and not failed & _touching(pieces, spans, line):
            sentences.append(f"row {piece.row} of line {line} is lost without a word")
    sentences += [
        f"a failure is said to be in line {line}: {what}"
        for line, what in seen.failures
        if line not in hurt | extra
    ]
    return sentences


def _touching(pieces: Sequence[Piece], spans: Sequence[Sequence[int]], line: int) -> set[int]:
    """Return the lines of the damage at `line`, which may extend over several pieces."""
    together: set[int] = set()
    for piece, span in zip(pieces, spans, strict=True):
        if piece.touched:
            together.update(span)
        elif line in together:
            break
        else:
            together.clear()
    return together


def _lines(pieces: Sequence[Piece]) -> tuple[list[int], list[list[int]]]:
    """Return the physical line where each piece begins, and all lines it touches."""
    text, starts, spans = b"".join(piece.text for piece in pieces), [], []
    ends = [match.end() for match in _END.finditer(text)]
    at = line = 0
    for piece in pieces:
        while line < len(ends) and ends[line] <= at:
            line += 1
        starts.append(line + 1)
        at += len(piece.text)
        last = line
        while last < len(ends) and ends[last] < at:
            last += 1
        spans.append(list(range(line + 1, last + 2)))
    return starts, spans
