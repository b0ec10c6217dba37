"""Proposes a delimiter that is not detected: the only character with which a line names the columns of the table."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from bulk_pipeline.errors import DeclarationError, FileError
from bulk_pipeline.schema import Table, UploadFormat
from bulk_pipeline.stages.proposals.code_pages import Open

_MOST = 50
"""The most characters that are tried, so that text in another script costs no more."""


def undetected_delimiter(
    header: Sequence[str], table: Table, declared: UploadFormat, open_: Open
) -> tuple[str, str] | None:
    """Return a delimiter and the evidence for it, None if no character of the header is one or several are."""
    if declared.delimiter is not None:
        return None
    with suppress(FileError):
        open_(table, declared).close()
        return None
    found = list(_delimiters("".join(header), table, declared, open_))
    return found[0] if len(found) == 1 else None


def _delimiters(header: str, table: Table, declared: UploadFormat, open_: Open) -> Iterator[tuple[str, str]]:
    for character in sorted({*header})[:_MOST]:
        delimiter = UploadFormat(delimiter=character)
        try:
            delimiter.check()
            upload = open_(table, delimiter.over(declared))
        except (DeclarationError, FileError):
            continue
        upload.close()
        if len(upload.columns) > 1:
            evidence = f"only so line {upload.dialect.header_line} names {', '.join(upload.columns)}"
            yield delimiter.texts()["delimiter"], evidence
