"""Opens a delimited file: dialect, header, columns; the records themselves are read by `csv_blocks`."""

from collections.abc import Sequence

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import Mode, Table, UploadFormat
from bulk_pipeline.stages.file_formats import HEAD_BYTES
from bulk_pipeline.stages.parse import csv_header, header
from bulk_pipeline.stages.parse.chunks import Chunks
from bulk_pipeline.stages.parse.csv_blocks import read_blocks
from bulk_pipeline.stages.parse.csv_dialect import HEADER_LINES, detect
from bulk_pipeline.stages.parse.csv_header import Header, Line
from bulk_pipeline.stages.parse.csv_plan import Plan, Syntax
from bulk_pipeline.stages.parse.csv_second_table import only_first_table
from bulk_pipeline.stages.parse.header import Columns
from bulk_pipeline.stages.parse.limits import Limits
from bulk_pipeline.stages.parse.parsed import Dialect, Notes, Opened


def open_csv(
    chunks: Chunks,
    encoding: str,
    notes: Notes,
    declared: UploadFormat,
    *,
    table: Table | None,
    mode: Mode | None,
    limits: Limits,
    fast: bool = True,
) -> Opened:
    """Text in UTF-8 as records. Raises `FileError` for a header that cannot be used."""
    size = HEAD_BYTES
    head = chunks.peek(size)
    if b"\n" not in head and b"\r" not in head:
        size = limits.record_bytes  # one very long line, maybe a very wide header
        head = chunks.peek(size)
    final = len(head) < size
    syntax = detect(head, table)
    if table is None:
        lines = list(csv_header.first_lines(head, final, syntax, limits, csv_header.SAMPLE_RECORDS))
        found = csv_header.of_file(lines, syntax, notes)
        columns = header.of_file(found.cells, found.width, notes)
    else:
        lines = list(csv_header.first_lines(head, final, syntax, limits, HEADER_LINES))
        found, columns = _of_table(lines, syntax, table, mode, notes)
    if found.width > limits.columns:
        raise FileError("too_large", f"the file has {found.width:,} columns, the limit is {limits.columns:,}")
    skipped = (found.line or 1) - 1
    if skipped and _lines_before(head, found.line):
        notes.warn(f"the header is in line {found.line}: {_many(skipped)} not used")
    notes.columns = columns.names
    labels = found.cells if found.cells else columns.names
    plan = Plan(syntax, found.width, columns.names, columns.positions, labels, found.raw, limits, encoding)
    dialect = Dialect(
        format="csv",
        encoding=encoding,
        delimiter=syntax.delimiter.decode(),
        quote=syntax.quote.decode() or None,
        escape=syntax.escape.decode() or None,
        header=found.cells,
        header_line=found.line,
        skipped_lines=skipped,
        record_end=csv_header.record_end(head),
    )
    chunks.drop(found.end)
    parsed = read_blocks(chunks, plan, found.next_line, fast=fast)
    return Opened(dialect, notes, parsed if table is None else only_first_table(parsed, plan, table))


def _of_table(
    lines: Sequence[Line], syntax: Syntax, table: Table, mode: Mode | None, notes: Notes
) -> tuple[Header, Columns]:
    """By name; else by position; else the error says what is wrong with the names."""
    mode = mode or table.default_mode
    try:
        found = csv_header.of_table(lines, table, table.required_columns(mode))
        return found, header.of_table(found.cells, table, mode, notes)
    except FileError:
        placed = csv_header.by_position(lines, syntax, table, mode, notes)
        if placed is None:
            raise
        return placed, Columns(placed.cells, tuple(range(placed.width)))


def _lines_before(head: bytes, line: int | None) -> bool:
    return any(before.strip() for before in head.splitlines()[: (line or 1) - 1])


def _many(lines: int) -> str:
    return "the line before it was" if lines == 1 else f"the {lines} lines before it were"
