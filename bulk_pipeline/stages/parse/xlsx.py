"""Opens the first sheet of an .xlsx file. The sheet is held in memory, so its size is limited."""

import itertools
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path

import orjson
import pyarrow as pa
from python_calamine import CalamineError, CalamineWorkbook

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import Mode, Table, UploadFormat
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.parse import header
from bulk_pipeline.stages.parse.cells import shown
from bulk_pipeline.stages.parse.compression import BAD_ZIP
from bulk_pipeline.stages.parse.csv_dialect import HEADER_LINES, usual_width
from bulk_pipeline.stages.parse.data_shape import looks_like_data
from bulk_pipeline.stages.parse.header import Columns
from bulk_pipeline.stages.parse.limits import Limits
from bulk_pipeline.stages.parse.parsed import RAW, Dialect, FailureRows, Notes, Opened, Parsed, records_schema
from bulk_pipeline.stages.parse.xlsx_bounds import bounded_copy

_ROWS = 8192

Row = list[str | None]


def open_xlsx(
    path: Path,
    notes: Notes,
    declared: UploadFormat,
    *,
    table: Table | None,
    mode: Mode | None,
    limits: Limits,
) -> Opened:
    """Rows have no lines. Dates and times become ISO 8601, whole numbers have no `.0`, blank rows are
    none."""
    rows = _filled(_rows(path, limits))
    first = list(itertools.islice(rows, HEADER_LINES))
    numbers = [number for number, _ in first]
    if not first:
        raise FileError("no_header", "the first sheet is empty")
    index = (
        _of_table([row for _, row in first], table, declared)
        if table
        else _of_file([row for _, row in first])
    )
    names = [cell or "" for cell in first[index][1]]
    following = [[cell or "" for cell in row] for _, row in first[index + 1 :]]
    if table is not None:
        columns = header.of_table(names, table, mode, notes, declared)
    elif looks_like_data(names, following):
        notes.warn("the sheet has no header: its columns were named column_1, column_2, …")
        width, names, index = len(names), [], -1
        columns = header.of_file([], width, notes)
    else:
        columns = header.of_file(names, len(names), notes)
    if index > 0:
        notes.warn(f"the header is in row {numbers[index]} of the sheet: the rows before it were not used")
    notes.columns = columns.names
    line = numbers[index] if index >= 0 else None
    dialect = Dialect("xlsx", header=tuple(names), header_line=line, skipped_lines=(line or 1) - 1)
    data = itertools.chain((row for _, row in first[index + 1 :]), (row for _, row in rows))
    return Opened(dialect, notes, _chunks(data, names or list(columns.names), columns))


def _rows(path: Path, limits: Limits) -> Iterator[Row]:
    try:
        sheet = CalamineWorkbook.from_path(str(bounded_copy(path, limits))).get_sheet_by_index(0)
        for row in sheet.iter_rows():
            yield [_text(value) for value in row]
    except (CalamineError, *BAD_ZIP) as error:
        raise _unreadable(error) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # how a crash inside calamine shows, above Exception
            raise
        raise _unreadable(error) from error


def _filled(rows: Iterator[Row]) -> Iterator[tuple[int, Row]]:
    """Rows with something in them, with their number, and without the empty cells at their end."""
    for number, row in enumerate(rows, 1):
        while row and row[-1] is None:
            row.pop()
        if row:
            yield number, row


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e16 else repr(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    return str(value).strip(" \t") or None


def _of_table(rows: Sequence[Row], table: Table, declared: UploadFormat) -> int:
    counts = [len(header.known((cell or "" for cell in row), table, declared)) for row in rows]
    return counts.index(max(counts))


def _of_file(rows: Sequence[Row]) -> int:
    width = usual_width([len(row) for row in rows])
    enough = max(min(2, width), round(0.6 * width))
    return next((i for i, row in enumerate(rows) if sum(cell is not None for cell in row) >= enough), 0)


def _chunks(rows: Iterator[Row], names: Sequence[str], columns: Columns) -> Iterator[Parsed]:
    first = 1
    while batch := list(itertools.islice(rows, _ROWS)):
        yield _chunk(batch, first, names, columns)
        first += len(batch)


def _chunk(rows: Sequence[Row], first: int, names: Sequence[str], columns: Columns) -> Parsed:
    failures = FailureRows()
    numbers: list[int] = []
    cells: list[list[str | None]] = [[] for _ in columns.names]
    raw = [_object(names, row) for row in rows]
    for number, (row, item) in enumerate(zip(rows, raw, strict=True), first):
        problem = _problem(row, names)
        if problem is not None:
            failures.add(number, None, None, Code.MALFORMED_ROW, shown(item), problem)
            continue
        numbers.append(number)
        for column, position in zip(cells, columns.positions, strict=True):
            column.append(row[position] if position < len(row) else None)
    texts = [pa.array(column, pa.string()) for column in cells]
    kept = [pa.array(numbers, pa.int64()), pa.nulls(len(numbers), pa.int64())]
    every = [pa.array(range(first, first + len(rows)), pa.int64()), pa.nulls(len(rows), pa.int64())]
    return Parsed(
        pa.RecordBatch.from_arrays([*kept, *texts], schema=records_schema(columns.names)),
        pa.RecordBatch.from_arrays([*every, pa.array(raw, pa.binary())], schema=RAW),
        failures.batch(),
    )


def _problem(row: Row, names: Sequence[str]) -> str | None:
    if len(row) > len(names):
        return f"has {len(row)} cells, expected {len(names)}"
    if [cell or "" for cell in row] == list(names):
        return "the header is repeated here"
    return None


def _object(names: Sequence[str], row: Row) -> bytes:
    keys = [
        names[i] if i < len(names) and names[i] else f"column_{i + 1}"
        for i in range(max(len(names), len(row)))
    ]
    return orjson.dumps(dict(itertools.zip_longest(keys, row)))


def _unreadable(error: BaseException) -> FileError:
    return FileError("unreadable_file", f"the .xlsx file is damaged: {error}")
