"""A window, the part of a delimited file that is parsed at once, and the rows parsed from it."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.stages.parse.blanks import Blanks, wide_places
from bulk_pipeline.stages.parse.csv.structure import BlankBytes, Bytes, Places, stretches
from bulk_pipeline.stages.parse.csv.syntax import BYTE_ORDER_MARK, Plan
from bulk_pipeline.stages.parse.parsed import RAW, FailureRows, ParsedChunk, records_schema


@dataclass(frozen=True)
class Window:
    """The whole physical lines `data[start:stop]`; `final` says that `data` ends with the file."""

    data: bytes
    start: int
    stop: int
    final: bool

    @property
    def block(self) -> Bytes:
        return np.frombuffer(self.data, np.uint8, self.stop - self.start, self.start)

    @property
    def has_mark(self) -> bool:
        """True if the window has a byte order mark; searching for its first byte first is faster."""
        return self.has(BYTE_ORDER_MARK[:1]) and self.has(BYTE_ORDER_MARK)

    def blank_bytes(self, blanks: Blanks) -> BlankBytes:
        """Return the bytes of the block that belong to blanks."""
        return BlankBytes(blanks.narrow, wide_places(self.data, self.start, self.stop))

    def has(self, text: bytes) -> bool:
        return self.data.find(text, self.start, self.stop) >= 0


@dataclass(frozen=True)
class Cut:
    """The rows before `end`, an offset in the window's data, and their number of physical lines.

    Rows and lines count from 0 at the window's start; `shifted` changes them to the file's numbers. `damaged` says that
    some records are irregular, so that the next window probably has irregular records too.
    """

    parsed: ParsedChunk
    end: int
    lines: int
    damaged: bool = False


def raw_records(block: Bytes, starts: Places, stops: Places) -> pa.Array:
    """Return the bytes of each record, as in `RAW`."""
    if not len(starts):
        return pa.array([], pa.binary())
    between = starts[1:] - stops[:-1]
    end = int(between[0]) if len(between) else 0
    if (between == end).all() and stops[-1] + end <= len(block):
        lines = _binary(np.append(starts, stops[-1] + end) - starts[0], block[starts[0] :])
        return pc.binary_slice(lines, 0, -end) if end else lines
    return _binary(np.append(0, np.cumsum(stops - starts)), stretches(block, starts, stops))


def _binary(offsets: Places, values: Bytes) -> pa.Array:
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(values)]
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)


def parsed_chunk(
    plan: Plan,
    columns: list[pa.Array],
    rows: Places | None,
    lines: Places,
    raw: pa.Array,
    failures: FailureRows,
) -> ParsedChunk:
    """Return the chunk of a window. `lines` and `raw` are of all rows, `columns` of `rows` only, None for all."""
    numbers = np.arange(len(lines))
    of_records = (numbers, lines) if rows is None else (numbers[rows], lines[rows])
    records = pa.RecordBatch.from_arrays(
        [*(pa.array(values, pa.int64()) for values in of_records), *columns],
        schema=records_schema(plan.names),
    )
    all_rows = [pa.array(numbers, pa.int64()), pa.array(lines, pa.int64()), raw]
    return ParsedChunk(records, pa.RecordBatch.from_arrays(all_rows, schema=RAW), failures.batch())


def shifted(parsed: ParsedChunk, row: int, line: int) -> ParsedChunk:
    """Return the rows renumbered, so that the first row is `row` and the window's first line is `line`.

    The first two columns of each batch are these numbers; later columns may have any name, even `line`.
    """

    def shift(batch: pa.RecordBatch) -> pa.RecordBatch:
        numbers = [pc.add(batch.column(0), row), pc.add(batch.column(1), line)]
        return pa.RecordBatch.from_arrays([*numbers, *batch.columns[2:]], schema=batch.schema)

    return ParsedChunk(shift(parsed.records), shift(parsed.raw), shift(parsed.failures))
