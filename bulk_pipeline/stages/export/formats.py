"""How an export is written: its format and its compression, and what files are called for it."""

from enum import StrEnum


class Format(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


class Compression(StrEnum):
    """Of the whole file; inside Parquet, of its pages."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


CONTENT_TYPES = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.NDJSON: "application/x-ndjson",
    Format.PARQUET: "application/vnd.apache.parquet",
}
_SUFFIXES = {Compression.NONE: "", Compression.GZIP: ".gz", Compression.ZSTD: ".zst"}


def extension(format_: Format, compression: Compression) -> str:
    """`.csv`, `.ndjson.zst`, `.parquet`; a Parquet file is called so however its pages are packed."""
    return f".{format_}" if format_ is Format.PARQUET else f".{format_}{_SUFFIXES[compression]}"


def by_name(name: str) -> tuple[Format | None, Compression]:
    """What the name of a file says of it: `users.ndjson.zst`."""
    for format_ in Format:
        for compression in Compression:
            if name.lower().endswith(extension(format_, compression)):
                return format_, compression
    return None, Compression.NONE
