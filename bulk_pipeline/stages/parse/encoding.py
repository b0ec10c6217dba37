"""Any encoding to UTF-8, as a stream. Nothing is guessed: a byte order mark, else UTF-8 if all of the text is valid
UTF-8, else what was declared.

A byte that cannot be decoded travels on as an invalid byte of UTF-8, so that the readers report it where it
stands.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import code_page
from bulk_pipeline.stages.encodings import LOOK_BYTES, as_utf8, decoder_of, marked, unmarked
from bulk_pipeline.stages.file_formats import HEAD_BYTES
from bulk_pipeline.stages.parse.chunks import Chunks
from bulk_pipeline.stages.parse.code_page import is_ascii_superset, settled
from bulk_pipeline.stages.parse.parsed import Notes


def has_mark(chunks: Chunks) -> bool:
    """Whether the text begins with a byte order mark."""
    return marked(chunks.peek(LOOK_BYTES)) is not None


def to_utf8(
    chunks: Chunks, declared: str | None, notes: Notes, folder: Path | None = None
) -> tuple[str, Chunks]:
    """The encoding's name, and the text as UTF-8 without byte order mark.

    Text that may be UTF-8 in spite of a declared code page waits in `folder` until all of it has been looked at.
    """
    wanted = None if declared is None else code_page(declared)
    head = chunks.peek(LOOK_BYTES)
    if found := marked(head):
        mark, name = found
        if wanted is not None and not name.startswith(wanted):
            notes.warn(
                f"the file's byte order mark says {name}: the declared encoding {declared} was not used"
            )
        chunks.drop(len(mark))
        return name, chunks if name == "utf-8" else Chunks(_transcoded(chunks, name))
    if wanted in ("utf-16", "utf-32"):
        raise FileError(
            "unreadable_file",
            f"{wanted} needs a byte order mark and the file has none: declare {wanted}-le or -be",
        )
    if wanted is not None and wanted != "utf-8":
        return _of_page(chunks, wanted, declared or wanted, notes, folder)
    if wanted is not None:
        return wanted, chunks
    if name := unmarked(head):
        notes.warn(f"the JSON has no byte order mark: its first characters say {name}")
        return name, Chunks(_transcoded(chunks, name))
    return "utf-8", chunks


def _of_page(
    chunks: Chunks, page: str, declared: str, notes: Notes, folder: Path | None
) -> tuple[str, Chunks]:
    head = chunks.peek(HEAD_BYTES)
    if not is_ascii_superset(page):
        if page.startswith(("utf-16", "utf-32")) or not head.isascii():
            return _settled(chunks, page, declared, notes, folder)
        return page, Chunks(_transcoded(chunks, page))  # seven bits, with escape sequences
    if not head.isascii():
        return _settled(chunks, page, declared, notes, folder)
    return page, Chunks(_settled_late(chunks, page, declared, notes, folder))


def _settled(
    chunks: Chunks, page: str, declared: str, notes: Notes, folder: Path | None
) -> tuple[str, Chunks]:
    is_utf8, text = settled(chunks, page, folder)
    if not is_utf8:
        return page, Chunks(_transcoded(text, page))
    notes.warn(f"declared {declared}, but the text is valid UTF-8: it was read as UTF-8")
    return "utf-8", text


def _settled_late(
    chunks: Chunks, page: str, declared: str, notes: Notes, folder: Path | None
) -> Iterator[bytes]:
    """Nothing needs to be known as long as the text is ASCII."""
    for chunk in chunks:
        if not chunk.isascii():
            yield from _settled(Chunks(chain([chunk], chunks)), page, declared, notes, folder)[1]
            return
        yield chunk


def _transcoded(chunks: Chunks, name: str) -> Iterator[bytes]:
    decoder = decoder_of(name)
    for chunk in chunks:
        yield as_utf8(decoder, chunk)
    yield as_utf8(decoder, b"", final=True)
