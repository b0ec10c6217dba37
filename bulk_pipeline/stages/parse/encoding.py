"""Decodes a stream of text to UTF-8. The encoding is that of the byte order mark, else the declared one, else UTF-8.

Text that is valid UTF-8 is read as UTF-8 even if a code page is declared. A byte that cannot be decoded becomes an
invalid byte of UTF-8, so that the readers report it with its row.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.schema import code_page
from bulk_pipeline.stages.encodings import LOOK_BYTES, as_utf8, byte_order_mark, decoder_of, unmarked_encoding
from bulk_pipeline.stages.file_formats import HEAD_BYTES
from bulk_pipeline.stages.parse.code_page import detect_utf8, is_ascii_superset
from bulk_pipeline.stages.parse.parsed import Notes
from bulk_pipeline.stages.parse.stream import Chunks


def has_mark(chunks: Chunks) -> bool:
    """Return True if the text begins with a byte order mark."""
    return byte_order_mark(chunks.peek(LOOK_BYTES)) is not None


def to_utf8(
    chunks: Chunks, declared: str | None, notes: Notes, folder: Path | None = None
) -> tuple[str, Chunks]:
    """Return the encoding's name, and the text as UTF-8 without byte order mark.

    Text that may be UTF-8 in spite of a declared code page is copied to `folder` while all of it is checked.
    """
    page = None if declared is None else code_page(declared)
    head = chunks.peek(LOOK_BYTES)
    if marked := byte_order_mark(head):
        mark, name = marked
        if page is not None and not name.startswith(page):
            notes.warn(
                f"the file's byte order mark says {name}: the declared encoding {declared} was not used"
            )
        chunks.drop(len(mark))
        return name, chunks if name == "utf-8" else Chunks(_transcoded(chunks, name))
    if page in ("utf-16", "utf-32"):
        raise FileError(
            FileErrorCode.UNREADABLE_FILE,
            f"{page} needs a byte order mark and the file has none: declare {page}-le or -be",
        )
    if page is not None and page != "utf-8":
        return _of_page(chunks, page, declared or page, notes, folder)
    if page is not None:
        return page, chunks
    if name := unmarked_encoding(head):
        notes.warn(f"the JSON has no byte order mark: its first characters say {name}")
        return name, Chunks(_transcoded(chunks, name))
    return "utf-8", chunks


def _of_page(
    chunks: Chunks, page: str, declared: str, notes: Notes, folder: Path | None
) -> tuple[str, Chunks]:
    head = chunks.peek(HEAD_BYTES)
    if not is_ascii_superset(page):
        if page.startswith(("utf-16", "utf-32")) or not head.isascii():
            return _utf8_or_page(chunks, page, declared, notes, folder)
        return page, Chunks(_transcoded(chunks, page))  # seven bits, with escape sequences
    if not head.isascii():
        return _utf8_or_page(chunks, page, declared, notes, folder)
    return page, Chunks(_of_page_after_ascii(chunks, page, declared, notes, folder))


def _utf8_or_page(
    chunks: Chunks, page: str, declared: str, notes: Notes, folder: Path | None
) -> tuple[str, Chunks]:
    is_utf8, text = detect_utf8(chunks, page, folder)
    if not is_utf8:
        return page, Chunks(_transcoded(text, page))
    notes.warn(f"declared {declared}, but the text is valid UTF-8: it was read as UTF-8")
    return "utf-8", text


def _of_page_after_ascii(
    chunks: Chunks, page: str, declared: str, notes: Notes, folder: Path | None
) -> Iterator[bytes]:
    """Yield ASCII text unchanged, and decide between UTF-8 and the page at the first other byte."""
    for chunk in chunks:
        if not chunk.isascii():
            yield from _utf8_or_page(Chunks(chain([chunk], chunks)), page, declared, notes, folder)[1]
            return
        yield chunk


def _transcoded(chunks: Chunks, name: str) -> Iterator[bytes]:
    decoder = decoder_of(name)
    for chunk in chunks:
        yield as_utf8(decoder, chunk)
    yield as_utf8(decoder, b"", final=True)
