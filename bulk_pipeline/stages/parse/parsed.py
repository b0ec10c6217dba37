"""The results of the parser: the dialect of a file, and its rows in chunks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import pyarrow as pa

from bulk_pipeline.limits import Limits
from bulk_pipeline.schema import Mode, Table, UploadFormat
from bulk_pipeline.stages import spreadsheets
from bulk_pipeline.stages.failures import FAILURES, Code, FailureCode, shortened
from bulk_pipeline.stages.parse.blocks import BATCH_ROWS
from bulk_pipeline.stages.parse.cells import encodable
from bulk_pipeline.stages.report_names import ADDED_COLUMNS

RAW = pa.schema(
    [
        pa.field("_row", pa.int64(), nullable=False),
        pa.field("_line", pa.int64()),
        pa.field("raw", pa.binary()),
    ]
)
"""The bytes of every data record, without its record end; malformed records are included."""

IGNORED_COLUMNS = frozenset({*ADDED_COLUMNS, spreadsheets.MARK})
"""Columns that reports of rejected rows and exports for spreadsheets add to a file; they are never data."""

STORED = "_stored"
"""A column of records: which of their cells a workbook stores as values, a struct of booleans by column. Only where a
notation is declared, which is for texts."""

RAW_KEPT_BYTES = 64 << 10
"""Most bytes kept of a row that exceeds a limit, in `RAW` and so in reports."""

_FAILURES_AT_ONCE = 16_384


class Oversize(str):
    """The problem of a row that exceeds a limit; a row with any other problem is malformed."""

    __slots__ = ()


def code_of(problem: str) -> FailureCode:
    """Return the failure code of a row that was rejected as a whole."""
    return Code.TOO_LONG if isinstance(problem, Oversize) else Code.MALFORMED_ROW


@dataclass(frozen=True)
class Dialect:
    """The detected properties of a file, for people. None means that its format has no such property.

    `format` is csv, ndjson, json, parquet or xlsx. `header` has the column names as written, `header_line` is the line
    or sheet row of the header, `skipped_lines` the number of unused lines before it.
    """

    format: str
    compression: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    escape: str | None = None
    header: tuple[str, ...] = ()
    header_line: int | None = None
    skipped_lines: int = 0
    record_end: str | None = None
    byte_order_mark: bool = False

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "header": list(self.header)}


@dataclass(frozen=True)
class ParsedChunk:
    """One chunk of a file, in file order; all parts cover the same range of rows.

    `records` has `_row` int64, `_line` int64, then text columns (string; NULL and "" differ). `raw` has the schema
    `RAW`, `failures` the schema `FAILURES`, in row order. A malformed row is in `raw` and `failures` only. `absent`
    has a cell of `stages.absence` for each record; None if no record lacks columns, as in formats whose rows all have
    the same ones.
    """

    records: pa.RecordBatch
    raw: pa.RecordBatch
    failures: pa.RecordBatch
    absent: pa.Array | None = None


@dataclass
class Notes:
    """The columns and warnings that a reader collects; complete once the file has been read to its end.

    `has_origins`: the rows of a chunk may have origins (`stages.origins`).
    """

    columns: tuple[str, ...] = ()
    warnings: list[str] = field(default_factory=list)
    has_origins: bool = False

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)


@dataclass(frozen=True)
class ParseContext:
    """The properties of an upload that its reader needs, apart from its bytes.

    Without a `table` and a `mode`, records have the columns of the file. `check` is called while a file is read, and
    raises to stop the reading.
    """

    notes: Notes
    declared: UploadFormat
    table: Table | None
    mode: Mode | None
    limits: Limits
    check: Callable[[], None]


@dataclass(frozen=True)
class OpenFile:
    """A file whose header has been read. `chunks` may be iterated once."""

    dialect: Dialect
    notes: Notes
    chunks: Iterator[ParsedChunk]


class FailureRows:
    """The failures of one chunk. A few thousand are collected as objects before they become Arrow columns."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int | None, str | None, str, str | None, str]] = []
        self._batches: list[pa.RecordBatch] = []

    def add(
        self,
        row: int,
        line: int | None,
        column: str | None,
        code: FailureCode,
        value: str | None,
        message: str,
    ) -> None:
        value = None if value is None else shortened(value)
        self._rows.append((row, line, column, code, value, message))
        if len(self._rows) == _FAILURES_AT_ONCE:  # objects take three times the memory of columns
            self._flush()

    def batch(self) -> pa.RecordBatch:
        """Return the failures in row order, those of one row in the order in which they were added."""
        self._flush()
        together = pa.concat_batches(self._batches)
        rows = together["row"].to_numpy()
        if (rows[1:] >= rows[:-1]).all():
            return together
        return together.take(pa.array(np.argsort(rows, kind="stable")))

    def _flush(self) -> None:
        columns = list(zip(*self._rows, strict=True)) or [()] * len(FAILURES)
        arrays = [_array(values, field.type) for values, field in zip(columns, FAILURES, strict=True)]
        self._batches.append(pa.RecordBatch.from_arrays(arrays, schema=FAILURES))
        self._rows.clear()


def _array(values: Sequence[object], type_: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, type_)
    except UnicodeEncodeError:  # a text has a lone surrogate, which is too rare to check each text for it
        return pa.array([encodable(value) if isinstance(value, str) else value for value in values], type_)


def records_schema(columns: Iterable[str]) -> pa.Schema:
    numbers = [pa.field("_row", pa.int64(), nullable=False), pa.field("_line", pa.int64())]
    return pa.schema(numbers + [pa.field(name, pa.string()) for name in columns])


def empty(columns: Iterable[str]) -> ParsedChunk:
    """Return a chunk without rows, for a file that has columns but no rows."""
    schemas = (records_schema(columns), RAW, FAILURES)
    return ParsedChunk(*(pa.RecordBatch.from_pylist([], schema=schema) for schema in schemas))


def in_batches(parsed: ParsedChunk) -> Iterator[ParsedChunk]:
    """Yield the chunk in pieces of at most `BATCH_ROWS` rows."""
    if parsed.raw.num_rows <= BATCH_ROWS:
        yield parsed
        return
    numbers = parsed.raw.column("_row").to_numpy()
    for start in range(0, len(numbers), BATCH_ROWS):
        raw = parsed.raw.slice(start, BATCH_ROWS)
        first, last = int(numbers[start]), int(numbers[start + raw.num_rows - 1])
        rows = _between(parsed.records, "_row", first, last)
        absent = None if parsed.absent is None else parsed.absent[rows]
        yield ParsedChunk(
            parsed.records[rows], raw, parsed.failures[_between(parsed.failures, "row", first, last)], absent
        )


def _between(batch: pa.RecordBatch, column: str, first: int, last: int) -> slice:
    numbers = batch.column(column).to_numpy()
    return slice(int(numbers.searchsorted(first)), int(numbers.searchsorted(last, side="right")))
