"""The formats of files with rows, one object each. Does not import Arrow.

`stages.parse.upload` has a reader for each format that can be imported, `stages.export.writers` a writer for each that
can be exported.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FileFormat:
    """One format.

    `suffixes`: suffixes of file names, the usual one first. `content_type`: for files over HTTP and in buckets.
    `magic`: possible first bytes of a file.
    `title`: the name in a list of formats that can be imported.
    `read_as`: the format whose reader reads it, None for its own.
    `is_text`: it is text, recognised by its content; other formats are read from a file on disk.
    `delimiter`: the character between the cells of a line.
    `rejected_as`: the format of the report of rejected rows.
    `has_notation`: people write its cells, so that an upload may declare how they write numbers, dates and words.
    `is_exported`: it has a writer.
    `compresses_itself`: its files are compressed inside, never as a whole.
    """

    name: str
    suffixes: tuple[str, ...]
    content_type: str
    title: str
    magic: tuple[bytes, ...] = ()
    read_as: str | None = None
    is_text: bool = False
    delimiter: str | None = None
    rejected_as: str = "ndjson"
    has_notation: bool = False
    is_exported: bool = False
    compresses_itself: bool = False


FORMATS: dict[str, FileFormat] = {
    format_.name: format_
    for format_ in (
        FileFormat(
            name="csv",
            suffixes=(".csv", ".psv", ".txt"),
            content_type="text/csv; charset=utf-8",
            title="CSV",
            is_text=True,
            delimiter=",",
            rejected_as="csv",
            has_notation=True,
            is_exported=True,
        ),
        FileFormat(
            name="tsv",
            suffixes=(".tsv", ".tab"),
            content_type="text/tab-separated-values; charset=utf-8",
            title="TSV",
            read_as="csv",
            is_text=True,
            delimiter="\t",
            rejected_as="tsv",
            has_notation=True,
            is_exported=True,
        ),
        FileFormat(
            name="ndjson",
            suffixes=(".ndjson", ".jsonl"),
            content_type="application/x-ndjson",
            title="NDJSON",
            is_text=True,
            is_exported=True,
        ),
        FileFormat(
            name="json",
            suffixes=(".json",),
            content_type="application/json",
            title="a JSON array",
            is_text=True,
            is_exported=True,
        ),
        FileFormat(
            name="parquet",
            suffixes=(".parquet", ".pq"),
            content_type="application/vnd.apache.parquet",
            title="Parquet",
            magic=(b"PAR1",),
            is_exported=True,
            compresses_itself=True,
        ),
        FileFormat(
            name="xlsx",
            suffixes=(".xlsx",),
            content_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            title=".xlsx",
            rejected_as="csv",
            has_notation=True,
            is_exported=True,
            compresses_itself=True,
        ),
    )
}
"""Every format by name."""


def imported_names() -> tuple[str, ...]:
    """Return the names of the formats that have a reader of their own."""
    return tuple(format_.name for format_ in FORMATS.values() if format_.read_as is None)


def by_suffix() -> dict[str, FileFormat]:
    """Return the formats by suffix, in lower case."""
    return {suffix: format_ for format_ in FORMATS.values() for suffix in format_.suffixes}


def content_type_of(name: str) -> str:
    """Return the content type of a file by the suffix of its name."""
    return by_suffix()[f".{name.rpartition('.')[2]}"].content_type
