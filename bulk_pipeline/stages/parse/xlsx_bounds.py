"""Makes sure that an .xlsx file fits into memory, before it is given to a reader that would end the process.

Calamine reserves the whole rectangle between a sheet's first and last cell, and aborts when it cannot: two
cells in opposite corners of a sheet ask for 550 GB (measured). A zip may also lie about sizes, so what is
read is a copy.
"""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from bulk_pipeline.errors import FileError
from bulk_pipeline.stages.parse.chunks import READ_BYTES
from bulk_pipeline.stages.parse.limits import Limits

_PLACE = re.compile(rb"""<(?:\w+:)?(?:c|row)\b[^<>]*?\br\s*=\s*["']([A-Za-z]*)(\d{1,9})["']""")
_SHEET = re.compile(r"xl/worksheets/[^/]*", re.IGNORECASE)
_LONGEST_TAG = 4096


def bounded_copy(path: Path, limits: Limits) -> Path:
    """A copy of the workbook, beside it, whose size and sheets are within the limits; `FileError` if they
    are not."""
    copy = path.with_suffix(".bounded")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w") as target:
        size = sum(info.file_size for info in source.infolist())
        if size > limits.sheet_bytes:
            raise FileError(
                "too_large",
                f"the .xlsx file unpacks to {size:,} bytes, the limit is {limits.sheet_bytes:,}: save it as CSV",
            )
        for info in source.infolist():
            _copy(source, info.filename, target, limits)
    return copy


def _copy(source: zipfile.ZipFile, name: str, target: zipfile.ZipFile, limits: Limits) -> None:
    rows = columns = 0
    tail = b""
    with target.open(name, "w") as written:
        for chunk in _pieces(source, name):
            written.write(chunk)
            if _SHEET.fullmatch(name):
                text = tail + chunk
                for letters, number in _PLACE.findall(text):
                    rows, columns = max(rows, int(number)), max(columns, _column(letters))
                tail = text[-_LONGEST_TAG:]
    if rows * columns > limits.sheet_cells:
        raise FileError(
            "too_large",
            f"the sheet reaches over {rows:,} rows and {columns:,} columns, the limit is {limits.sheet_cells:,} cells: "
            "save it as CSV",
        )


def _pieces(source: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    with source.open(name) as member:
        while chunk := member.read(READ_BYTES):
            yield chunk


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters[:4].upper():
        number = number * 26 + letter - ord("A") + 1
    return max(1, number)
