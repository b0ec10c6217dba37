"""The formats an export can have, and the names of files that promise one."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

from bulk_pipeline.errors import SelectionError
from bulk_pipeline.stages.formats import FORMATS, FileFormat


class Format(StrEnum):
    """The formats of `stages.formats` that have a writer."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    TSV = "tsv"
    JSON = "json"
    XLSX = "xlsx"

    @property
    def facts(self) -> FileFormat:
        return FORMATS[self]


class Compression(StrEnum):
    """Compression of the whole file; in Parquet, of its pages."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


HTTP_FORMATS = (Format.CSV, Format.NDJSON, Format.PARQUET)
"""The formats of the API's contract."""

_SUFFIXES = {Compression.NONE: "", Compression.GZIP: ".gz", Compression.ZSTD: ".zst"}
_NO_PROMISES = (".psv", ".txt")
"""Endings under which imports find many kinds of delimited text."""
_FORMAT_ENDINGS = {
    suffix: format_ for format_ in Format for suffix in format_.facts.suffixes if suffix not in _NO_PROMISES
}
_COMPRESSION_ENDINGS = {
    ".gz": Compression.GZIP,
    ".gzip": Compression.GZIP,
    ".zst": Compression.ZSTD,
    ".zstd": Compression.ZSTD,
}
_PACKINGS = frozenset((".zip", ".bz2", ".xz", ".7z", ".rar", ".lz4", ".br", ".tar", ".tgz", ".z"))
_NOT_WRITTEN = (
    _PACKINGS
    | {".xlsm", ".xlsb", ".xls", ".ods", ".numbers"}
    | {".psv", ".avro", ".orc", ".arrow", ".feather", ".xml", ".html", ".pdf", ".sql"}
)


def compressions(format_: Format) -> tuple[Compression, ...]:
    """Return the compressions of a format: of the file, or of the pages in Parquet. A workbook has its own."""
    return (Compression.NONE,) if format_ is Format.XLSX else tuple(Compression)


def extension(format_: Format, compression: Compression) -> str:
    """`.csv`, `.ndjson.zst`, `.parquet`; a Parquet file is called so however its pages are packed."""
    return f".{format_}" if format_.facts.compresses_itself else f".{format_}{_SUFFIXES[compression]}"


@dataclass(frozen=True)
class CommandFormats:
    """The formats that a command can write, the default first, and whether it compresses them."""

    formats: tuple[Format, ...]
    packs: bool

    def instead_of(self, ending: str) -> str:
        """Return the advice for a file name with an ending that cannot be written."""
        *names, last = (f".{format_}" for format_ in self.formats)
        possible = f"use {', '.join(names)} or {last}" if names else f"use {last}"
        if self.packs and ending in _PACKINGS:
            return f"{possible}; .gz or .zst after it compresses the file"
        return possible


EXPORTS = CommandFormats(
    (Format.CSV, Format.TSV, Format.NDJSON, Format.JSON, Format.PARQUET, Format.XLSX), packs=True
)


def of_file(
    name: str,
    format_: Format | None = None,
    compression: Compression | None = None,
    written: CommandFormats = EXPORTS,
) -> tuple[Format, Compression]:
    """Return the format and the compression of a file: the requested ones, otherwise those of its name.

    Without an extension, the default format is written. Raises `SelectionError` if the extension contradicts the
    request, cannot be written, or is unknown and no format is requested.
    """
    stem, packed = _packing(PurePath(name))
    ending = stem.suffix.lower()
    promised = _FORMAT_ENDINGS.get(ending)
    if packed and not written.packs:
        raise SelectionError(
            f"cannot write {PurePath(name).suffix}: {written.instead_of(ending)}, not compressed"
        )
    if ending in _NOT_WRITTEN or (promised and promised not in written.formats):
        raise SelectionError(f"cannot write {ending}: {written.instead_of(ending)}")
    if ending and promised is None and format_ is None:
        raise SelectionError(
            f"the extension {ending} of {name!r} belongs to no format: {written.instead_of(ending)}; or say --format"
        )
    if None not in (promised, format_) and promised is not format_:
        raise SelectionError(f"{name!r} implies {promised}, but {format_} was requested: change one of them")
    chosen = format_ or promised or written.formats[0]
    if chosen.facts.compresses_itself:
        if packed is not None:
            remedy = f", with --compression {packed}" if packed in compressions(chosen) else ""
            raise SelectionError(
                f"{name!r}: {chosen.facts.title} is compressed inside its file: call it {stem.name}{remedy}"
            )
        return chosen, compression or Compression.NONE
    _check_packing(name, promised, packed, compression)
    return chosen, compression or packed or Compression.NONE


def _packing(path: PurePath) -> tuple[PurePath, Compression | None]:
    """The name without the ending of a compression, and that compression."""
    packed = _COMPRESSION_ENDINGS.get(path.suffix.lower())
    return (path.with_suffix(""), packed) if packed else (path, None)


def _check_packing(
    name: str, promised: Format | None, packed: Compression | None, asked: Compression | None
) -> None:
    """An ending like .csv promises a plain file, .gz a packed one; without an ending nothing is promised."""
    if asked is None or asked is (packed or Compression.NONE) or (promised is None and packed is None):
        return
    says = f"implies {packed}" if packed else "implies a file that is not compressed"
    remedy = f"give it the ending {_SUFFIXES[asked]}" if _SUFFIXES[asked] else "take that ending off"
    raise SelectionError(
        f"{name!r} {says}, but compression {asked} was requested: {remedy}, or leave the compression out"
    )
