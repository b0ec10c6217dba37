"""Opens a sheet of an .xlsx file, and hands its rows on in chunks."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.errors import FileError
from bulk_pipeline.limits import Limits
from bulk_pipeline.schema import Mode, Table, UploadFormat
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.parse import xlsx_header
from bulk_pipeline.stages.parse.cells import shown
from bulk_pipeline.stages.parse.column_names import ColumnNames
from bulk_pipeline.stages.parse.csv_dialect import HEADER_LINES
from bulk_pipeline.stages.parse.parsed import RAW, Dialect, FailureRows, Notes, Opened, Parsed, records_schema
from bulk_pipeline.stages.parse.xlsx_cells import ERRORS, Cell, Flaw
from bulk_pipeline.stages.parse.xlsx_choice import choose
from bulk_pipeline.stages.parse.xlsx_header import SheetHeader
from bulk_pipeline.stages.parse.xlsx_repeats import Judged, judged
from bulk_pipeline.stages.parse.xlsx_sheet import Row
from bulk_pipeline.stages.parse.xlsx_workbook import Workbook

_ROWS, _CHARACTERS = 8192, 8 << 20
"""The most in one chunk."""


def open_xlsx(
    path: Path,
    notes: Notes,
    declared: UploadFormat,
    *,
    table: Table | None,
    mode: Mode | None,
    limits: Limits,
    check: Callable[[], None],
) -> Opened:
    """The line of a row is its number in the sheet. Dates and times become ISO 8601; blank rows are none."""
    book = Workbook(path, limits, check)
    sheet = choose(book, declared, notes, table=table, mode=mode)
    rows = book.rows(sheet)
    first = list(itertools.islice(rows, HEADER_LINES))
    if not first:
        raise FileError("no_header", f"the sheet {sheet.name!r} is empty")
    names = ColumnNames(table, declared) if table else None
    found = _header(first, declared, names, mode, notes)
    notes.columns = found.columns.names
    skipped = (found.number or 1) - 1 - len(found.records_above)
    dialect = Dialect("xlsx", header=found.labels, header_line=found.number, skipped_lines=skipped)
    below = itertools.chain(first[found.above :], rows)
    bounded = _bounded(judged(found, below, names), path.stat().st_size, limits)
    return Opened(dialect, notes, _chunks(bounded, found, notes, book))


def _header(
    first: Sequence[Row], declared: UploadFormat, names: ColumnNames | None, mode: Mode | None, notes: Notes
) -> SheetHeader:
    if names is None:
        return xlsx_header.of_sheet(first, declared, notes)
    mode = mode or names.table.default_mode
    if declared.no_header:
        return xlsx_header.by_position(first, names, mode, notes)
    return xlsx_header.of_table(first, names, declared, mode, notes)


def _bounded(rows: Iterator[Judged], size: int, limits: Limits) -> Iterator[list[Judged]]:
    """The rows in batches. Any number of cells can refer to one long text: the rule for packed files holds here too."""
    batch: list[Judged] = []
    characters = total = 0
    for row, problem in rows:
        batch.append((row, problem))
        characters += sum([len(cell) for cell in row.cells if isinstance(cell, str)])
        if len(batch) == _ROWS or characters > _CHARACTERS:
            total += characters
            if total > limits.ratio_from_bytes and total > limits.ratio * size:
                raise FileError(
                    "too_large",
                    f"{size:,} bytes of .xlsx hold over {total:,} characters: looks like a compression bomb",
                )
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _chunks(
    batches: Iterator[list[Judged]], found: SheetHeader, notes: Notes, book: Workbook
) -> Iterator[Parsed]:
    first = 1
    try:
        for batch in batches:
            yield _chunk(batch, first, found, notes)
            first += len(batch)
    finally:
        book.close()


def _chunk(rows: Sequence[Judged], first: int, found: SheetHeader, notes: Notes) -> Parsed:
    failures = FailureRows()
    numbers, lines = range(first, first + len(rows)), [row.number for row, _ in rows]
    raw = [_object(found.labels, row.cells) for row, _ in rows]
    kept: list[tuple[int, Row]] = []
    for number, (row, problem), item in zip(numbers, rows, raw, strict=True):
        if problem is None:
            kept.append((number, row))
        else:
            failures.add(number, row.number, None, Code.MALFORMED_ROW, shown(item), problem)
    records = _records(kept, found, failures, notes)
    every = [pa.array(numbers, pa.int64()), pa.array(lines, pa.int64()), pa.array(raw, pa.binary())]
    return Parsed(records, pa.RecordBatch.from_arrays(every, schema=RAW), failures.batch())


def _records(
    rows: Sequence[tuple[int, Row]], found: SheetHeader, failures: FailureRows, notes: Notes
) -> pa.RecordBatch:
    width = len(found.labels)
    padded = [row.cells + [None] * (width - len(row.cells)) for _, row in rows]
    columns: list[Sequence[Cell]] = list(zip(*padded, strict=True)) or [()] * width
    numbers, lines = [number for number, _ in rows], [row.number for _, row in rows]
    texts = []
    for name, position in zip(found.columns.names, found.columns.positions, strict=True):
        cells = columns[position]
        try:
            column = pa.array(cells, pa.string())
        except (pa.ArrowTypeError, pa.ArrowInvalid):
            column = _without_flaws(cells, name, numbers, lines, failures)
        _warn_of_errors_as_text(column, name, lines, notes)
        texts.append(column)
    kept = [pa.array(numbers, pa.int64()), pa.array(lines, pa.int64())]
    return pa.RecordBatch.from_arrays([*kept, *texts], schema=records_schema(found.columns.names))


def _without_flaws(
    cells: Sequence[Cell], name: str, numbers: Sequence[int], lines: Sequence[int], failures: FailureRows
) -> pa.Array:
    for cell, number, line in zip(cells, numbers, lines, strict=True):
        if isinstance(cell, Flaw):
            failures.add(number, line, name, cell.code, cell.shown or None, f"{name} {cell.problem}")
    return pa.array([None if isinstance(cell, Flaw) else cell for cell in cells], pa.string())


def _warn_of_errors_as_text(column: pa.Array, name: str, lines: Sequence[int], notes: Notes) -> None:
    """A text that was typed or pasted is a text, also one like an error; but maybe nobody meant it."""
    found = pc.is_in(column, ERRORS)
    if pc.any(found).as_py():
        at = pc.index(found, True).as_py()
        begin = f"{name} has texts like the errors of formulas"
        if not any(warning.startswith(begin) for warning in notes.warnings):
            notes.warn(
                f"{begin}, such as {column[at].as_py()} in row {lines[at]} of the sheet: they were imported as texts"
            )


def _object(labels: Sequence[str], cells: Sequence[Cell]) -> bytes:
    if len(cells) > len(labels):
        added = [""] * (len(cells) - len(labels))
        labels = xlsx_header.labels([*labels, *added])
    found = dict(itertools.zip_longest(labels, cells))
    return orjson.dumps(found, default=_shown, option=orjson.OPT_PASSTHROUGH_DATACLASS)


def _shown(cell: object) -> str:
    return cell.shown if isinstance(cell, Flaw) else str(cell)
