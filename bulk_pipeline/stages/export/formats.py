"""The formats an export can have, and the names of files that promise one. No other module lists them."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

from bulk_pipeline.errors import SelectionError


class Format(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    TSV = "tsv"
    JSON = "json"


class Compression(StrEnum):
    """Of the whole file; inside Parquet, of its pages."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


HTTP_FORMATS = (Format.CSV, Format.NDJSON, Format.PARQUET)
"""What clients of the API may ask for, by contract."""

DELIMITERS = {Format.CSV: ",", Format.TSV: "\t"}
"""The formats of delimited text."""

CONTENT_TYPES = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.NDJSON: "application/x-ndjson",
    Format.PARQUET: "application/vnd.apache.parquet",
    Format.TSV: "text/tab-separated-values; charset=utf-8",
    Format.JSON: "application/json",
}

_SUFFIXES = {Compression.NONE: "", Compression.GZIP: ".gz", Compression.ZSTD: ".zst"}
_FORMAT_ENDINGS = {f".{format_}": format_ for format_ in Format} | {
    ".tab": Format.TSV,
    ".jsonl": Format.NDJSON,
    ".pq": Format.PARQUET,
}
_COMPRESSION_ENDINGS = {
    ".gz": Compression.GZIP,
    ".gzip": Compression.GZIP,
    ".zst": Compression.ZSTD,
    ".zstd": Compression.ZSTD,
}
_WORKBOOKS = frozenset((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers"))
_PACKINGS = frozenset((".zip", ".bz2", ".xz", ".7z", ".rar", ".lz4", ".br", ".tar", ".tgz", ".z"))
_NOT_WRITTEN = (
    _WORKBOOKS | _PACKINGS | {".psv", ".avro", ".orc", ".arrow", ".feather", ".xml", ".html", ".pdf", ".sql"}
)


def extension(format_: Format, compression: Compression) -> str:
    """`.csv`, `.ndjson.zst`, `.parquet`; a Parquet file is called so however its pages are packed."""
    return f".{format_}" if format_ is Format.PARQUET else f".{format_}{_SUFFIXES[compression]}"


@dataclass(frozen=True)
class Written:
    """What a command can write: its formats, the usual one first, and whether it compresses them."""

    formats: tuple[Format, ...]
    packs: bool

    def instead_of(self, ending: str) -> str:
        """What to do where a name ends in something that cannot be written."""
        *names, last = (f".{format_}" for format_ in self.formats)
        possible = f"use {', '.join(names)} or {last}" if names else f"use {last}"
        if self.packs and ending in _WORKBOOKS:
            return f"{possible}; --for-spreadsheets makes a .csv that spreadsheets open"
        if self.packs and ending in _PACKINGS:
            return f"{possible}; .gz or .zst after it compresses the file"
        return possible


EXPORTS = Written((Format.CSV, Format.TSV, Format.NDJSON, Format.JSON, Format.PARQUET), packs=True)


def of_file(
    name: str,
    format_: Format | None = None,
    compression: Compression | None = None,
    written: Written = EXPORTS,
) -> tuple[Format, Compression]:
    """The format and the compression of a file of that name: as they are asked for, else as the name says.

    A name without an ending promises nothing, and the usual format is written. Raises `SelectionError` for an ending
    that promises something that is not asked for, or that cannot be written, and for an unknown one if no format is
    asked for.
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
            f"the ending {ending} of {name!r} names no format: {written.instead_of(ending)}; or say --format"
        )
    if None not in (promised, format_) and promised is not format_:
        raise SelectionError(
            f"{name!r} promises {promised}, and {format_} is asked for: change one of the two"
        )
    chosen = format_ or promised or written.formats[0]
    if chosen is Format.PARQUET:
        if packed is not None:
            raise SelectionError(
                f"{name!r}: Parquet is compressed inside its file: call it {stem.name}, with --compression {packed}"
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
    says = f"promises {packed}" if packed else "promises a file that is not compressed"
    remedy = f"give it the ending {_SUFFIXES[asked]}" if _SUFFIXES[asked] else "take that ending off"
    raise SelectionError(
        f"{name!r} {says}, and compression {asked} is asked for: {remedy}, or leave the compression out"
    )
