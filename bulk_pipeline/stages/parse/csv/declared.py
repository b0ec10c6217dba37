"""Refuses a delimited file that is not as declared, and drops what stands above a declared header."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.schema import UploadFormat
from bulk_pipeline.schema.upload_format import QUOTE
from bulk_pipeline.stages.file_formats import HEAD_BYTES
from bulk_pipeline.stages.parse.cells import shown
from bulk_pipeline.stages.parse.column_names import ColumnNames
from bulk_pipeline.stages.parse.csv.dialect import detect
from bulk_pipeline.stages.parse.csv.header import Header, Line
from bulk_pipeline.stages.parse.header_match import DECLARE_ROW, listed
from bulk_pipeline.stages.parse.stream import Chunks

_LINE_END = re.compile(rb"\r\n|\n|\r")
_REPORT = re.compile(rb"(?:\xef\xbb\xbf)?_row([^\w\r\n]{1,4}?)_line\1_errors(?=\1|\r|\n|$)")
_QUOTED_ERROR = rb'[^\r\n]*[\r\n]+\d+%b\d*%b"'


def of_report(head: bytes, declared: UploadFormat) -> UploadFormat:
    """Return the format of a report of rejected rows, which begins with its header; other files are as declared.

    The report of a sheet has commas and `"`, whatever is declared for CSV files of the same table.
    """
    report = _REPORT.match(head)
    if report is None:
        return declared
    delimiter = report[1]
    is_quoted = re.match(_QUOTED_ERROR % (re.escape(delimiter), re.escape(delimiter)), head) is not None
    return replace(
        declared,
        no_header=False,
        header_row=None,
        delimiter=declared.delimiter and delimiter.decode(),
        quote=QUOTE if is_quoted and declared.quote is not None else declared.quote,
    )


def drop_lines_above(chunks: Chunks, header_row: int) -> None:
    """Drop the physical lines before the declared header. Raises `FileError` if the file ends before it."""
    lines, first, is_open = 0, b"", False
    while lines < header_row - 1 and (head := _peek(chunks)):
        first = first or head[: head.find(b"\n") if b"\n" in head else None]
        end = 0
        for found in islice(_LINE_END.finditer(head), header_row - 1 - lines):
            end, lines = found.end(), lines + 1
        is_open = end == 0
        chunks.drop(end or len(head))
    if not chunks.peek(1):
        count = lines + is_open
        raise FileError(
            FileErrorCode.BAD_DECLARATION,
            f"header_row: {header_row} is declared, and the file has only {count} line{'' if count == 1 else 's'}: "
            f"found {shown(first.strip())!r} in line 1; {DECLARE_ROW}",
        )


def _peek(chunks: Chunks) -> bytes:
    """Return the next bytes; a CR at their end is one only if no LF follows."""
    head = chunks.peek(HEAD_BYTES)
    while head.endswith(b"\r") and len(more := chunks.peek(len(head) + 1)) > len(head):
        head = more
    return head


def refuse_blank_header(lines: Sequence[Line], header_row: int) -> None:
    """Raise `FileError` if the line of the declared header is blank; `lines` are those from it on."""
    if lines and lines[0].number == header_row:
        return
    below = f": found {shown(lines[0].raw)!r} in line {lines[0].number}" if lines else ""
    raise FileError(
        FileErrorCode.BAD_DECLARATION,
        f"header_row: {header_row} is declared, and this line is blank{below}; {DECLARE_ROW}",
    )


def refuse_delimiter(
    lines: Sequence[Line], declared: UploadFormat, head: bytes, names: ColumnNames | None
) -> None:
    """Raise `FileError` if the declared delimiter is in none of the lines, and another one seems to be."""
    if not lines or not declared.delimiter or any(declared.delimiter.encode() in line.raw for line in lines):
        return
    detected = detect(head, names, (), replace(declared, delimiter=None)).delimiter
    if detected not in lines[0].raw:
        return
    other = _text(detected.decode())
    raise FileError(
        FileErrorCode.BAD_DECLARATION,
        f"delimiter: {_text(declared.delimiter)} is declared, and the file does not have it: found "
        f"{shown(lines[0].raw)!r} in line {lines[0].number}; expected cells with it between them; declare "
        f"delimiter: {other} (--delimiter {shlex.quote(other)})",
    )


def refuse_quote(header: Header, declared: UploadFormat) -> None:
    """Raise `FileError` if names of the header stand between quotes other than the declared one."""
    if declared.quote in (None, QUOTE):
        return
    quoted = [cell for cell in header.cells if len(cell) > 1 and cell[0] == cell[-1] == QUOTE]
    if quoted:
        raise FileError(
            FileErrorCode.BAD_DECLARATION,
            f"quote: {declared.texts()['quote']} is declared, and names in the header (line {header.line}) stand "
            f"between {QUOTE}: found {listed(quoted)}; declare quote: {QUOTE} (--quote '{QUOTE}')",
        )


def _text(delimiter: str) -> str:
    return UploadFormat(delimiter=delimiter).texts()["delimiter"]
