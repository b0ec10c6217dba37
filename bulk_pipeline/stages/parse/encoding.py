"""Any encoding to UTF-8, as a stream. Nothing is guessed: a byte order mark, else strict UTF-8, else what was
declared.

A byte that cannot be decoded travels on as an invalid byte of UTF-8, so that the readers report it where it
stands.
"""

from collections.abc import Iterator

from bulk_pipeline.errors import FileError
from bulk_pipeline.stages.encodings import LOOK_BYTES, as_utf8, code_page, decoder_of, marked, unmarked
from bulk_pipeline.stages.parse.chunks import Chunks
from bulk_pipeline.stages.parse.parsed import Notes


def has_mark(chunks: Chunks) -> bool:
    """Whether the text begins with a byte order mark."""
    return chunks.peek(4).startswith(tuple(mark for mark, _ in _MARKS))


def to_utf8(chunks: Chunks, declared: str | None, notes: Notes) -> tuple[str, Chunks]:
    """The encoding's name, and the text as UTF-8 without byte order mark."""
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
    if wanted is not None:
        return wanted, chunks if wanted == "utf-8" else Chunks(_transcoded(chunks, wanted))
    if name := unmarked(head):
        notes.warn(f"the JSON has no byte order mark: its first characters say {name}")
        return name, Chunks(_transcoded(chunks, name))
    return "utf-8", chunks


def _transcoded(chunks: Chunks, name: str) -> Iterator[bytes]:
    decoder = decoder_of(name)
    for chunk in chunks:
        yield as_utf8(decoder, chunk)
    yield as_utf8(decoder, b"", final=True)
