"""Reads bytes with the parser, and returns the whole result as plain values, so that tests can compare it."""

import io
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from bulk_pipeline import tables
from bulk_pipeline.limits import DEFAULT_LIMITS
from bulk_pipeline.schema import Mode, Table, UploadFormat
from bulk_pipeline.stages.failures import FAILURES
from bulk_pipeline.stages.parse import Dialect, Limits, Upload, open_upload, write_clean_csv
from bulk_pipeline.stages.parse.blocks import BATCH_ROWS
from bulk_pipeline.stages.parse.parsed import RAW


@dataclass(frozen=True)
class Result:
    """The result of the parser: cells and lines by row number, and failures as (row, line, column, code, message)."""

    rows: dict[int, tuple[str | None, ...]]
    lines: dict[int, int | None]
    raw: dict[int, bytes]
    failures: list[tuple[int, int | None, str | None, str, str]]
    columns: tuple[str, ...]
    dialect: Dialect
    warnings: list[str]
    upload: Upload

    @property
    def cells(self) -> list[tuple[str | None, ...]]:
        return list(self.rows.values())

    @property
    def places(self) -> list[tuple[int, int | None, str | None, str]]:
        return [failure[:4] for failure in self.failures]

    def column(self, name: str) -> list[str | None]:
        return [row[self.columns.index(name)] for row in self.rows.values()]


class OneWay(io.RawIOBase):
    """A stream like the body of an S3 response: it can only be read, and reads may be short."""

    def __init__(self, data: bytes, piece: int = 1 << 20) -> None:
        self._data, self._at, self._piece = data, 0, piece

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        size = self._piece if size < 0 else min(size, self._piece)
        result = self._data[self._at : self._at + size]
        self._at += len(result)
        return result


def opened(
    data: bytes,
    name: str = "upload.csv",
    table: str | Table | None = "customers",
    mode: Mode | None = None,
    encoding: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    piece: int = 1 << 20,
    declared: UploadFormat | None = None,
) -> Upload:
    into = tables.get(table) if isinstance(table, str) else table
    stream: Any = OneWay(data, piece)
    format_ = declared or UploadFormat(encoding=encoding)
    return open_upload(stream, name, table=into, mode=mode, declared=format_, limits=limits)


def read(
    data: bytes, name: str = "upload.csv", table: str | Table | None = "customers", **options: Any
) -> Result:
    upload = opened(data, name, table, **options)
    rows, lines, raw, failures = {}, {}, {}, []
    columns: tuple[str, ...] = ()
    for parsed in upload:
        assert parsed.raw.schema == RAW
        assert parsed.failures.schema == FAILURES
        assert parsed.raw.num_rows <= BATCH_ROWS
        assert parsed.records.schema.types[:2] == [pa.int64(), pa.int64()]
        columns = tuple(parsed.records.schema.names[2:])
        values = [column.to_pylist() for column in parsed.records.columns]
        cells = zip(*values[2:], strict=True) if columns else [()] * len(values[0])
        rows |= dict(zip(values[0], cells, strict=True))
        for number, line, item in zip(*(column.to_pylist() for column in parsed.raw.columns), strict=True):
            lines[number], raw[number] = line, item
        failures += [
            (f["row"], f["line"], f["column"], f["code"], f["message"]) for f in parsed.failures.to_pylist()
        ]
    assert list(raw) == list(range(1, upload.rows + 1))
    return Result(rows, lines, raw, failures, columns, upload.dialect, upload.warnings, upload)


def cleaned(data: bytes, name: str = "upload.csv") -> str:
    out = io.BytesIO()
    write_clean_csv(opened(data, name, table=None), out)
    return out.getvalue().decode("utf-8")
