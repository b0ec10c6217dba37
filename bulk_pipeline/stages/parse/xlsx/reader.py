"""Opens a sheet of an .xlsx file, and reads its rows in chunks."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.limits import Limits
from bulk_pipeline.schema import Mode, UploadFormat
from bulk_pipeline.stages.parse import header_match
from bulk_pipeline.stages.parse.cells import shown
from bulk_pipeline.stages.parse.column_names import ColumnNames
from bulk_pipeline.stages.parse.parsed import (
    RAW,
    RAW_KEPT_BYTES,
    STORED,
    Dialect,
    FailureRows,
    Notes,
    OpenFile,
    Oversize,
    ParseContext,
    ParsedChunk,
    code_of,
    records_schema,
)
from bulk_pipeline.stages.parse.xlsx import header
from bulk_pipeline.stages.parse.xlsx.cells import ERRORS, Cell, Flaw, StoredValue
from bulk_pipeline.stages.parse.xlsx.header import SheetHeader
from bulk_pipeline.stages.parse.xlsx.non_records import RowProblem, with_problems
from bulk_pipeline.stages.parse.xlsx.sheet import Row
from bulk_pipeline.stages.parse.xlsx.sheet_choice import choose
from bulk_pipeline.stages.parse.xlsx.workbook import Workbook

_BEYOND_BYTES = 100
"""Bytes that a cell beyond the header takes for its made-up name."""
_ROWS = 8192
"""The most rows in one chunk."""


def open_xlsx(path: Path, context: ParseContext) -> OpenFile:
    """Open the sheet to import. The line of a row is its number in the sheet; blank rows are skipped.

    Dates and times become ISO 8601. Raises `FileError` if there is no such sheet, or its header cannot be used.
    """
    notes, declared, limits = context.notes, context.declared, context.limits
    table, mode = context.table, context.mode
    marks_stored = declared.has_notation
    book = Workbook(path, limits, context.check, marks_stored=marks_stored)
    sheet = choose(book, declared, notes, table=table, mode=mode)
    rows = book.rows(sheet)
    first = header.first_rows(rows, declared)
    if declared.header_row and not first:
        raise _empty_header_row(declared.header_row, sheet.name, book.rows(sheet))
    if not first:
        raise FileError(FileErrorCode.NO_HEADER, f"the sheet {sheet.name!r} is empty")
    names = ColumnNames(table, declared) if table else None
    choice_warnings = tuple(notes.warnings)
    try:
        sheet_header = _header(first, declared, names, mode, notes, limits)
    except FileError as problem:
        error = header_match.of_declared_row(problem, declared)
        if not choice_warnings:
            raise error from problem
        raise FileError(
            error.code, "; ".join([f"{error} (in the sheet {sheet.name!r})", *choice_warnings])
        ) from problem
    notes.columns = sheet_header.columns.names
    skipped = (sheet_header.number or 1) - 1 - len(sheet_header.records_above)
    dialect = Dialect(
        "xlsx", header=sheet_header.labels, header_line=sheet_header.number, skipped_lines=skipped
    )
    below = itertools.chain(first[sheet_header.above :], rows)
    bounded = _bounded(with_problems(sheet_header, below, names), sheet_header.labels, limits)
    return OpenFile(dialect, notes, _chunks(bounded, sheet_header, notes, book, marks_stored))


def _header(
    first: Sequence[Row],
    declared: UploadFormat,
    names: ColumnNames | None,
    mode: Mode | None,
    notes: Notes,
    limits: Limits,
) -> SheetHeader:
    if names is None:
        return header.of_sheet(first, declared, notes, limits)
    mode = mode or names.table.default_mode
    if declared.no_header:
        return header.by_position(first, names, mode, notes)
    return header.of_table(first, names, declared, mode, notes, limits)


def _empty_header_row(number: int, sheet: str, rows: Iterable[Row]) -> FileError:
    last = 0
    for row in rows:
        last = row.number
    return FileError(
        FileErrorCode.BAD_DECLARATION,
        f"header_row: {number} is declared, and row {number} of the sheet {sheet!r} is empty: found its last cells in "
        f"row {last}; {header_match.DECLARE_ROW}",
    )


def _bounded(rows: Iterator[RowProblem], labels: Sequence[str], limits: Limits) -> Iterator[list[RowProblem]]:
    """Yield the rows in batches of bounded size, with a problem for each row that exceeds a limit.

    Size counts every use of a text, since many cells can refer to one long text, and the column names of each row,
    which reports repeat.
    """
    batch: list[RowProblem] = []
    names = 4 * sum(map(len, labels))
    size = 0
    for row, problem in rows:
        characters = sum([len(cell) for cell in row.cells if isinstance(cell, str)])
        if 4 * characters > min(limits.cell_bytes, limits.row_bytes):
            oversize = _oversize(row, labels, limits)
            characters, problem = (RAW_KEPT_BYTES, oversize) if oversize else (characters, problem)
        batch.append((row, problem))
        size += characters + names + _BEYOND_BYTES * max(0, len(row.cells) - len(labels))
        if len(batch) == _ROWS or size > limits.batch_bytes // 2:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _oversize(row: Row, labels: Sequence[str], limits: Limits) -> Oversize | None:
    total = 0
    for at, cell in enumerate(row.cells):
        if isinstance(cell, str):
            size = len(cell) if cell.isascii() else 4 * len(cell)
            total += size
            if size > limits.cell_bytes:
                name = labels[at] if at < len(labels) else f"column {at + 1}"
                return Oversize(
                    f"has {len(cell):,} characters in {name}: of bytes, {limits.of('cell_bytes')}"
                )
    if total > limits.row_bytes:
        return Oversize(f"is longer than a row may be, {limits.of('row_bytes')}")
    return None


def _chunks(
    batches: Iterator[list[RowProblem]],
    sheet_header: SheetHeader,
    notes: Notes,
    book: Workbook,
    marks_stored: bool,
) -> Iterator[ParsedChunk]:
    first = 1
    try:
        for batch in batches:
            yield _chunk(batch, first, sheet_header, notes, marks_stored)
            first += len(batch)
    finally:
        book.close()


def _chunk(
    rows: Sequence[RowProblem], first: int, sheet_header: SheetHeader, notes: Notes, marks_stored: bool
) -> ParsedChunk:
    failures = FailureRows()
    numbers, lines = range(first, first + len(rows)), [row.number for row, _ in rows]
    raw = [_object(sheet_header.labels, _shortened(row, problem)) for row, problem in rows]
    good: list[tuple[int, Row]] = []
    for number, (row, problem), item in zip(numbers, rows, raw, strict=True):
        if problem is None:
            good.append((number, row))
        else:
            failures.add(number, row.number, None, code_of(problem), shown(item), problem)
    records = _records(good, sheet_header, failures, notes, marks_stored)
    all_rows = [pa.array(numbers, pa.int64()), pa.array(lines, pa.int64()), pa.array(raw, pa.binary())]
    return ParsedChunk(records, pa.RecordBatch.from_arrays(all_rows, schema=RAW), failures.batch())


def _records(
    rows: Sequence[tuple[int, Row]],
    sheet_header: SheetHeader,
    failures: FailureRows,
    notes: Notes,
    marks_stored: bool,
) -> pa.RecordBatch:
    width = len(sheet_header.labels)
    padded = [row.cells + [None] * (width - len(row.cells)) for _, row in rows]
    columns: list[Sequence[Cell]] = list(zip(*padded, strict=True)) or [()] * width
    numbers, lines = [number for number, _ in rows], [row.number for _, row in rows]
    texts, stored = [], []
    for name, position in zip(sheet_header.columns.names, sheet_header.columns.positions, strict=True):
        cells = columns[position]
        try:
            column = pa.array(cells, pa.string())
        except (pa.ArrowTypeError, pa.ArrowInvalid):
            column = _without_flaws(cells, name, numbers, lines, failures)
        _warn_of_errors_as_text(column, name, lines, notes)
        texts.append(column)
        if marks_stored:
            stored.append(pa.array([isinstance(cell, StoredValue) for cell in cells], pa.bool_()))
    places = [pa.array(numbers, pa.int64()), pa.array(lines, pa.int64())]
    names = sheet_header.columns.names
    records = pa.RecordBatch.from_arrays([*places, *texts], schema=records_schema(names))
    if not marks_stored:
        return records
    return records.append_column(STORED, pa.StructArray.from_arrays(stored, names))


def _without_flaws(
    cells: Sequence[Cell], name: str, numbers: Sequence[int], lines: Sequence[int], failures: FailureRows
) -> pa.Array:
    for cell, number, line in zip(cells, numbers, lines, strict=True):
        if isinstance(cell, Flaw):
            failures.add(number, line, name, cell.code, cell.shown or None, f"{name} {cell.problem}")
    return pa.array([None if isinstance(cell, Flaw) else cell for cell in cells], pa.string())


def _warn_of_errors_as_text(column: pa.Array, name: str, lines: Sequence[int], notes: Notes) -> None:
    """Warn of texts that look like errors of formulas: they were typed or pasted, but probably by mistake."""
    is_error = pc.is_in(column, ERRORS)
    if pc.any(is_error).as_py():
        at = pc.index(is_error, True).as_py()
        begin = f"{name} has texts like the errors of formulas"
        if not any(warning.startswith(begin) for warning in notes.warnings):
            notes.warn(
                f"{begin}, such as {column[at].as_py()} in row {lines[at]} of the sheet: they were imported as texts"
            )


def _shortened(row: Row, problem: str | None) -> Sequence[Cell]:
    """Return the cells of a row, cut if the row exceeds a limit."""
    if not isinstance(problem, Oversize):
        return row.cells
    cells: list[Cell] = []
    left = RAW_KEPT_BYTES
    for cell in row.cells:
        cells.append(cell[:left] if isinstance(cell, str) else cell)
        left -= len(cell) if isinstance(cell, str) else 0
        if left <= 0:
            break
    return cells


def _object(labels: Sequence[str], cells: Sequence[Cell]) -> bytes:
    if len(cells) > len(labels):
        added = [""] * (len(cells) - len(labels))
        labels = header.labels([*labels, *added])
    members = dict(itertools.zip_longest(labels, cells))
    return orjson.dumps(members, default=_shown, option=orjson.OPT_PASSTHROUGH_DATACLASS)


def _shown(cell: object) -> str:
    return cell.shown if isinstance(cell, Flaw) else str(cell)
