"""Bytes of one cell to text, and text to something that may be shown in a failure."""

from bulk_pipeline.stages.failures import MAX_VALUE_LENGTH

_LOW, _HIGH = "\udc80", "\udcff"


def text_of(cell: bytes, encoding: str) -> tuple[str | None, str | None]:
    """The text, or None and what is wrong with it."""
    try:
        text = cell.decode("utf-8")
    except UnicodeDecodeError:
        return None, bad_character(cell.decode("utf-8", "surrogateescape"), encoding)
    return (text, None) if "\0" not in text else (None, bad_character(text, encoding))


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
    value = value[:MAX_VALUE_LENGTH].encode("utf-8", "backslashreplace").decode("utf-8")
    return value.replace("\0", "\\x00")[:MAX_VALUE_LENGTH]
