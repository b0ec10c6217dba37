"""Opens NDJSON files and JSON arrays."""

import re
from collections.abc import Iterable, Iterator

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.stages.file_formats import HEAD_BYTES
from bulk_pipeline.stages.parse.json.array import Elements, elements
from bulk_pipeline.stages.parse.json.lines import Records, records
from bulk_pipeline.stages.parse.json.objects import ObjectRows
from bulk_pipeline.stages.parse.json.shapes import is_report, refuse_documents
from bulk_pipeline.stages.parse.json.wrapped import wrapped_elements
from bulk_pipeline.stages.parse.parsed import Dialect, OpenFile, ParseContext, ParsedChunk, in_batches
from bulk_pipeline.stages.parse.stream import Chunks

_ARRAY_OF_ARRAYS = re.compile(rb"\s*\[\s*\[")
_ARRAY_PER_LINE = re.compile(rb"\s*\[[^\n{]*\][ \t\r]*\n\s*\[")


def open_ndjson(chunks: Chunks, encoding: str, context: ParseContext) -> OpenFile:
    """Open a file of objects, usually one per line, or one document with a declared array of records.

    Keys are matched like names of a header. None is required of the file, since all keys are known only at its end: a
    row that lacks a required one fails alone.
    """
    notes, declared, limits = context.notes, context.declared, context.limits
    table, mode = context.table, context.mode
    head = chunks.peek(HEAD_BYTES)
    rows = ObjectRows(table, mode, notes, encoding, limits, declared)
    if declared.records and not is_report(head):
        wrapped = wrapped_elements(chunks, declared.records, limits, rows.all_readable)
        return OpenFile(Dialect("json", encoding=encoding), notes, _array(wrapped, rows))
    refuse_documents(head, table, declared, is_whole=len(head) < HEAD_BYTES)
    record_end = "CRLF" if b"\r\n" in head else "CR" if b"\r" in head and b"\n" not in head else "LF"
    dialect = Dialect("ndjson", encoding=encoding, record_end=record_end)
    line_end = b"\r" if record_end == "CR" else b"\n"
    return OpenFile(
        dialect, notes, _ndjson(records(chunks, line_end, limits, rows.all_readable, notes), rows)
    )


def open_json_array(chunks: Chunks, encoding: str, context: ParseContext) -> OpenFile:
    """Open an array of objects; rows have no line, their number is the index from 1."""
    notes, declared, limits = context.notes, context.declared, context.limits
    table, mode = context.table, context.mode
    head = chunks.peek(HEAD_BYTES)
    if declared.records:
        raise FileError(
            FileErrorCode.UNSUPPORTED_FORMAT,
            f"records: {declared.records} is declared, and the JSON document is an array, not an object with keys",
        )
    if _ARRAY_PER_LINE.match(head):
        raise FileError(
            FileErrorCode.UNSUPPORTED_FORMAT,
            "this is one JSON array per line; expected one array of objects, or one object per line",
        )
    if _ARRAY_OF_ARRAYS.match(head):
        raise FileError(
            FileErrorCode.UNSUPPORTED_FORMAT,
            "this is a JSON array of arrays; expected an array of objects, whose keys are the names of the columns",
        )
    rows = ObjectRows(table, mode, notes, encoding, limits, declared)
    parts = elements(chunks, limits, rows.all_readable)
    return OpenFile(Dialect("json", encoding=encoding), notes, _array(parts, rows))


def _ndjson(parts: Iterable[Records], rows: ObjectRows) -> Iterator[ParsedChunk]:
    for part in parts:
        yield from in_batches(rows.chunk(part.raw, part.lines, {}))
    rows.finish()


def _array(parts: Iterable[Elements], rows: ObjectRows) -> Iterator[ParsedChunk]:
    for part in parts:
        yield from in_batches(rows.chunk(part.raw, None, part.problems))
    rows.finish()
