"""A stretch of a delimited file that is read in one go, and what came of it."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.stages.parse.blanks import Blanks, wide_places
from bulk_pipeline.stages.parse.csv_plan import BYTE_ORDER_MARK, Plan
from bulk_pipeline.stages.parse.csv_structure import BlankBytes, Bytes, Places, stretches
from bulk_pipeline.stages.parse.parsed import RAW, FailureRows, Parsed, records_schema


@dataclass(frozen=True)
class Window:
    """`data[start:stop]`, whole physical lines. `final`: nothing follows `data`."""

    data: bytes
    start: int
    stop: int
    final: bool

    @property
    def block(self) -> Bytes:
        return np.frombuffer(self.data, np.uint8, self.stop - self.start, self.start)

    @property
    def has_mark(self) -> bool:
        """Whether there is a byte order mark; its first byte alone is found faster."""
        return self.has(BYTE_ORDER_MARK[:1]) and self.has(BYTE_ORDER_MARK)

    def blank_bytes(self, blanks: Blanks) -> BlankBytes:
        """Where the bytes of blanks stand in the block."""
        return BlankBytes(blanks.narrow, wide_places(self.data, self.start, self.stop))

    def has(self, text: bytes) -> bool:
        return self.data.find(text, self.start, self.stop) >= 0


@dataclass(frozen=True)
class Cut:
    """The rows before `end`, an offset in the window's data, and how many physical lines that took.

    Rows and lines are counted from 0, the window's start; `shifted` gives them the numbers they have in the file.

    `damaged`: some of the records are not regular, so the next window is probably like that too.
    """

    parsed: Parsed
    end: int
    lines: int
    damaged: bool = False


def raw_records(block: Bytes, starts: Places, stops: Places) -> pa.Array:
    """The bytes of each record, as `RAW` has them."""
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


def parsed(
    plan: Plan,
    columns: list[pa.Array],
    kept: Places | None,
    lines: Places,
    raw: pa.Array,
    failures: FailureRows,
) -> Parsed:
    """`lines` and `raw` of every row; `columns` of the rows at `kept`, or of every row where that is None."""
    numbers = np.arange(len(lines))
    of_kept = (numbers, lines) if kept is None else (numbers[kept], lines[kept])
    records = pa.RecordBatch.from_arrays(
        [*(pa.array(values, pa.int64()) for values in of_kept), *columns], schema=records_schema(plan.names)
    )
    all_rows = [pa.array(numbers, pa.int64()), pa.array(lines, pa.int64()), raw]
    return Parsed(records, pa.RecordBatch.from_arrays(all_rows, schema=RAW), failures.batch())


def shifted(parsed: Parsed, row: int, line: int) -> Parsed:
    """The same rows, the first of which is `row` and the first line of the window `line`.

    All three begin with these two numbers; what comes behind them may have any name, `line` for example.
    """

    def shift(batch: pa.RecordBatch) -> pa.RecordBatch:
        numbers = [pc.add(batch.column(0), row), pc.add(batch.column(1), line)]
        return pa.RecordBatch.from_arrays([*numbers, *batch.columns[2:]], schema=batch.schema)

    return Parsed(shift(parsed.records), shift(parsed.raw), shift(parsed.failures))
