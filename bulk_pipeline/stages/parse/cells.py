"""Decodes the bytes of a cell, and prepares its text to be shown in a failure."""

import re

from bulk_pipeline.stages.failures import MAX_VALUE_LENGTH, shortened

_SHOWN_LENGTH = 80
_BAD = re.compile("[\0\ud800-\udfff]")
_LOW, _HIGH = "\udc80", "\udcff"


def text_of(cell: bytes, encoding: str, column: str) -> tuple[str | None, str | None]:
    """Return the text of a cell and None, or None and the problem of its bytes."""
    try:
        text = cell.decode("utf-8")
    except UnicodeDecodeError as error:
        if encoding == "utf-8" and cell.find(b"\0", 0, error.start) < 0:
            return None, f"{column} {not_utf8(cell, error.start)}"
        return None, bad_character(cell.decode("utf-8", "surrogateescape"), encoding)
    return (text, None) if "\0" not in text else (None, bad_character(text, encoding))


def bad_text(text: str, encoding: str, column: str) -> str | None:
    """Return the problem of the first character that no text may hold, with its remedy; None if there is none."""
    match = _BAD.search(text)
    if match is None:
        return None
    if encoding == "utf-8" and _LOW <= match[0] <= _HIGH:
        try:
            octets = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:  # there is a lone surrogate as well, which JSON can write
            return _problem(match, encoding)
        return f"{column} {not_utf8(octets, len(text[: match.start()].encode('utf-8')))}"
    return _problem(match, encoding)


def not_utf8(text: bytes, at: int) -> str:
    """Return the end of a sentence "the cell …" about bytes that are not UTF-8 from `at` on, with the remedy."""
    position = len(text[:at].decode("utf-8")) + 1
    shown = _short(text.decode("utf-8", "replace"))
    problem = f"'{shown}' is not valid UTF-8 (byte 0x{text[at]:02X} at position {position})"
    try:
        read = text.decode("cp1252")
    except UnicodeDecodeError:
        return f'{problem}: save the file as "CSV UTF-8", or declare the encoding it has (--encoding NAME)'
    return (
        f"{problem}; read as cp1252 it would be '{_short(read)}': "
        f'save the file as "CSV UTF-8", or declare the encoding (--encoding cp1252)'
    )


def _short(text: str) -> str:
    text = text.replace("\0", "\ufffd").replace("\n", " ").replace("\r", " ")
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 1]}…"


def bad_character(text: str, encoding: str) -> str | None:
    """Return the problem of the first undecodable byte, NUL or lone surrogate, or None if there is none."""
    match = _BAD.search(text)
    return None if match is None else _problem(match, encoding)


def _problem(match: re.Match[str], encoding: str) -> str:
    character, position = match[0], match.end()
    if character == "\0":
        return f"has a NUL byte (0x00) at position {position}"
    if _LOW <= character <= _HIGH:
        return f"has the byte 0x{ord(character) - 0xDC00:02X} at position {position}, which is not valid {encoding}"
    return f"has half of a surrogate pair (U+{ord(character):04X}) at position {position}"


def shown(value: bytes | str) -> str:
    """Return a value for a failure: shortened, with escapes for characters that cannot be stored."""
    if isinstance(value, bytes):
        value = value[: 4 * (MAX_VALUE_LENGTH + 1)].decode("utf-8", "backslashreplace")
    else:
        value = encodable(value[: MAX_VALUE_LENGTH + 1])
    return shortened(value.replace("\0", "\\x00"))


def encodable(text: str) -> str:
    """Return the text with an escape for each lone surrogate, which no UTF-8 can hold."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
