"""Opens an uploaded file of any format and hands it on as chunks of numbered rows of text.

The first step of the way of a row. What is in here: which packing, which format, which reader. Not in here:
what a cell means (that is `stages.validate`).
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from bulk_pipeline.errors import FileError
from bulk_pipeline.limits import DEFAULT_LIMITS, Limits
from bulk_pipeline.schema import NOTHING_DECLARED, Mode, Table, UploadFormat
from bulk_pipeline.stages import file_formats, spreadsheets
from bulk_pipeline.stages.file_formats import HEAD_BYTES
from bulk_pipeline.stages.junk_files import refuse_junk
from bulk_pipeline.stages.parse.archives import is_workbook, untar, unzip
from bulk_pipeline.stages.parse.chunks import Chunks, Uploaded
from bulk_pipeline.stages.parse.compression import refuse_bomb, unpack
from bulk_pipeline.stages.parse.csv_file import open_csv
from bulk_pipeline.stages.parse.encoding import has_mark, to_utf8
from bulk_pipeline.stages.parse.end_mark import without_end_mark
from bulk_pipeline.stages.parse.json_file import open_json_array, open_ndjson
from bulk_pipeline.stages.parse.misread import Misread
from bulk_pipeline.stages.parse.parquet import open_parquet
from bulk_pipeline.stages.parse.parsed import IGNORED_COLUMNS, Dialect, Notes, Opened, Parsed, empty
from bulk_pipeline.stages.parse.spool import Spool
from bulk_pipeline.stages.parse.xlsx import open_xlsx

PARSER_VERSION = "8"
"""Changes whenever the same bytes could give other rows or row numbers: a resumed job must parse as it did
before."""

_MOST_PACKINGS = 3


class Upload:
    """A file being read. Iterate it once; `rows`, `columns`, `warnings` and `sha256` are complete afterwards.

    A file without rows gives one empty chunk. Iterating raises `FileError` where the file turns out to be
    damaged as a whole.
    """

    def __init__(
        self, opened: Opened, uploaded: Uploaded, rest: Chunks, spool: Spool, limits: Limits
    ) -> None:
        self.dialect: Dialect = opened.dialect
        self.rows = 0
        self._opened = opened
        self._uploaded = uploaded
        self._rest = rest
        self._spool = spool
        self._limits = limits

    def __iter__(self) -> Iterator[Parsed]:
        misread, decoded_bytes = Misread(), 0
        defused = spreadsheets.MARK in self.dialect.header
        try:
            for chunk in self._opened.chunks:
                parsed = _restored(chunk) if defused else chunk
                self.rows += parsed.raw.num_rows
                decoded_bytes += parsed.records.nbytes + parsed.raw.nbytes
                refuse_bomb(decoded_bytes, self._uploaded.size, self._limits)
                misread.look_at(parsed)
                yield parsed
            for _ in self._rest:  # what a reader had no use for still belongs to the checksum
                pass
            if misread.warning:
                self._opened.notes.warn(misread.warning)
            if self.rows == 0:
                self._opened.notes.warn("the file has no rows")
                yield empty(self.columns)
        finally:
            self._spool.close()

    def close(self) -> None:
        """Removes temporary files of an upload that is not read to its end."""
        self._spool.close()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the record columns that the file brought along."""
        return self._opened.notes.columns

    @property
    def warnings(self) -> list[str]:
        return self._opened.notes.warnings

    @property
    def sha256(self) -> str:
        """Of the bytes as they were uploaded, before any unpacking."""
        return self._uploaded.sha256


def open_upload(
    stream: BinaryIO,
    name: str,
    *,
    table: Table | None = None,
    mode: Mode | None = None,
    declared: UploadFormat = NOTHING_DECLARED,
    limits: Limits = DEFAULT_LIMITS,
    spool_dir: Path | None = None,
    check: Callable[[], None] = lambda: None,
) -> Upload:
    """The upload `name`, whose bytes `stream.read` gives from first to last.

    With a `table`, its columns are looked for in the header, those that `mode` requires among them; without
    one, the records have the columns of the file. What is `declared` about the upload goes before what the table
    declares about all of its uploads. `check` is called for each piece that is read, and raises if reading should stop.
    Raises `FileError` for a file that cannot be read as a whole.
    """
    declared = declared.over(table.upload_format) if table else declared
    refuse_junk(name)
    uploaded, notes, spool = Uploaded(stream, check), Notes(), Spool(spool_dir)
    try:
        chunks = Chunks(uploaded)
        if not chunks.peek(1):
            raise FileError("empty_file", "the file is empty (0 bytes)")
        packings, kind, content = _unpacked(chunks, uploaded, spool, limits, declared.encoding)
        _compare_names(name, packings, kind, notes)
        marked = not isinstance(content, Path) and has_mark(content)
        if isinstance(content, Path):
            open_file = open_parquet if kind == "parquet" else partial(open_xlsx, check=check)
            opened = open_file(content, notes, declared, table=table, mode=mode, limits=limits)
        else:
            opened = _open_text(content, name, declared, notes, table, mode, limits, spool_dir)
    except BaseException:
        spool.close()
        raise
    dialect = replace(opened.dialect, compression="+".join(packings) or None, byte_order_mark=marked)
    return Upload(replace(opened, dialect=dialect), uploaded, chunks, spool, limits)


def _restored(parsed: Parsed) -> Parsed:
    """The chunk with the texts that the cells had before they were made harmless for spreadsheets."""
    names, columns = parsed.records.schema.names, parsed.records.columns
    texts = [
        column if name in IGNORED_COLUMNS else spreadsheets.restored(column)
        for name, column in zip(names, columns, strict=True)
    ]
    return replace(parsed, records=pa.RecordBatch.from_arrays(texts, schema=parsed.records.schema))


def _unpacked(
    chunks: Chunks, uploaded: Uploaded, spool: Spool, limits: Limits, encoding: str | None
) -> tuple[list[str], str | None, Chunks | Path]:
    """The packings, the format if its first bytes say it, and the content, as a file for formats that need
    one."""
    packings: list[str] = []
    while True:
        kind = file_formats.recognised(chunks.peek(HEAD_BYTES), encoding)
        if kind not in file_formats.PACKED:
            return packings, kind, spool.write(chunks) if kind == "parquet" else chunks
        if len(packings) == _MOST_PACKINGS:
            raise FileError("unsupported_format", f"the file is packed more than {_MOST_PACKINGS} times over")
        if kind == "zip":
            path = spool.write(chunks)
            if is_workbook(path):
                return packings, "xlsx", path
            chunks = unzip(path, uploaded, limits)
        elif kind == "tar":
            chunks = untar(spool.write(chunks), uploaded, limits)
        else:
            chunks = unpack(chunks, kind, uploaded, limits)
        packings.append(kind)
        if not chunks.peek(1):
            raise FileError("empty_file", f"the file is empty: the {kind} data unpacks to 0 bytes")


def _open_text(
    chunks: Chunks,
    name: str,
    declared: UploadFormat,
    notes: Notes,
    table: Table | None,
    mode: Mode | None,
    limits: Limits,
    spool_dir: Path | None,
) -> Opened:
    used, decoded = to_utf8(chunks, declared.encoding, notes, spool_dir)
    if not decoded.peek(1):
        raise FileError("empty_file", "the file is empty: it has a byte order mark and nothing else")
    text = Chunks(without_end_mark(decoded, notes))
    head = text.peek(HEAD_BYTES)
    if not head:
        raise FileError("empty_file", "the file is empty: it has Ctrl-Z (0x1A) and nothing else")
    format_ = file_formats.of_text(head, name, notes)
    if format_ == "csv":
        return open_csv(text, used, notes, declared, table=table, mode=mode, limits=limits)
    open_file = open_ndjson if format_ == "ndjson" else open_json_array
    return open_file(text, used, notes, declared, table=table, mode=mode, limits=limits)


def _compare_names(name: str, packings: list[str], kind: str | None, notes: Notes) -> None:
    said, format_ = file_formats.by_name(name)
    if said != packings[: len(said)] or (packings and not said):
        notes.warn(
            f"the file's name is {name!r}, its content is packed with {' and '.join(packings) or 'nothing'}"
        )
    if format_ in ("parquet", "xlsx") and format_ != kind:
        notes.warn(f"the file's name says {format_}, its content does not: it was read as what it is")
    if kind is not None and format_ is not None and format_ != kind:
        notes.warn(f"the file's name says {format_}, its content is {kind}: it was read as {kind}")
