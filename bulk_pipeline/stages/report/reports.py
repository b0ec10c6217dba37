"""Writes the three reports of failures: errors.csv, errors.ndjson and the rejected rows.

Rows are streamed in batches; the three reports are written in parallel, while the next batch is prepared. The lines of
errors.csv end with LF, and it has no byte order mark: its first line is exactly `row,error,raw`. Its texts that begin
like a formula are defused, since people open it in spreadsheets. The same input always gives the same bytes.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.text import csv_records, decoded, held, joined, json_parts
from bulk_pipeline.schema import Table
from bulk_pipeline.stages.failures import FAILURES
from bulk_pipeline.stages.parse.parsed import Dialect
from bulk_pipeline.stages.report.rejected import OriginsOf, rejected_lines, rejected_start
from bulk_pipeline.stages.report.row_ranges import by_row_range
from bulk_pipeline.stages.report.workbook import RejectedWorkbook
from bulk_pipeline.stages.sink import Sink
from bulk_pipeline.stages.spreadsheets import defused

ERRORS_CSV_HEADER = b"row,error,raw\n"

_REPORTS = 3
_PIECE_ROWS = 16_384
_OFTEN_EQUAL = ("column", "code")


@dataclass(frozen=True)
class Reports:
    """The files of the three reports. Without failures, nothing is written to them."""

    errors_csv: Sink
    errors_ndjson: Sink
    rejected: Sink


@dataclass(frozen=True)
class ReportSummary:
    """The numbers of rejected rows and failures, the failures by code, and the first failures as a preview."""

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
    origins_of: OriginsOf | None = None,
    workbook: RejectedWorkbook | None = None,
) -> ReportSummary:
    """Write the reports of the streams of failures, each sorted by row, and return their summary.

    `raw` are all rows of the file (`_row`, `_line`, `raw` as binary), sorted by row. With `origins_of`, the rejected
    rows have the origins that it returns; `workbook` collects them. Raises `ValueError` for a failure of a row that is
    not in the file.
    """
    order = _column_order(dialect, table)
    codes: Counter[str] = Counter()
    rejected, first = 0, pa.RecordBatch.from_pylist([], schema=FAILURES)
    with ThreadPoolExecutor(_REPORTS, thread_name_prefix="reports") as threads:
        pending: list[Future[None]] = []
        for rows, unsorted in by_row_range(_in_pieces(raw), failures):
            in_order = _in_order(unsorted, order)
            bad = _bad_rows(rows, in_order)
            if not rejected:
                reports.errors_csv.write(ERRORS_CSV_HEADER)
                reports.rejected.write(rejected_start(dialect, has_origins=origins_of is not None))
            rejected += bad.num_rows
            codes.update(
                {pair["values"]: pair["counts"] for pair in pc.value_counts(in_order["code"]).to_pylist()}
            )
            if first.num_rows < preview_rows:
                first = pa.concat_batches([first, in_order.slice(0, preview_rows - first.num_rows)])
            errors = _errors(bad, in_order)
            if workbook is not None:
                workbook.add(bad, errors, in_order)
            _finish(pending)
            pending = [
                threads.submit(_write_errors_csv, bad, errors, reports.errors_csv),
                threads.submit(_write_errors_ndjson, in_order, reports.errors_ndjson),
                threads.submit(rejected_lines, bad, errors, in_order, dialect, reports.rejected, origins_of),
            ]
        _finish(pending)
    return ReportSummary(rejected, codes.total(), dict(sorted(codes.items())), first)


def _in_pieces(raw: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows in pieces for which three reports take little memory, even if all rows are rejected."""
    for rows in raw:
        for start in range(0, rows.num_rows, _PIECE_ROWS):
            yield rows.slice(start, _PIECE_ROWS)


def _finish(pending: Iterable[Future[None]]) -> None:
    for report in pending:
        report.result()


def _column_order(dialect: Dialect, table: Table) -> pa.Array:
    """Return the order of columns in the file's header, followed by the declared order."""
    names = [name.strip().lower() for name in dialect.header]
    return pa.array(list(dict.fromkeys([*names, *table.column_names])), pa.string())


def _in_order(failures: pa.RecordBatch, order: pa.Array) -> pa.RecordBatch:
    """Return failures sorted by row, column and code; failures of the whole row come last in their row."""
    if (np.diff(failures["row"].to_numpy()) > 0).all():
        return failures  # one per row, already sorted
    position = pc.fill_null(pc.index_in(failures["column"], order), len(order))
    cells = [failures["row"], position, failures["code"], failures["message"]]
    keys = pa.table(cells, names=["row", "position", "code", "message"])
    return failures.take(pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names]))


def _bad_rows(rows: pa.RecordBatch, failures: pa.RecordBatch) -> pa.RecordBatch:
    """Return the rows that have failures, each once."""
    numbers, failed = rows["_row"].to_numpy(), failures["row"].to_numpy()
    failed = failed[np.diff(failed, prepend=-1) > 0]
    if np.array_equal(numbers, failed):
        return rows
    places = np.searchsorted(numbers, failed)
    if places[-1] == len(numbers) or (numbers[places] != failed).any():
        raise ValueError(f"failures of rows {failed[0]} to {failed[-1]} name one that the file does not have")
    return rows.take(pa.array(places))


def _write_errors_csv(rows: pa.RecordBatch, errors: pa.Array, file: Sink) -> None:
    file.write(csv_records([rows["_row"], defused(errors), defused(decoded(rows["raw"]))]))


def _write_errors_ndjson(failures: pa.RecordBatch, file: Sink) -> None:
    file.write(joined(_objects(failures)))


def _errors(rows: pa.RecordBatch, failures: pa.RecordBatch) -> pa.Array:
    """Return the sentences about each row, joined on one line."""
    sentences = failures["message"]
    if held(sentences, "\0\r\n"):
        sentences = pc.replace_substring_regex(sentences, r"[\x00\r\n]+", " ")
    if len(failures) == len(rows):  # one per row
        return sentences.cast(pa.large_string())
    starts = np.searchsorted(failures["row"].to_numpy(), rows["_row"].to_numpy())
    per_row = pa.ListArray.from_arrays(pa.array([*starts, len(failures)], pa.int32()), sentences)
    return pc.binary_join(per_row, "; ").cast(pa.large_string())


def _objects(failures: pa.RecordBatch) -> Iterator[pa.Array | bytes]:
    """Yield the parts of one JSON object per failure. A column or code that all failures share is formatted once."""
    before = "{"
    for field in FAILURES:
        yield f'{before}"{field.name}":'.encode()
        cells = failures[field.name]
        if field.type != pa.string():
            yield pc.fill_null(cells.cast(pa.string()), "null")
        elif field.name in _OFTEN_EQUAL and len(pc.run_end_encode(cells).values) == 1:
            yield bytes(joined(json_parts(cells[:1])))
        else:
            yield from json_parts(cells)
        before = ","
    yield b"}\n"
