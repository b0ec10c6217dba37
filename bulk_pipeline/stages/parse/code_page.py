"""Tells whether text is UTF-8 although a code page was declared: a declaration may be a setting nobody looks at.

Decided for the text as a whole, from its first byte that is not ASCII on: a cell by itself says nothing, as every byte
of UTF-8 is some character of cp1252.
"""

import codecs
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from bulk_pipeline.stages.parse.chunks import READ_BYTES, Chunks

_IN_MEMORY = 8 << 20
_ENOUGH_CHARACTERS = 3
_FIRST_OF_THREE_BYTES = "\u0800"
_ASCII = bytes(range(128))


def is_ascii_superset(page: str) -> bool:
    """Whether ASCII text is the same in the page: not in UTF-16, EBCDIC or what shifts by escape sequences."""
    try:
        return _ASCII.decode(page) == _ASCII.decode("ascii")
    except (UnicodeError, LookupError):
        return False


def settled(chunks: Chunks, page: str, folder: Path | None) -> tuple[bool, Chunks]:
    """Whether the text is UTF-8 and not in the page, and the same text again.

    It is UTF-8 if all of it can be, and it is not likely that text in the page can be by chance: some character of it
    is one of the page too (ü), takes three bytes, or there are three of them.
    """
    if b"\0" in chunks.peek(READ_BYTES):
        return False, chunks
    kept = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, dir=folder and str(folder))  # noqa: SIM115  # closed when it is read
    decoder, characters, count = codecs.getincrementaldecoder("utf-8")(), set[str](), 0
    is_utf8 = True
    for chunk in chunks:
        kept.write(chunk)
        try:
            text = decoder.decode(chunk)
        except UnicodeDecodeError:
            is_utf8 = False
            break
        if count < _ENOUGH_CHARACTERS and not text.isascii():
            beyond = [character for character in text if not character.isascii()]
            characters.update(beyond)
            count += len(beyond)
    try:
        decoder.decode(b"", is_utf8)
    except UnicodeDecodeError:
        is_utf8 = False
    is_utf8 = is_utf8 and (not count or _is_no_chance(characters, count, page))
    kept.seek(0)
    return is_utf8, Chunks(chain(_read(kept), chunks))


def _is_no_chance(characters: set[str], count: int, page: str) -> bool:
    if count >= _ENOUGH_CHARACTERS or max(characters) >= _FIRST_OF_THREE_BYTES:
        return True
    try:
        "".join(characters).encode(page)
    except UnicodeEncodeError:
        return False
    return True


def _read(kept: "tempfile.SpooledTemporaryFile[bytes]") -> Iterator[bytes]:
    with kept:
        while chunk := kept.read(READ_BYTES):
            yield chunk
