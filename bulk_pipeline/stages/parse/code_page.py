"""Detects text that is UTF-8 although a code page is declared, which may be an old setting.

The decision is made for the whole text: a single cell cannot tell, since every byte of UTF-8 is some character in
cp1252.
"""

import codecs
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO

from bulk_pipeline.stages.parse.stream import READ_BYTES, Chunks

_ENOUGH_CHARACTERS = 3
_FIRST_OF_THREE_BYTES = "\u0800"
_ASCII = bytes(range(128))


def is_ascii_superset(page: str) -> bool:
    """Return True if the page encodes ASCII text as ASCII, unlike UTF-16, EBCDIC and pages with escape sequences."""
    try:
        return _ASCII.decode(page) == _ASCII.decode("ascii")
    except (UnicodeError, LookupError):
        return False


def detect_utf8(chunks: Chunks, page: str, folder: Path | None) -> tuple[bool, Chunks]:
    """Return True if the text is UTF-8 rather than in the code page, and the text again, from a file in `folder`.

    It is UTF-8 if all of it is valid UTF-8 and one of these holds: at least three characters are not ASCII; one takes
    three bytes or more; all of them also exist in the code page (ü).
    """
    if b"\0" in chunks.peek(READ_BYTES):
        return False, chunks
    copy = tempfile.NamedTemporaryFile(dir=folder)  # noqa: SIM115  # closed when it has been read
    decoder, characters, count = codecs.getincrementaldecoder("utf-8")(), set[str](), 0
    is_utf8 = True
    for chunk in chunks:
        copy.write(chunk)
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
    is_utf8 = is_utf8 and (not count or _is_no_coincidence(characters, count, page))
    copy.seek(0)
    return is_utf8, Chunks(chain(_read(copy), chunks))


def _is_no_coincidence(characters: set[str], count: int, page: str) -> bool:
    if count >= _ENOUGH_CHARACTERS or max(characters) >= _FIRST_OF_THREE_BYTES:
        return True
    try:
        "".join(characters).encode(page)
    except UnicodeEncodeError:
        return False
    return True


def _read(copy: IO[bytes]) -> Iterator[bytes]:
    with copy:
        while chunk := copy.read(READ_BYTES):
            yield chunk
