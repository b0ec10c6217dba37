"""Opens NDJSON and JSON arrays."""

import re
from collections.abc import Iterable, Iterator

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import Mode, Table, UploadFormat
from bulk_pipeline.stages.file_formats import HEAD_BYTES
from bulk_pipeline.stages.parse.chunks import Chunks
from bulk_pipeline.stages.parse.json_array import elements
from bulk_pipeline.stages.parse.json_objects import ObjectRows
from bulk_pipeline.stages.parse.limits import BATCH_ROWS, BLOCK_BYTES, Limits
from bulk_pipeline.stages.parse.parsed import Dialect, Notes, Opened, Parsed, in_batches

_ARRAY_PER_LINE = re.compile(rb"\s*\[[^\n{]*\][ \t\r]*\n\s*\[")


def open_ndjson(
    chunks: Chunks,
    encoding: str,
    notes: Notes,
    declared: UploadFormat,
    *,
    table: Table | None,
    mode: Mode | None,
    limits: Limits,
) -> Opened:
    """One object per line. Keys are matched like the names of a header; none is required of the file, because they
    are known only at its end: a row without one fails by itself."""
    head = chunks.peek(HEAD_BYTES)
    first = head.split(b"\n", 1)[0].strip()
    if first == b"{":
        raise FileError(
            "unsupported_format",
            "this is a JSON object over several lines; expected an array of objects, or one object per line",
        )
    dialect = Dialect("ndjson", encoding=encoding, record_end="CRLF" if head.find(b"\r\n") >= 0 else "LF")
    rows = ObjectRows(table, mode, notes, encoding, limits, declared)
    return Opened(dialect, notes, _ndjson(chunks, rows, limits))


def open_json_array(
    chunks: Chunks,
    encoding: str,
    notes: Notes,
    declared: UploadFormat,
    *,
    table: Table | None,
    mode: Mode | None,
    limits: Limits,
) -> Opened:
    """An array of objects; rows have no lines, their number is the index."""
    if _ARRAY_PER_LINE.match(chunks.peek(HEAD_BYTES)):
        raise FileError(
            "unsupported_format",
            "this is one JSON array per line; expected one array of objects, or one object per line",
        )
    dialect = Dialect("json", encoding=encoding)
    rows = ObjectRows(table, mode, notes, encoding, limits, declared)
    return Opened(dialect, notes, _array(chunks, rows, limits))


def _ndjson(chunks: Chunks, rows: ObjectRows, limits: Limits) -> Iterator[Parsed]:
    line = 1
    for lines in _blocks_of_lines(chunks, limits):
        texts = [text.removesuffix(b"\r") for text in lines]
        filled = [i for i, text in enumerate(texts) if text.strip(b" \t\r")]
        for start in range(0, len(filled), BATCH_ROWS):
            part = filled[start : start + BATCH_ROWS]
            yield rows.chunk([texts[i] for i in part], [line + i for i in part], {})
        line += len(lines)
    rows.finish()


def _array(chunks: Chunks, rows: ObjectRows, limits: Limits) -> Iterator[Parsed]:
    for found in elements(chunks, limits, rows.all_readable):
        yield from in_batches(rows.chunk(found.raw, None, found.problems))
    rows.finish()


def _blocks_of_lines(chunks: Iterable[bytes], limits: Limits) -> Iterator[list[bytes]]:
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size >= BLOCK_BYTES and b"\n" in chunk:
            *lines, rest = b"".join(parts).split(b"\n")
            yield lines
            parts, size = [rest], len(rest)
        if size > limits.record_bytes and b"\n" not in chunk:
            raise FileError("too_large", f"a line is longer than {limits.record_bytes:,} bytes")
    if rest := b"".join(parts):
        yield rest.removesuffix(b"\n").split(b"\n")
