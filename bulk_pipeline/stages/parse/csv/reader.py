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
from bulk_pipeline.stages.parse.csv.declared import (
    drop_lines_above,
    of_report,
    refuse_blank_header,
    refuse_delimiter,
    refuse_quote,
)
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
    notes, limits, table, mode = context.notes, context.limits, context.table, context.mode
    chunks = Chunks(shortened_lines(chunks, limits))
    declared = of_report(chunks.peek(HEAD_BYTES), context.declared)
    first_line = declared.header_row or 1
    drop_lines_above(chunks, first_line)
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
    mode = mode or (table and table.default_mode)
    required = () if table is None or mode is None else table.required_columns(mode)
    syntax = detect(head, names, required, declared)
    most = header.SAMPLE_RECORDS if names is None else HEADER_LINES
    lines = list(header.first_lines(head, final, syntax, limits, most, first_line))
    if declared.header_row:
        refuse_blank_header(lines, declared.header_row)
    if names is None or mode is None:
        file_header = header.of_file(lines, syntax, notes, declared)
        if file_header.width == 1:
            refuse_delimiter(lines, declared, head, None)
        columns = header_match.of_file(file_header.cells, file_header.width, notes)
    else:
        usable = lines if declared.header_row else header.without_hint(lines)
        try:
            file_header, columns = _of_table(usable, syntax, names, mode, declared, notes)
        except FileError:
            refuse_delimiter(usable, declared, head, names)
            raise
    refuse_quote(file_header, declared)
    if encoding == "utf-8" and (problem := _bad_header(file_header.raw)):
        notes.warn(problem)
    header_match.refuse_oversize(file_header.cells, file_header.width, limits)
    above = [] if names is None else header.rows_above(lines, file_header, names)
    skipped = (file_header.line or 1) - 1 - sum(line.next_number - line.number for line in above)
    before = sum(line.number < (file_header.line or 0) for line in lines)
    has_titles = first_line > 1 or before > len(above)
    _warn_of_lines_before(file_header, len(above), skipped if has_titles else 0, notes)
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
        required, is_first = table.required_columns(mode), declared.header_row is not None
        try:
            file_header = header.of_table(lines, names, required, is_first=is_first)
            return file_header, header_match.of_table(file_header.cells, table, mode, notes, declared)
        except FileError as error:
            by_position = None if is_first else header.by_position(lines, syntax, table, mode, notes)
            if by_position is None:
                raise _with_remedies(error, lines, declared) from error
    header_match.warn_of_unused((), names, notes)
    return by_position, Columns(by_position.cells, tuple(range(by_position.width)))


def _with_remedies(error: FileError, lines: Sequence[Line], declared: UploadFormat) -> FileError:
    """Return the error with possible causes of a header that names too few columns, and the declaration that helps."""
    sentences = [str(error)]
    if lines and (problem := _bad_header(lines[0].raw)):
        sentences.append(problem)
    may_be_row = declared.header_row is None and error.code in (
        FileErrorCode.NO_HEADER,
        FileErrorCode.MISSING_COLUMN,
    )
    if may_be_row:
        sentences.append("if the first line is a row, declare header: none (--header none)")
    return header_match.of_declared_row(FileError(error.code, "; ".join(sentences)), declared)


def _bad_header(line: bytes) -> str | None:
    """Return the problem of a header that is not UTF-8, else None."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"the header {not_utf8(line, error.start)}"
    return None


def _warn_of_lines_before(file_header: Header, records: int, titles: int, notes: Notes) -> None:
    """Warn of lines above the header: `records` are rejected, and the other `titles` lines are not used."""
    remarks = []
    if titles:
        lines_were = "the line before it was" if titles == 1 else f"the {titles} lines before it were"
        remarks.append(
            f"{titles} of the lines before it were not used" if records else f"{lines_were} not used"
        )
    if records:
        remarks.append(f"{records} records above it are rejected")
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
