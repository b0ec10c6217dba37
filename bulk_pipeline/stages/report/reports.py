"""Writes what became of the rejected rows: errors.csv, errors.ndjson and the rejected rows themselves.

Everything streams, one batch of source rows at a time; the three are written side by side, while the next batch
is made ready. errors.csv ends its lines with LF and carries no byte
order mark: its first line is exactly `row,error,raw`. As people open it in spreadsheets, what begins like a formula is
defused there, and only there. The same input gives the same bytes, always.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema import Table
from bulk_pipeline.stages.failures import FAILURES
from bulk_pipeline.stages.parse.parsed import Dialect
from bulk_pipeline.stages.report.rejected import rejected_lines, rejected_start
from bulk_pipeline.stages.report.row_ranges import by_row_range
from bulk_pipeline.stages.sink import Sink
from bulk_pipeline.stages.spreadsheets import defused
from bulk_pipeline.stages.texts import csv_records, decoded, held, joined, json_parts

ERRORS_CSV_HEADER = b"row,error,raw\n"

_REPORTS = 3
_PIECE_ROWS = 16_384
_OFTEN_EQUAL = ("column", "code")


@dataclass(frozen=True)
class Reports:
    """Where the three reports go. Nothing is written to them as long as there is no failure."""

    errors_csv: Sink
    errors_ndjson: Sink
    rejected: Sink


@dataclass(frozen=True)
class Reported:
    """What the reports say. `codes`: failures by code. `first`: the first failures, for a preview."""

    rejected: int
    failures: int
    codes: dict[str, int]
    first: pa.RecordBatch


def write_reports(
    failures: Sequence[Iterable[pa.RecordBatch]],
    raw: Iterable[pa.RecordBatch],
    table: Table,
    dialect: Dialect,
    reports: Reports,
    *,
    preview_rows: int = 20,
) -> Reported:
    """Merge the streams of failures, each sorted by row, with all rows as they stood in the file.

    `raw`: `_row`, `_line`, `raw` (binary), sorted by row. Raises `ValueError` for a failure of a row that
    is not there.
    """
    order = _column_order(dialect, table)
    codes: Counter[str] = Counter()
    rejected, first = 0, pa.RecordBatch.from_pylist([], schema=FAILURES)
    with ThreadPoolExecutor(_REPORTS, thread_name_prefix="reports") as threads:
        writing: list[Future[None]] = []
        for rows, found in by_row_range(_in_pieces(raw), failures):
            told = _in_order(found, order)
            bad = _bad_rows(rows, told)
            if not rejected:
                reports.errors_csv.write(ERRORS_CSV_HEADER)
                reports.rejected.write(rejected_start(dialect))
            rejected += bad.num_rows
            codes.update(
                {pair["values"]: pair["counts"] for pair in pc.value_counts(told["code"]).to_pylist()}
            )
            if first.num_rows < preview_rows:
                first = pa.concat_batches([first, told.slice(0, preview_rows - first.num_rows)])
            errors = _errors(bad, told)
            _finish(writing)
            writing = [
                threads.submit(_write_errors_csv, bad, errors, reports.errors_csv),
                threads.submit(_write_errors_ndjson, told, reports.errors_ndjson),
                threads.submit(rejected_lines, bad, errors, told, dialect, reports.rejected),
            ]
        _finish(writing)
    return Reported(rejected, codes.total(), dict(sorted(codes.items())), first)


def _in_pieces(raw: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Small enough that three reports of rows that are all bad take little memory."""
    for rows in raw:
        for start in range(0, rows.num_rows, _PIECE_ROWS):
            yield rows.slice(start, _PIECE_ROWS)


def _finish(writing: Iterable[Future[None]]) -> None:
    for report in writing:
        report.result()


def _column_order(dialect: Dialect, table: Table) -> pa.Array:
    """In a file with a header its own order, else the declared one."""
    names = [name.strip().lower() for name in dialect.header]
    return pa.array(list(dict.fromkeys([*names, *table.column_names])), pa.string())


def _in_order(found: pa.RecordBatch, order: pa.Array) -> pa.RecordBatch:
    """By row, then column; failures of the row as a whole last; then code."""
    if (np.diff(found["row"].to_numpy()) > 0).all():
        return found  # one for each row, and in order already
    position = pc.fill_null(pc.index_in(found["column"], order), len(order))
    cells = [found["row"], position, found["code"], found["message"]]
    keys = pa.table(cells, names=["row", "position", "code", "message"])
    return found.take(pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names]))


def _bad_rows(rows: pa.RecordBatch, told: pa.RecordBatch) -> pa.RecordBatch:
    """The rows that `told` is about, each once."""
    numbers, wanted = rows["_row"].to_numpy(), told["row"].to_numpy()
    wanted = wanted[np.diff(wanted, prepend=-1) > 0]
    if np.array_equal(numbers, wanted):
        return rows
    places = np.searchsorted(numbers, wanted)
    if places[-1] == len(numbers) or (numbers[places] != wanted).any():
        raise ValueError(f"failures of rows {wanted[0]} to {wanted[-1]} name one that the file does not have")
    return rows.take(pa.array(places))


def _write_errors_csv(rows: pa.RecordBatch, errors: pa.Array, file: Sink) -> None:
    file.write(csv_records([rows["_row"], defused(errors), defused(decoded(rows["raw"]))]))


def _write_errors_ndjson(told: pa.RecordBatch, file: Sink) -> None:
    file.write(joined(_objects(told)))


def _errors(rows: pa.RecordBatch, told: pa.RecordBatch) -> pa.Array:
    """The sentences about each row, on one line."""
    sentences = told["message"]
    if held(sentences, "\0\r\n"):
        sentences = pc.replace_substring_regex(sentences, r"[\x00\r\n]+", " ")
    if len(told) == len(rows):  # one for each
        return sentences.cast(pa.large_string())
    starts = np.searchsorted(told["row"].to_numpy(), rows["_row"].to_numpy())
    per_row = pa.ListArray.from_arrays(pa.array([*starts, len(told)], pa.int32()), sentences)
    return pc.binary_join(per_row, "; ").cast(pa.large_string())


def _objects(told: pa.RecordBatch) -> Iterator[pa.Array | bytes]:
    """The parts of one JSON object per failure. A code that is that of all of them is not written one by one."""
    before = "{"
    for field in FAILURES:
        yield f'{before}"{field.name}":'.encode()
        cells = told[field.name]
        if field.type != pa.string():
            yield pc.fill_null(cells.cast(pa.string()), "null")
        elif field.name in _OFTEN_EQUAL and len(pc.run_end_encode(cells).values) == 1:
            yield bytes(joined(json_parts(cells[:1])))
        else:
            yield from json_parts(cells)
        before = ","
    yield b"}\n"
