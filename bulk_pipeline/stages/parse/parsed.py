"""What the parser hands on: the dialect it found, and the file in chunks of rows."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field

import numpy as np
import pyarrow as pa

from bulk_pipeline.stages import spreadsheets
from bulk_pipeline.stages.failures import FAILURES, MAX_VALUE_LENGTH, Code
from bulk_pipeline.stages.parse.blocks import BATCH_ROWS
from bulk_pipeline.stages.parse.cells import encodable

RAW = pa.schema(
    [
        pa.field("_row", pa.int64(), nullable=False),
        pa.field("_line", pa.int64()),
        pa.field("raw", pa.binary()),
    ]
)
"""Every data record as it stood in the file, without its record end, malformed ones included."""

IGNORED_COLUMNS = frozenset({"_row", "_line", "_errors", spreadsheets.MARK})
"""Columns that a file of rejected rows, or an export for spreadsheets, brings along; they are never data."""


RAW_KEPT_BYTES = 64 << 10
"""So much is kept of a row that is past a bound, in `RAW` and so in reports."""

_FAILURES_AT_ONCE = 16_384


class Oversize(str):
    """The problem of a row that is past a bound; with any other problem it is malformed."""

    __slots__ = ()


def code_of(problem: str) -> Code:
    """The failure code of a row that is no record."""
    return Code.TOO_LONG if isinstance(problem, Oversize) else Code.MALFORMED_ROW


@dataclass(frozen=True)
class Dialect:
    """How the file was read, for people. None means: this format has no such thing.

    `format`: csv, ndjson, json, parquet or xlsx. `header`: the column names as they were written.
    `header_line`: the line (sheet row) they stood in. `skipped_lines`: lines before it that were not used.
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
class Parsed:
    """One chunk of the file, in file order; all three parts speak about the same range of rows.

    `records`: `_row` int64, `_line` int64, then text columns (string; NULL and "" are different).
    `raw`: `RAW`. `failures`: `FAILURES`, in row order. A malformed row is in `raw` and `failures` only.
    `absent`: a cell of `stages.absence` for each of the records; None where there is nothing to tell, as in
    formats whose rows all have the same columns.
    """

    records: pa.RecordBatch
    raw: pa.RecordBatch
    failures: pa.RecordBatch
    absent: pa.Array | None = None


@dataclass
class Notes:
    """What a reader learns while it reads; complete when it has been read to its end."""

    columns: tuple[str, ...] = ()
    warnings: list[str] = field(default_factory=list)

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)


@dataclass(frozen=True)
class Opened:
    """A file whose beginning is understood. `chunks` may be iterated once."""

    dialect: Dialect
    notes: Notes
    chunks: Iterator[Parsed]


class FailureRows:
    """Failures of one chunk, kept as columns."""

    def __init__(self) -> None:
        self._columns: tuple[list[object], ...] = tuple([] for _ in FAILURES)
        self._batches: list[pa.RecordBatch] = []

    def add(
        self, row: int, line: int | None, column: str | None, code: Code, value: str | None, message: str
    ) -> None:
        rows, lines, columns, codes, values, messages = self._columns
        rows.append(row)
        lines.append(line)
        columns.append(column)
        codes.append(code.value)
        values.append(None if value is None else value[:MAX_VALUE_LENGTH])
        messages.append(encodable(message))
        if len(rows) == _FAILURES_AT_ONCE:  # as objects they take three times the memory
            self._flush()

    def batch(self) -> pa.RecordBatch:
        """In row order; those of one row as they were added."""
        self._flush()
        together = pa.concat_batches(self._batches)
        rows = together["row"].to_numpy()
        if (rows[1:] >= rows[:-1]).all():
            return together
        return together.take(pa.array(np.argsort(rows, kind="stable")))

    def _flush(self) -> None:
        arrays = [pa.array(v, f.type) for v, f in zip(self._columns, FAILURES, strict=True)]
        self._batches.append(pa.RecordBatch.from_arrays(arrays, schema=FAILURES))
        for column in self._columns:
            column.clear()


def records_schema(columns: Iterable[str]) -> pa.Schema:
    numbers = [pa.field("_row", pa.int64(), nullable=False), pa.field("_line", pa.int64())]
    return pa.schema(numbers + [pa.field(name, pa.string()) for name in columns])


def empty(columns: Iterable[str]) -> Parsed:
    """A chunk without rows: it shows the columns of a file that has none."""
    schemas = (records_schema(columns), RAW, FAILURES)
    return Parsed(*(pa.RecordBatch.from_pylist([], schema=schema) for schema in schemas))


def in_batches(parsed: Parsed) -> Iterator[Parsed]:
    """The chunk in pieces of at most `BATCH_ROWS` rows."""
    if parsed.raw.num_rows <= BATCH_ROWS:
        yield parsed
        return
    numbers = parsed.raw.column("_row").to_numpy()
    for start in range(0, len(numbers), BATCH_ROWS):
        raw = parsed.raw.slice(start, BATCH_ROWS)
        first, last = int(numbers[start]), int(numbers[start + raw.num_rows - 1])
        kept = _between(parsed.records, "_row", first, last)
        absent = None if parsed.absent is None else parsed.absent[kept]
        yield Parsed(
            parsed.records[kept], raw, parsed.failures[_between(parsed.failures, "row", first, last)], absent
        )


def _between(batch: pa.RecordBatch, column: str, first: int, last: int) -> slice:
    numbers = batch.column(column).to_numpy()
    return slice(int(numbers.searchsorted(first)), int(numbers.searchsorted(last, side="right")))
