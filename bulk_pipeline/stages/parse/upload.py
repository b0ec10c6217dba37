"""Opens an uploaded file of any format as chunks of numbered rows of text.

Chooses decompression, format and reader. The meaning of cells belongs to `stages.validate`.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from bulk_pipeline.errors import DeclarationError, FileError, FileErrorCode
from bulk_pipeline.limits import DEFAULT_LIMITS, Limits
from bulk_pipeline.schema import NOTHING_DECLARED, Mode, Table, UploadFormat
from bulk_pipeline.stages import file_formats, spreadsheets
from bulk_pipeline.stages.file_formats import HEAD_BYTES
from bulk_pipeline.stages.formats import FORMATS
from bulk_pipeline.stages.junk_files import refuse_junk
from bulk_pipeline.stages.parse.archives import is_workbook, untar, unzip
from bulk_pipeline.stages.parse.compression import refuse_bomb, unpack
from bulk_pipeline.stages.parse.csv.reader import open_csv
from bulk_pipeline.stages.parse.encoding import has_mark, to_utf8
from bulk_pipeline.stages.parse.end_mark import without_end_mark
from bulk_pipeline.stages.parse.json.reader import open_json_array, open_ndjson
from bulk_pipeline.stages.parse.misread import MisreadCounter
from bulk_pipeline.stages.parse.parquet.reader import open_parquet
from bulk_pipeline.stages.parse.parsed import (
    IGNORED_COLUMNS,
    STORED,
    Dialect,
    Notes,
    OpenFile,
    ParseContext,
    ParsedChunk,
    empty,
)
from bulk_pipeline.stages.parse.spool import Spool
from bulk_pipeline.stages.parse.stream import Chunks, Uploaded
from bulk_pipeline.stages.parse.xlsx.reader import open_xlsx

PARSER_VERSION = "10"
"""Changes whenever the same bytes could give other rows or row numbers: a resumed job must parse as it did before."""

TEXT_READERS: dict[str, Callable[[Chunks, str, ParseContext], OpenFile]] = {
    "csv": open_csv,
    "ndjson": open_ndjson,
    "json": open_json_array,
}
"""Readers of UTF-8 text, by format. The second argument is the text's original encoding."""

FILE_READERS: dict[str, Callable[[Path, ParseContext], OpenFile]] = {
    "parquet": open_parquet,
    "xlsx": open_xlsx,
}
"""Readers of files on disk, by format: the formats of `stages.formats` that are not text."""

_MOST_PACKINGS = 3


class Upload:
    """A file being read. Iterate over it once; afterwards `rows`, `columns`, `warnings` and `sha256` are complete.

    A file without rows gives one empty chunk. Iteration raises `FileError` if the file is damaged as a whole.
    """

    def __init__(
        self,
        opened: OpenFile,
        uploaded: Uploaded,
        rest: Chunks,
        spool: Spool,
        limits: Limits,
        declared: UploadFormat,
    ) -> None:
        self.dialect: Dialect = opened.dialect
        has_notation = FORMATS[self.dialect.format].has_notation
        self.declared = declared if has_notation else declared.without_notation()
        """The declarations of table and upload, without a notation in formats whose cells have none."""
        self.rows = 0
        self._opened = opened
        self._uploaded = uploaded
        self._rest = rest
        self._spool = spool
        self._limits = limits

    def __iter__(self) -> Iterator[ParsedChunk]:
        misread_cells, decoded_bytes = MisreadCounter(), 0
        defused = spreadsheets.MARK in self.dialect.header
        try:
            for chunk in self._opened.chunks:
                parsed = _restored(chunk) if defused else chunk
                self.rows += parsed.raw.num_rows
                decoded_bytes += parsed.records.nbytes + parsed.raw.nbytes
                refuse_bomb(decoded_bytes, self._uploaded.size, self._limits)
                misread_cells.count(parsed)
                yield parsed
            for _ in self._rest:  # bytes that the reader did not need still belong to the checksum
                pass
            if misread_cells.warning:
                self._opened.notes.warn(misread_cells.warning)
            if self.rows == 0:
                self._opened.notes.warn("the file has no rows")
                yield empty(self.columns)
        finally:
            self._spool.close()

    def close(self) -> None:
        """Remove the temporary files of an upload that is not read to its end."""
        self._spool.close()

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that the file has."""
        return self._opened.notes.columns

    @property
    def has_origins(self) -> bool:
        """True if the rows of the chunk that was read last may have origins (`stages.origins`)."""
        return self._opened.notes.has_origins

    @property
    def warnings(self) -> list[str]:
        return self._opened.notes.warnings

    @property
    def sha256(self) -> str:
        """The hash of the uploaded bytes, before decompression."""
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
    """Open the upload `name`, whose bytes `stream.read` gives from first to last.

    With a `table`, the header must name its columns, at least those that `mode` requires; without one, the records have
    the columns of the file. The format `declared` for the upload takes precedence over the table's. `check` is called
    for each piece that is read, and raises to stop the reading. Raises `FileError` for a file that cannot be read.
    """
    if table is not None:
        try:
            declared = table.format_of(declared)
        except DeclarationError as error:
            raise FileError(FileErrorCode.BAD_DECLARATION, str(error)) from error
        table = table.matching(declared)
    refuse_junk(name)
    uploaded, notes, spool = Uploaded(stream, check), Notes(), Spool(spool_dir)
    try:
        chunks = Chunks(uploaded)
        if not chunks.peek(1) and not file_formats.may_be_empty(name):
            raise FileError(FileErrorCode.EMPTY_FILE, "the file is empty (0 bytes)")
        packings, kind, content = _unpacked(chunks, name, uploaded, spool, limits, declared.encoding)
        _compare_names(name, packings, kind, notes)
        marked = not isinstance(content, Path) and has_mark(content)
        context = ParseContext(notes, declared, table, mode, limits, check)
        if isinstance(content, Path):
            opened = FILE_READERS[str(kind)](content, context)
        else:
            opened = _open_text(content, name, context, spool_dir)
    except BaseException:
        spool.close()
        raise
    dialect = replace(opened.dialect, compression="+".join(packings) or None, byte_order_mark=marked)
    return Upload(replace(opened, dialect=dialect), uploaded, chunks, spool, limits, declared)


def _restored(parsed: ParsedChunk) -> ParsedChunk:
    """Return the chunk with the texts that its cells had before they were defused for spreadsheets."""
    names, columns = parsed.records.schema.names, parsed.records.columns
    texts = [
        column if name in (*IGNORED_COLUMNS, STORED) else spreadsheets.restored(column)
        for name, column in zip(names, columns, strict=True)
    ]
    return replace(parsed, records=pa.RecordBatch.from_arrays(texts, schema=parsed.records.schema))


def _unpacked(
    chunks: Chunks,
    name: str,
    uploaded: Uploaded,
    spool: Spool,
    limits: Limits,
    encoding: str | None,
) -> tuple[list[str], str | None, Chunks | Path]:
    """Return the packings, the format if the first bytes show it, and the content, as a file for formats that need
    one."""
    packings: list[str] = []
    while True:
        kind = file_formats.recognised(chunks.peek(HEAD_BYTES), encoding)
        if kind not in file_formats.PACKED:
            return packings, kind, spool.write(chunks) if kind else chunks
        if len(packings) == _MOST_PACKINGS:
            raise FileError(
                FileErrorCode.UNSUPPORTED_FORMAT, f"the file is packed more than {_MOST_PACKINGS} times over"
            )
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
        if not chunks.peek(1) and not file_formats.may_be_empty(name):
            raise FileError(
                FileErrorCode.EMPTY_FILE, f"the file is empty: the {kind} data unpacks to 0 bytes"
            )


def _open_text(chunks: Chunks, name: str, context: ParseContext, spool_dir: Path | None) -> OpenFile:
    encoding, decoded = to_utf8(chunks, context.declared.encoding, context.notes, spool_dir)
    may_be_empty = file_formats.may_be_empty(name)
    if not decoded.peek(1) and not may_be_empty:
        raise FileError(
            FileErrorCode.EMPTY_FILE, "the file is empty: it has a byte order mark and nothing else"
        )
    text = Chunks(without_end_mark(decoded, context.notes))
    head = text.peek(HEAD_BYTES)
    if not head and not may_be_empty:
        raise FileError(FileErrorCode.EMPTY_FILE, "the file is empty: it has Ctrl-Z (0x1A) and nothing else")
    return TEXT_READERS[file_formats.of_text(head, name, context.notes)](text, encoding, context)


def _compare_names(name: str, packings: list[str], kind: str | None, notes: Notes) -> None:
    named_packings, format_ = file_formats.by_name(name)
    if named_packings != packings[: len(named_packings)] or (packings and not named_packings):
        notes.warn(
            f"the file's name is {name!r}, its content is packed with {' and '.join(packings) or 'nothing'}"
        )
    if format_ is not None and not FORMATS[format_].is_text and format_ != kind:
        notes.warn(f"the file's name says {format_}, its content does not: it was read as what it is")
    if kind is not None and format_ is not None and format_ != kind:
        notes.warn(f"the file's name says {format_}, its content is {kind}: it was read as {kind}")
