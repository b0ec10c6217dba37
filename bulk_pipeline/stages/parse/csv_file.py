"""Opens a delimited file: dialect, header, columns; the records themselves are read by `csv_blocks`."""

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import Mode, Table
from bulk_pipeline.stages.parse import csv_header, header
from bulk_pipeline.stages.parse.chunks import Chunks
from bulk_pipeline.stages.parse.csv_blocks import read_blocks
from bulk_pipeline.stages.parse.csv_dialect import detect
from bulk_pipeline.stages.parse.csv_plan import Plan
from bulk_pipeline.stages.parse.limits import HEAD_BYTES, Limits
from bulk_pipeline.stages.parse.parsed import Dialect, Notes, Opened


def open_csv(
    chunks: Chunks,
    encoding: str,
    notes: Notes,
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
        found = csv_header.of_file(head, final, syntax, limits, notes)
        columns = header.of_file(found.cells, found.width, notes)
    else:
        required = table.required_columns(mode or table.default_mode)
        found = csv_header.of_table(head, final, syntax, table, required, limits)
        columns = header.of_table(found.cells, table, mode, notes)
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
    return Opened(dialect, notes, read_blocks(chunks, plan, found.next_line, fast=fast))


def _lines_before(head: bytes, line: int | None) -> bool:
    return any(before.strip() for before in head.splitlines()[: (line or 1) - 1])


def _many(lines: int) -> str:
    return "the line before it was" if lines == 1 else f"the {lines} lines before it were"
