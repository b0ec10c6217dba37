"""Bytes of one cell to text, and text to something that may be shown in a failure."""

from bulk_pipeline.stages.failures import MAX_VALUE_LENGTH

_SHOWN_LENGTH = 80
_LOW, _HIGH = "\udc80", "\udcff"


def text_of(cell: bytes, encoding: str, column: str) -> tuple[str | None, str | None]:
    """The text, or None and what is wrong with it."""
    try:
        text = cell.decode("utf-8")
    except UnicodeDecodeError:
        return None, bad_text(cell.decode("utf-8", "surrogateescape"), encoding, column)
    return (text, None) if "\0" not in text else (None, bad_character(text, encoding))


def bad_text(text: str, encoding: str, column: str) -> str | None:
    """What is wrong with the first character of a cell that no text may hold, and what to do about it."""
    problem = bad_character(text, encoding)
    if problem is None or encoding != "utf-8" or "is not valid" not in problem:
        return problem
    try:
        octets = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a pair as well, as JSON can write
        return problem
    return f"{column} {not_utf8(octets)}"


def not_utf8(text: bytes) -> str:
    """Completes "the cell …" for bytes that are not UTF-8: the first of them, and how to declare the code page."""
    seen = text.decode("utf-8", "surrogateescape")
    position = next((n for n, character in enumerate(seen, 1) if _LOW <= character <= _HIGH), 1)
    at = len(seen[: position - 1].encode("utf-8"))
    shown = _short(text.decode("utf-8", "replace"))
    what = f"'{shown}' is not valid UTF-8 (byte 0x{text[at]:02X} at position {position})"
    try:
        read = text.decode("cp1252")
    except UnicodeDecodeError:
        return f'{what}: save the file as "CSV UTF-8", or declare the encoding it has (--encoding NAME)'
    return (
        f"{what}; read as cp1252 it would be '{_short(read)}': "
        f'save the file as "CSV UTF-8", or declare the encoding (--encoding cp1252)'
    )


def _short(text: str) -> str:
    text = text.replace("\0", "\ufffd").replace("\n", " ").replace("\r", " ")
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 1]}…"


def bad_character(text: str, encoding: str) -> str | None:
    """What is wrong with the first character that no text may hold: an undecodable byte, a NUL, half a
    pair."""
    for position, character in enumerate(text, 1):
        if character == "\0":
            return f"has a NUL byte (0x00) at position {position}"
        if _LOW <= character <= _HIGH:
            return f"has the byte 0x{ord(character) - 0xDC00:02X} at position {position}, which is not valid {encoding}"
        if "\ud800" <= character <= "\udfff":
            return f"has half of a surrogate pair (U+{ord(character):04X}) at position {position}"
    return None


def shown(value: bytes | str) -> str:
    """The beginning of a value, with what cannot be shown or stored written as an escape."""
    if isinstance(value, bytes):
        value = value[: 4 * MAX_VALUE_LENGTH].decode("utf-8", "backslashreplace")
    if value.isascii() and "\0" not in value:
        return value[:MAX_VALUE_LENGTH]
    value = encodable(value[:MAX_VALUE_LENGTH])
    return value.replace("\0", "\\x00")[:MAX_VALUE_LENGTH]


def encodable(text: str) -> str:
    """Return the text with an escape for each lone surrogate, which no UTF-8 can hold."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
