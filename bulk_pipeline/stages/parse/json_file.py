"""Opens NDJSON and JSON arrays."""

import re
from collections.abc import Iterable, Iterator

from bulk_pipeline.errors import FileError
from bulk_pipeline.limits import Limits
from bulk_pipeline.schema import Mode, Table, UploadFormat
from bulk_pipeline.stages.file_formats import HEAD_BYTES
from bulk_pipeline.stages.parse.chunks import Chunks
from bulk_pipeline.stages.parse.json_array import Elements, elements
from bulk_pipeline.stages.parse.json_lines import Records, records
from bulk_pipeline.stages.parse.json_objects import ObjectRows
from bulk_pipeline.stages.parse.json_shapes import is_report, refuse_documents
from bulk_pipeline.stages.parse.json_wrapped import wrapped_elements
from bulk_pipeline.stages.parse.parsed import Dialect, Notes, Opened, Parsed, in_batches

_ARRAY_OF_ARRAYS = re.compile(rb"\s*\[\s*\[")
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
    """Objects, one per line as a rule. Keys are matched like the names of a header; none is required of the file,
    because they are known only at its end: a row without one fails by itself."""
    head = chunks.peek(HEAD_BYTES)
    rows = ObjectRows(table, mode, notes, encoding, limits, declared)
    if declared.records and not is_report(head):
        found = wrapped_elements(chunks, declared.records, limits, rows.all_readable)
        return Opened(Dialect("json", encoding=encoding), notes, _array(found, rows))
    refuse_documents(head, table, declared, is_whole=len(head) < HEAD_BYTES)
    record_end = "CRLF" if b"\r\n" in head else "CR" if b"\r" in head and b"\n" not in head else "LF"
    dialect = Dialect("ndjson", encoding=encoding, record_end=record_end)
    line_end = b"\r" if record_end == "CR" else b"\n"
    return Opened(dialect, notes, _ndjson(records(chunks, line_end, limits, rows.all_readable, notes), rows))


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
    head = chunks.peek(HEAD_BYTES)
    if declared.records:
        raise FileError(
            "unsupported_format",
            f"records: {declared.records} is declared, and the JSON document is an array, not an object with keys",
        )
    if _ARRAY_PER_LINE.match(head):
        raise FileError(
            "unsupported_format",
            "this is one JSON array per line; expected one array of objects, or one object per line",
        )
    if _ARRAY_OF_ARRAYS.match(head):
        raise FileError(
            "unsupported_format",
            "this is a JSON array of arrays; expected an array of objects, whose keys are the names of the columns",
        )
    rows = ObjectRows(table, mode, notes, encoding, limits, declared)
    found = elements(chunks, limits, rows.all_readable)
    return Opened(Dialect("json", encoding=encoding), notes, _array(found, rows))


def _ndjson(found: Iterable[Records], rows: ObjectRows) -> Iterator[Parsed]:
    for part in found:
        yield from in_batches(rows.chunk(part.raw, part.lines, {}))
    rows.finish()


def _array(found: Iterable[Elements], rows: ObjectRows) -> Iterator[Parsed]:
    for part in found:
        yield from in_batches(rows.chunk(part.raw, None, part.problems))
    rows.finish()
