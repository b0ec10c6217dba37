"""Opens Parquet files and reads every column as text without loss, one record batch at a time."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.limits import Limits
from bulk_pipeline.schema import Column, Table
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline.stages import absence
from bulk_pipeline.stages.failures import Code
from bulk_pipeline.stages.parse import header_match
from bulk_pipeline.stages.parse.cells import bad_character, shown
from bulk_pipeline.stages.parse.compression import refuse_bomb
from bulk_pipeline.stages.parse.header_match import Columns
from bulk_pipeline.stages.parse.parquet import int96
from bulk_pipeline.stages.parse.parquet.bounds import Leaf, leaves, refuse_large_footer, rows_at_once
from bulk_pipeline.stages.parse.parquet.int96 import Int96Reader, open_file
from bulk_pipeline.stages.parse.parquet.slices import Slice, joined, names_bytes, slices
from bulk_pipeline.stages.parse.parquet.values import Texts, as_text, beginning
from bulk_pipeline.stages.parse.parsed import (
    RAW,
    RAW_KEPT_BYTES,
    Dialect,
    FailureRows,
    Notes,
    OpenFile,
    ParseContext,
    ParsedChunk,
    records_schema,
)

_BATCH_BYTES = 8 << 20
_BATCH_ROWS = 16_384  # the Python objects of a row take a kilobyte or more
_DAMAGED = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, OSError, UnicodeDecodeError)


def open_parquet(path: Path, context: ParseContext) -> OpenFile:
    """Open a Parquet file. Rows have no lines; a missing column, even a required one, is absent from all rows.

    Timestamps become ISO 8601 in UTC, lists become JSON. A structure in a column of single values is a failure of its
    cell. Raises `FileError` for a file that is damaged, or exceeds a limit.
    """
    notes, declared, limits = context.notes, context.declared, context.limits
    table, mode = context.table, context.mode
    try:
        refuse_large_footer(path, limits)
        file = open_file(path)
        names = file.schema_arrow.names
    except _DAMAGED as error:
        raise _unreadable(error) from error
    if len(names) > limits.columns:
        raise FileError(
            FileErrorCode.TOO_LARGE, f"the file has {len(names):,} columns, the limit is {limits.columns:,}"
        )
    _refuse_bomb(file.metadata, names_bytes(names), path.stat().st_size, limits)
    leaf_columns = leaves(path, file.metadata, limits)
    columns = (
        header_match.of_file(names, len(names), notes)
        if table is None
        else header_match.of_table(names, table, mode, notes, declared, may_lack_required=True)
    )
    notes.columns = columns.names
    required = table.required_columns(mode or table.default_mode) if table else ()
    lacking = [name for name in required if name not in columns.names]
    chunks = _chunks(path, file, leaf_columns, names, columns, lacking, table, notes, limits)
    return OpenFile(Dialect("parquet", header=tuple(names)), notes, chunks)


def _chunks(
    path: Path,
    file: parquet.ParquetFile,
    leaf_columns: Sequence[Leaf],
    names: list[str],
    columns: Columns,
    lacking: Sequence[str],
    table: Table | None,
    notes: Notes,
    limits: Limits,
) -> Iterator[ParsedChunk]:
    row, decoded_bytes, file_bytes = 1, 0, path.stat().st_size
    size = min(_rows_per_batch(file), limits.rows_per_batch(names_bytes(names)))
    times = None
    try:
        at_once = rows_at_once(leaf_columns, size, limits)
        times = Int96Reader(path, int96.columns_of(file), at_once)
        batches = file.iter_batches(batch_size=at_once, use_threads=False)
        for batch in joined(batches, size, limits):
            time_texts = times.take(batch.num_rows)
            decoded_bytes += batch.nbytes
            refuse_bomb(decoded_bytes, file_bytes, limits)
            for part in slices(batch, limits):
                yield _parsed(part, time_texts, names, columns, lacking, table, row, notes)
                row += part.rows.num_rows
    except _DAMAGED as error:
        raise _unreadable(error) from error
    finally:
        file.close()
        if times is not None:
            times.close()


def _refuse_bomb(meta: parquet.FileMetaData, row_bytes: int, size: int, limits: Limits) -> None:
    """Raise `FileError` if the file's few bytes become very many rows, as for compressed files."""
    unpacked = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
    most = max(unpacked, meta.num_rows * max(meta.num_columns, row_bytes))
    if most > limits.ratio_from_bytes and most > limits.ratio * size:
        raise FileError(
            FileErrorCode.TOO_LARGE,
            f"{size:,} bytes of Parquet hold {meta.num_rows:,} rows: looks like a compression bomb",
        )


def _rows_per_batch(file: parquet.ParquetFile) -> int:
    meta = file.metadata
    size = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
    per_row = max(1, size // max(1, meta.num_rows))
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // per_row))


def _parsed(
    part: Slice,
    time_texts: dict[str, list[str | None]],
    names: list[str],
    columns: Columns,
    lacking: Sequence[str],
    table: Table | None,
    row: int,
    notes: Notes,
) -> ParsedChunk:
    if part.problem is not None:
        return _oversize(part, names, [*columns.names, *lacking], row)
    pairs = zip(columns.positions, columns.names, strict=True)
    declared = {} if table is None else {place: table.column(name) for place, name in pairs}
    texts = [
        Texts(time_texts[name][part.start : part.start + part.rows.num_rows])
        if name in time_texts
        else _texts(cells, declared.get(place))
        for place, (name, cells) in enumerate(zip(names, part.rows.columns, strict=True))
    ]
    return _chunk(part.rows, texts, names, columns, lacking, table, row, notes)


def _texts(cells: pa.Array, column: Column | None) -> Texts:
    """Return the texts of a column of the file. `column` is the table's column that it stands for, if any."""
    if column is None:
        return as_text(cells)
    exact = codec_of(column).from_parquet(column, cells)
    if exact is not None:
        return Texts(exact.to_pylist())
    texts = as_text(cells)
    if column.type.facts.is_zoneless and pa.types.is_timestamp(cells.type) and cells.type.tz is None:
        return replace(texts, texts=[text and text.removesuffix("Z") for text in texts.texts])
    return texts


def _oversize(part: Slice, names: list[str], columns: Sequence[str], row: int) -> ParsedChunk:
    """Return the failure of a row that exceeds a limit, with the beginnings of its texts for the report."""
    problem, size = str(part.problem), RAW_KEPT_BYTES // len(names)
    texts = {name: beginning(column, size) for name, column in zip(names, part.rows.columns, strict=True)}
    raw, failures = _object(texts), FailureRows()
    failures.add(row, None, None, Code.TOO_LONG, shown(raw), problem)
    rows = pa.RecordBatch.from_pydict({"_row": [row], "_line": [None], "raw": [raw]}, schema=RAW)
    records = pa.RecordBatch.from_pylist([], schema=records_schema(columns))
    return ParsedChunk(records, rows, failures.batch())


def _chunk(
    batch: pa.RecordBatch,
    texts: list[Texts],
    names: list[str],
    columns: Columns,
    lacking: Sequence[str],
    table: Table | None,
    row: int,
    notes: Notes,
) -> ParsedChunk:
    failures = FailureRows()
    arrays = []
    for name, position in zip(columns.names, columns.positions, strict=True):
        nested = table is not None and not table.column(name).type.facts.is_nested
        cells = texts[position]
        for index, problem in cells.problems.items():
            value = shown(cells.texts[index] or "")
            failures.add(row + index, None, name, Code.BAD_TYPE, value, f"{name} {problem}")
        for warning in cells.warnings:
            notes.warn(f"{name} holds {warning}")
        values = cells.without_problems()
        arrays.append(_checked(batch.column(position), values, name, row, failures, scalars_only=nested))
    numbers = pa.array(np.arange(row, row + batch.num_rows), pa.int64())
    lines = pa.nulls(batch.num_rows, pa.int64())
    arrays += [pa.nulls(batch.num_rows, pa.string())] * len(lacking)
    schema = records_schema([*columns.names, *lacking])
    records = pa.RecordBatch.from_arrays([numbers, lines, *arrays], schema=schema)
    _check_memory(batch)
    objects = _as_objects(names, [cells.texts for cells in texts])
    raw = pa.RecordBatch.from_arrays([numbers, lines, objects], schema=RAW)
    absent = None
    if table is not None and lacking:
        without = {*table.column_names} - {*columns.names}
        absent = absence.cells(table, batch.num_rows, dict.fromkeys(without, True))
    return ParsedChunk(records, raw, failures.batch(), absent)


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
    if pa.types.is_string(column.type) and not pc.any(pc.match_substring(column, "\0")).as_py():
        return column
    try:
        array = pa.array(texts, pa.string())
        if not any("\0" in text for text in texts if text):
            return array
    except UnicodeEncodeError:
        pass
    good = list(texts)
    for index, text in enumerate(texts):
        problem = None if text is None else bad_character(text, "utf-8")
        if text is not None and problem is not None:
            failures.add(row + index, None, name, Code.BAD_ENCODING, shown(text), problem)
            good[index] = None
    return pa.array(good, pa.string())


def _check_memory(batch: pa.RecordBatch) -> None:
    """Raise `MemoryError` if there is less memory than orjson may need for a cell; orjson 3.13 would end the process.

    It reserves eight times the size of a text, in case each character needs an escape, and doubles its buffer to grow.
    """
    longest = max(
        (
            pc.max(pc.binary_length(column)).as_py() or 0
            if pa.types.is_string(column.type) or pa.types.is_binary(column.type)
            else column.nbytes
            for column in batch.columns
        ),
        default=0,
    )
    bytearray(16 * longest)


def _as_objects(names: Sequence[str], columns: Sequence[Sequence[str | None]]) -> pa.Array:
    rows = zip(*columns, strict=True)
    return pa.array([_object(dict(zip(names, row, strict=True))) for row in rows], pa.binary())


def _object(members: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(members)
    except TypeError:  # a lone surrogate
        return json.dumps(members, ensure_ascii=True).encode()


def _unreadable(error: Exception) -> FileError:
    return FileError(
        FileErrorCode.UNREADABLE_FILE, f"the Parquet file is damaged or uses what is not supported: {error}"
    )
