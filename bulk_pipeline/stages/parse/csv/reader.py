"""Opens a delimited file: detects its dialect, header and columns. `blocks` reads the records."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.schema import Mode, UploadFormat
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.file_formats import HEAD_BYTES
from bulk_pipeline.stages.parse import header_match
from bulk_pipeline.stages.parse.cells import not_utf8, shown
from bulk_pipeline.stages.parse.column_names import ColumnNames
from bulk_pipeline.stages.parse.csv import header
from bulk_pipeline.stages.parse.csv.blocks import read_blocks
from bulk_pipeline.stages.parse.csv.dialect import HEADER_LINES, detect
from bulk_pipeline.stages.parse.csv.header import Header, Line
from bulk_pipeline.stages.parse.csv.long_lines import shortened_lines
from bulk_pipeline.stages.parse.csv.second_table import first_table_only
from bulk_pipeline.stages.parse.csv.syntax import Plan, Syntax
from bulk_pipeline.stages.parse.header_match import Columns
from bulk_pipeline.stages.parse.parsed import (
    RAW,
    Dialect,
    FailureRows,
    Notes,
    OpenFile,
    ParseContext,
    ParsedChunk,
    empty,
)
from bulk_pipeline.stages.parse.stream import Chunks


def open_csv(chunks: Chunks, encoding: str, context: ParseContext, *, fast: bool = True) -> OpenFile:
    """Return the records of UTF-8 text. Raises `FileError` if the header cannot be used."""
    notes, declared, limits = context.notes, context.declared, context.limits
    table, mode = context.table, context.mode
    chunks = Chunks(shortened_lines(chunks, limits))
    size = HEAD_BYTES
    head = chunks.peek(size)
    if b"\n" not in head and b"\r" not in head:
        size = limits.row_bytes + 1  # one very long line, maybe a very wide header
        head = chunks.peek(size)
    final = len(head) < size
    if not final and b"\n" not in head and b"\r" not in head:
        raise FileError(
            FileErrorCode.TOO_LARGE, f"the first line is longer than a row may be: {limits.of('row_bytes')}"
        )
    names = None if table is None else ColumnNames(table, declared)
    if table is None or names is None:
        syntax = detect(head, None)
        lines = list(header.first_lines(head, final, syntax, limits, header.SAMPLE_RECORDS))
        file_header = header.of_file(lines, syntax, notes, no_header=declared.no_header)
        columns = header_match.of_file(file_header.cells, file_header.width, notes)
    else:
        mode = mode or table.default_mode
        syntax = detect(head, names, table.required_columns(mode))
        lines = list(header.first_lines(head, final, syntax, limits, HEADER_LINES))
        file_header, columns = _of_table(header.without_hint(lines), syntax, names, mode, declared, notes)
    if encoding == "utf-8" and (problem := _bad_header(file_header.raw)):
        notes.warn(problem)
    header_match.refuse_oversize(file_header.cells, file_header.width, limits)
    above = [] if names is None else header.rows_above(lines, file_header, names)
    skipped = (file_header.line or 1) - 1 - sum(line.next_number - line.number for line in above)
    _warn_of_lines_before(lines, file_header, above, skipped, notes)
    if below := header.below_ruler(lines, file_header):
        notes.warn(f"the line of dashes below the header (line {file_header.next_line}) was not used")
        file_header = below
    notes.columns = columns.names
    empty_rows = table is not None and table.may_hold_empty_rows
    if empty_rows and file_header.line is None and header.without_hint(lines) is lines:
        file_header = replace(file_header, end=0, next_line=1)
    labels = file_header.cells if file_header.cells else columns.names
    plan = Plan(
        syntax,
        file_header.width,
        columns.names,
        columns.positions,
        labels,
        file_header.raw,
        limits,
        encoding,
        empty_rows,
    )
    dialect = Dialect(
        format="csv",
        encoding=encoding,
        delimiter=syntax.delimiter.decode(),
        quote=syntax.quote.decode() or None,
        escape=syntax.escape.decode() or None,
        header=file_header.cells,
        header_line=file_header.line,
        skipped_lines=skipped,
        record_end=header.record_end(head),
    )
    chunks.drop(file_header.end)
    parsed = read_blocks(chunks, plan, file_header.next_line, row=1 + len(above), fast=fast)
    if names is not None:
        parsed = first_table_only(parsed, plan, names)
    if empty_rows:
        parsed = _counting_empty_rows(parsed, notes)
    return OpenFile(dialect, notes, chain(_rejected(above, file_header, columns), parsed))


def _counting_empty_rows(chunks: Iterable[ParsedChunk], notes: Notes) -> Iterator[ParsedChunk]:
    """Yield the chunks, and warn of rows without any value: a spreadsheet may have left them at the end."""
    count = 0
    for parsed in chunks:
        is_empty = np.ones(parsed.records.num_rows, np.bool_)
        for column in parsed.records.columns[2:]:
            is_empty &= pc.is_null(column).to_numpy(zero_copy_only=False)
        count += int(is_empty.sum())
        yield parsed
    if count:
        rows = "1 row has no value" if count == 1 else f"{count:,} rows have no value"
        notes.warn(f"{rows}: lines of empty cells are rows here, since the table requires no value")


def _of_table(
    lines: Sequence[Line],
    syntax: Syntax,
    names: ColumnNames,
    mode: Mode,
    declared: UploadFormat,
    notes: Notes,
) -> tuple[Header, Columns]:
    """Match columns by name, or by position if the file is declared to have no header or no line can be one."""
    table = names.table
    if declared.no_header:
        by_position = header.declared_none(lines, syntax, table, mode, notes)
    else:
        try:
            file_header = header.of_table(lines, names, table.required_columns(mode))
            return file_header, header_match.of_table(file_header.cells, table, mode, notes, declared)
        except FileError as error:
            by_position = header.by_position(lines, syntax, table, mode, notes)
            if by_position is None:
                raise FileError(error.code, "; ".join([str(error), *_remedies(error, lines)])) from error
    header_match.warn_of_unused((), names, notes)
    return by_position, Columns(by_position.cells, tuple(range(by_position.width)))


def _remedies(error: FileError, lines: Sequence[Line]) -> Iterator[str]:
    """Yield possible causes of a header that names no columns, and the declaration that helps."""
    if lines and (problem := _bad_header(lines[0].raw)):
        yield problem
    if error.code in (FileErrorCode.NO_HEADER, FileErrorCode.MISSING_COLUMN):
        yield "if the first line is a row, declare header: none (--header none)"


def _bad_header(line: bytes) -> str | None:
    """Return the problem of a header that is not UTF-8, else None."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"the header {not_utf8(line, error.start)}"
    return None


def _warn_of_lines_before(
    lines: Sequence[Line], file_header: Header, above: Sequence[Line], skipped: int, notes: Notes
) -> None:
    before = [line for line in lines if file_header.line is not None and line.number < file_header.line]
    remarks = []
    if len(before) > len(above):
        lines_were = "the line before it was" if skipped == 1 else f"the {skipped} lines before it were"
        remarks.append(
            f"{lines_were} not used" if not above else f"{skipped} of the lines before it were not used"
        )
    if above:
        remarks.append(f"{len(above)} records above it are rejected")
    if remarks:
        notes.warn(f"the header is in line {file_header.line}: {', '.join(remarks)}")


def _rejected(above: Sequence[Line], file_header: Header, columns: Columns) -> Iterator[ParsedChunk]:
    """Yield one chunk that rejects the records above the header, if there are any."""
    if not above:
        return
    failures = FailureRows()
    for row, line in enumerate(above, 1):
        problem = f"stands above the header, which is in line {file_header.line}"
        failures.add(row, line.number, None, Code.MALFORMED_ROW, shown(line.raw), problem)
    raw = [{"_row": row, "_line": line.number, "raw": line.raw} for row, line in enumerate(above, 1)]
    yield replace(
        empty(columns.names), raw=pa.RecordBatch.from_pylist(raw, schema=RAW), failures=failures.batch()
    )
