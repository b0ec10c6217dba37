"""Opens Parquet: every column as text, without loss, a record batch at a time."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from pyarrow import parquet

from bulk_pipeline.errors import FileError
from bulk_pipeline.limits import Limits
from bulk_pipeline.schema import ColumnType, Mode, Table, UploadFormat
from bulk_pipeline.stages import absence
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.parse import header, parquet_int96
from bulk_pipeline.stages.parse.cells import bad_character, shown
from bulk_pipeline.stages.parse.header import Columns
from bulk_pipeline.stages.parse.parquet_int96 import Int96Reader
from bulk_pipeline.stages.parse.parquet_values import Texts, as_text
from bulk_pipeline.stages.parse.parsed import RAW, Dialect, FailureRows, Notes, Opened, Parsed, records_schema

_BATCH_BYTES = 8 << 20
_BATCH_ROWS = 16_384  # as Python objects on their way to text, a row takes a kilobyte and more
_DAMAGED = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, OSError, UnicodeDecodeError)


def open_parquet(
    path: Path,
    notes: Notes,
    declared: UploadFormat,
    *,
    table: Table | None,
    mode: Mode | None,
    limits: Limits,
) -> Opened:
    """Rows have no lines. Timestamps become ISO 8601 in UTC, lists JSON; a structure in a column of one
    value is a failure of its cell. A column is in all rows or absent from all of them, required ones too."""
    try:
        file = parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
        names = file.schema_arrow.names
    except _DAMAGED as error:
        raise _unreadable(error) from error
    if len(names) > limits.columns:
        raise FileError("too_large", f"the file has {len(names):,} columns, the limit is {limits.columns:,}")
    _refuse_bomb(file.metadata, path.stat().st_size, limits)
    columns = (
        header.of_file(names, len(names), notes)
        if table is None
        else header.of_table(names, table, mode, notes, declared, may_lack_required=True)
    )
    notes.columns = columns.names
    required = table.required_columns(mode or table.default_mode) if table else ()
    lacking = [name for name in required if name not in columns.names]
    chunks = _chunks(path, file, names, columns, lacking, table, notes)
    return Opened(Dialect("parquet", header=tuple(names)), notes, chunks)


def _chunks(
    path: Path,
    file: parquet.ParquetFile,
    names: list[str],
    columns: Columns,
    lacking: Sequence[str],
    table: Table | None,
    notes: Notes,
) -> Iterator[Parsed]:
    row = 1
    size = _rows_per_batch(file)
    times = None
    try:
        times = Int96Reader(path, parquet_int96.columns_of(file), size)
        for batch in file.iter_batches(batch_size=size, use_threads=False):
            known = times.take(batch.num_rows)
            texts = [
                Texts(known[name]) if name in known else as_text(column)
                for name, column in zip(names, batch.columns, strict=True)
            ]
            yield _chunk(batch, texts, names, columns, lacking, table, row, notes)
            row += batch.num_rows
    except _DAMAGED as error:
        raise _unreadable(error) from error
    finally:
        file.close()
        if times is not None:
            times.close()


def _refuse_bomb(meta: parquet.FileMetaData, size: int, limits: Limits) -> None:
    """A few bytes can stand for any number of rows: the rule for packed files holds here too."""
    unpacked = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
    most = max(unpacked, meta.num_rows * meta.num_columns)
    if most > limits.ratio_from_bytes and most > limits.ratio * size:
        raise FileError(
            "too_large",
            f"{size:,} bytes of Parquet hold {meta.num_rows:,} rows: looks like a compression bomb",
        )


def _rows_per_batch(file: parquet.ParquetFile) -> int:
    meta = file.metadata
    size = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
    per_row = max(1, size // max(1, meta.num_rows))
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // per_row))


def _chunk(
    batch: pa.RecordBatch,
    texts: list[Texts],
    names: list[str],
    columns: Columns,
    lacking: Sequence[str],
    table: Table | None,
    row: int,
    notes: Notes,
) -> Parsed:
    failures = FailureRows()
    wanted = []
    for name, position in zip(columns.names, columns.positions, strict=True):
        nested = table is not None and table.column(name).type is not ColumnType.TEXT_ARRAY
        found = texts[position]
        for index, problem in found.problems.items():
            value = shown(found.texts[index] or "")
            failures.add(row + index, None, name, Code.BAD_TYPE, value, f"{name} {problem}")
        for warning in found.warnings:
            notes.warn(f"{name} holds {warning}")
        values = found.without_problems()
        wanted.append(_checked(batch.column(position), values, name, row, failures, scalars_only=nested))
    numbers = pa.array(np.arange(row, row + batch.num_rows), pa.int64())
    lines = pa.nulls(batch.num_rows, pa.int64())
    wanted += [pa.nulls(batch.num_rows, pa.string())] * len(lacking)
    schema = records_schema([*columns.names, *lacking])
    records = pa.RecordBatch.from_arrays([numbers, lines, *wanted], schema=schema)
    objects = _as_objects(names, [found.texts for found in texts])
    raw = pa.RecordBatch.from_arrays([numbers, lines, objects], schema=RAW)
    absent = None
    if table is not None and lacking:
        without = {*table.column_names} - {*columns.names}
        absent = absence.cells(table, batch.num_rows, dict.fromkeys(without, True))
    return Parsed(records, raw, failures.batch(), absent)


def _checked(
    column: pa.Array,
    texts: list[str | None],
    name: str,
    row: int,
    failures: FailureRows,
    *,
    scalars_only: bool,
) -> pa.Array:
    if scalars_only and pa.types.is_nested(column.type):
        for index, text in enumerate(texts):
            if text is not None:
                failures.add(
                    row + index,
                    None,
                    name,
                    Code.BAD_TYPE,
                    shown(text),
                    f"is a {column.type}, expected one value",
                )
        return pa.nulls(len(texts), pa.string())
    try:
        array = pa.array(texts, pa.string())
        if not any("\0" in text for text in texts if text):
            return array
    except UnicodeEncodeError:
        pass
    kept = list(texts)
    for index, text in enumerate(texts):
        problem = None if text is None else bad_character(text, "utf-8")
        if text is not None and problem is not None:
            failures.add(row + index, None, name, Code.BAD_ENCODING, shown(text), problem)
            kept[index] = None
    return pa.array(kept, pa.string())


def _as_objects(names: Sequence[str], columns: Sequence[Sequence[str | None]]) -> pa.Array:
    rows = zip(*columns, strict=True)
    return pa.array([_object(dict(zip(names, row, strict=True))) for row in rows], pa.binary())


def _object(found: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(found)
    except TypeError:  # a lone surrogate
        return json.dumps(found, ensure_ascii=True).encode()


def _unreadable(error: Exception) -> FileError:
    return FileError("unreadable_file", f"the Parquet file is damaged or uses what is not supported: {error}")
