"""Opens a delimited file: dialect, header, columns; the records themselves are read by `csv_blocks`."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

import pyarrow as pa

from bulk_pipeline.errors import FileError
from bulk_pipeline.limits import Limits
from bulk_pipeline.schema import Mode, Table, UploadFormat
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.file_formats import HEAD_BYTES
from bulk_pipeline.stages.parse import csv_header, header
from bulk_pipeline.stages.parse.cells import not_utf8, shown
from bulk_pipeline.stages.parse.chunks import Chunks
from bulk_pipeline.stages.parse.column_names import ColumnNames
from bulk_pipeline.stages.parse.csv_blocks import read_blocks
from bulk_pipeline.stages.parse.csv_dialect import HEADER_LINES, detect
from bulk_pipeline.stages.parse.csv_header import Header, Line
from bulk_pipeline.stages.parse.csv_long_lines import shortened_lines
from bulk_pipeline.stages.parse.csv_plan import Plan, Syntax
from bulk_pipeline.stages.parse.csv_second_table import only_first_table
from bulk_pipeline.stages.parse.header import Columns
from bulk_pipeline.stages.parse.parsed import RAW, Dialect, FailureRows, Notes, Opened, Parsed, empty


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
    chunks = Chunks(shortened_lines(chunks, limits))
    size = HEAD_BYTES
    head = chunks.peek(size)
    if b"\n" not in head and b"\r" not in head:
        size = limits.row_bytes + 1  # one very long line, maybe a very wide header
        head = chunks.peek(size)
    final = len(head) < size
    if not final and b"\n" not in head and b"\r" not in head:
        raise FileError("too_large", f"the first line is longer than a row may be: {limits.of('row_bytes')}")
    names = None if table is None else ColumnNames(table, declared)
    if table is None or names is None:
        syntax = detect(head, None)
        lines = list(csv_header.first_lines(head, final, syntax, limits, csv_header.SAMPLE_RECORDS))
        found = csv_header.of_file(lines, syntax, notes, no_header=declared.no_header)
        columns = header.of_file(found.cells, found.width, notes)
    else:
        mode = mode or table.default_mode
        syntax = detect(head, names, table.required_columns(mode))
        lines = list(csv_header.first_lines(head, final, syntax, limits, HEADER_LINES))
        found, columns = _of_table(csv_header.without_hint(lines), syntax, names, mode, declared, notes)
    if encoding == "utf-8" and (problem := _bad_header(found.raw)):
        notes.warn(problem)
    header.refuse_oversize(found.cells, found.width, limits)
    above = [] if names is None else csv_header.rows_above(lines, found, names)
    skipped = (found.line or 1) - 1 - sum(line.next_number - line.number for line in above)
    _warn_of_lines_before(lines, found, above, skipped, notes)
    if below := csv_header.below_ruler(lines, found):
        notes.warn(f"the line of dashes below the header (line {found.next_line}) was not used")
        found = below
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
    parsed = read_blocks(chunks, plan, found.next_line, row=1 + len(above), fast=fast)
    if names is not None:
        parsed = only_first_table(parsed, plan, names)
    return Opened(dialect, notes, chain(_rejected(above, found, columns), parsed))


def _of_table(
    lines: Sequence[Line],
    syntax: Syntax,
    names: ColumnNames,
    mode: Mode,
    declared: UploadFormat,
    notes: Notes,
) -> tuple[Header, Columns]:
    """By name; by position where it is declared that there is no header, or no line can be one."""
    table = names.table
    if declared.no_header:
        placed = csv_header.declared_none(lines, syntax, table, mode, notes)
    else:
        try:
            found = csv_header.of_table(lines, names, table.required_columns(mode))
            return found, header.of_table(found.cells, table, mode, notes, declared)
        except FileError as error:
            placed = csv_header.by_position(lines, syntax, table, mode, notes)
            if placed is None:
                raise FileError(error.code, "; ".join([str(error), *_remedies(error, lines)])) from error
    header.warn_of_unused((), names, notes)
    return placed, Columns(placed.cells, tuple(range(placed.width)))


def _remedies(error: FileError, lines: Sequence[Line]) -> Iterator[str]:
    """What may be wrong with a header that names no columns, and what to declare."""
    if lines and (problem := _bad_header(lines[0].raw)):
        yield problem
    if error.code in ("no_header", "missing_column"):
        yield "if the first line is a row, declare header: none (--header none)"


def _bad_header(line: bytes) -> str | None:
    """What to do about a header that is not UTF-8; None for any other."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return f"the header {not_utf8(line)}"
    return None


def _warn_of_lines_before(
    lines: Sequence[Line], found: Header, above: Sequence[Line], skipped: int, notes: Notes
) -> None:
    before = [line for line in lines if found.line is not None and line.number < found.line]
    told = []
    if len(before) > len(above):
        were = "the line before it was" if skipped == 1 else f"the {skipped} lines before it were"
        told.append(f"{were} not used" if not above else f"{skipped} of the lines before it were not used")
    if above:
        told.append(f"{len(above)} records above it are rejected")
    if told:
        notes.warn(f"the header is in line {found.line}: {', '.join(told)}")


def _rejected(above: Sequence[Line], found: Header, columns: Columns) -> Iterator[Parsed]:
    """A chunk of the records above the header."""
    if not above:
        return
    failures = FailureRows()
    for row, line in enumerate(above, 1):
        problem = f"stands above the header, which is in line {found.line}"
        failures.add(row, line.number, None, Code.MALFORMED_ROW, shown(line.raw), problem)
    raw = [{"_row": row, "_line": line.number, "raw": line.raw} for row, line in enumerate(above, 1)]
    yield replace(
        empty(columns.names), raw=pa.RecordBatch.from_pylist(raw, schema=RAW), failures=failures.batch()
    )
