"""Writes a file that was read without a table as clean CSV (RFC 4180, UTF-8).

All rows are written with all their cells. The cells of a malformed row are guessed line by line (`csv.salvage`), and
keep their number; failures and warnings name such rows. NULL is an empty cell, an empty string is `""`.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema.invisible import BLANK_CLASS
from bulk_pipeline.stages.parse.csv.dialect import as_text
from bulk_pipeline.stages.parse.csv.salvage import salvage
from bulk_pipeline.stages.parse.csv.syntax import Syntax
from bulk_pipeline.stages.parse.parsed import IGNORED_COLUMNS, ParsedChunk
from bulk_pipeline.stages.parse.upload import Upload

_SPECIAL = re.compile(rf'[",\r\n]|^[{BLANK_CLASS}]|[{BLANK_CLASS}]$|^$')
"""Matches cells that need quotes; an unquoted empty cell is NULL."""

MOST_FAILURES = 100
"""Most failures of a file that are kept as examples."""


@dataclass
class FailureSample:
    """The number of failures of a file, and the first `MOST_FAILURES` of them as dicts with the keys of `FAILURES`."""

    count: int = 0
    first: list[dict[str, Any]] = field(default_factory=list)

    def add(self, failures: pa.RecordBatch) -> None:
        self.count += failures.num_rows
        self.first += failures.slice(0, MOST_FAILURES - len(self.first)).to_pylist()


def write_clean_csv(upload: Upload, out: BinaryIO) -> FailureSample:
    """Write the records of `upload` to `out` under a header, and return their failures."""
    failures = FailureSample()
    if upload.dialect.format == "csv":
        _write_delimited(upload, out, failures)
    else:
        _write_records(upload, out, failures)
    return failures


def _write_delimited(upload: Upload, out: BinaryIO, failures: FailureSample) -> None:
    dialect = upload.dialect
    header = [name for name in dialect.header if name not in IGNORED_COLUMNS] or list(upload.columns)
    _write_rows(out, [header])
    reread = _Reread(upload)
    for parsed in upload:
        if parsed.failures.num_rows == 0:
            _write_batch(out, parsed.records.columns[2:])
        else:
            failures.add(parsed.failures)
            _write_rows(out, reread.rows(parsed))


class _Reread:
    """Reads the rows of a chunk with failures; damaged rows come from their raw bytes."""

    def __init__(self, upload: Upload) -> None:
        dialect = upload.dialect
        self._syntax = Syntax(
            (dialect.delimiter or ",").encode(),
            (dialect.quote or "").encode(),
            (dialect.escape or "").encode(),
        )
        self._ignored = [i for i, name in enumerate(dialect.header) if name in IGNORED_COLUMNS]
        self._width = len(upload.columns) + len(self._ignored)

    def rows(self, parsed: ParsedChunk) -> Iterator[Sequence[str | None]]:
        damaged = set(parsed.failures.column("row").to_pylist())
        records = _as_rows(parsed.records)
        numbers = iter(parsed.records.column("_row").to_pylist())
        number = next(numbers, None)
        for row, raw in zip(
            parsed.raw.column("_row").to_pylist(), parsed.raw.column("raw").to_pylist(), strict=True
        ):
            if row == number:
                record, number = next(records), next(numbers, None)
                if row not in damaged:
                    yield record
                    continue
            for line in raw.splitlines():
                yield self._cells(line)

    def _cells(self, line: bytes) -> list[str | None]:
        cells = salvage(line, self._syntax, self._width)
        return [
            None if cell is None else as_text(cell) for i, cell in enumerate(cells) if i not in self._ignored
        ]


def _write_records(upload: Upload, out: BinaryIO, failures: FailureSample) -> None:
    """Write records in two passes through a temporary file, since new columns may occur in any record."""
    with tempfile.TemporaryFile() as spooled:
        count = 0
        for parsed in upload:
            with pa.ipc.new_stream(spooled, parsed.records.schema) as writer:
                writer.write_batch(parsed.records)
            failures.add(parsed.failures)
            count += 1
        spooled.seek(0)
        _write_rows(out, [upload.columns])
        for _ in range(count):
            for batch in pa.ipc.open_stream(spooled):
                _write_rows(out, _as_rows(_with_columns(batch, upload.columns)))


def _with_columns(batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    absent = pa.nulls(batch.num_rows, pa.string())
    numbers = {"_row": batch.column(0), "_line": batch.column(1)}
    return pa.RecordBatch.from_pydict(numbers | {name: columns.get(name, absent) for name in names})


def _as_rows(records: pa.RecordBatch) -> Iterator[Sequence[str | None]]:
    columns = [column.to_pylist() for column in records.columns[2:]]
    return iter(zip(*columns, strict=True)) if columns else iter([()] * records.num_rows)


def _write_batch(out: BinaryIO, columns: Sequence[pa.Array]) -> None:
    if not columns:
        return
    cells = [pc.fill_null(_quoted_where_needed(column), "") for column in columns]
    lines = pc.binary_join_element_wise(*cells, ",")
    _write_lines(out, lines.to_pylist())


def _quoted_where_needed(column: pa.Array) -> pa.Array:
    special = pc.match_substring_regex(column, _SPECIAL.pattern)
    if not pc.any(special).as_py():
        return column
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(column, '"', '""'), '"', "")
    return pc.if_else(special, quoted, column)


def _write_rows(out: BinaryIO, rows: Iterable[Sequence[str | None]]) -> None:
    _write_lines(out, (",".join(map(_quoted, row)) for row in rows))


def _write_lines(out: BinaryIO, lines: Iterable[str]) -> None:
    """Write the lines; a row of one NULL becomes an empty string, since a blank line would not be a row."""
    out.write("".join((line or '""') + "\n" for line in lines).encode("utf-8"))


def _quoted(cell: str | None) -> str:
    if cell is None:
        return ""
    return '"' + cell.replace('"', '""') + '"' if _SPECIAL.search(cell) else cell
