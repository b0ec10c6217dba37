"""Detects the encoding of a text by its first bytes, and decodes pieces of it to UTF-8.

Does not import Arrow, since the API checks uploads with it. `parse.encoding` has the order of precedence.
"""

import codecs
import re

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.schema import code_page

MARKS = (  # the longer one first: a UTF-32 mark begins like a UTF-16 one
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
LOOK_BYTES = 4096
"""Bytes in which UTF-16 and UTF-32 without a byte order mark are detected."""
_BAD_LEAD = re.compile("[\udcc2-\udcf4](?=[\udc80-\udcbf]|\\Z)")
_KEEP_BAD_BYTES = "bulk_pipeline.keep_bad_bytes"
_JSON_START = re.compile(r'[\s\x1e]*(?:\{\s*["}]|\[\s*[\[\]{"])')


def byte_order_mark(head: bytes) -> tuple[bytes, str] | None:
    """Return the byte order mark at the beginning of a text, and its encoding; None without one."""
    return next(((mark, name) for mark, name in MARKS if head.startswith(mark)), None)


def unmarked_encoding(head: bytes) -> str | None:
    """Return the encoding of JSON in UTF-16 or UTF-32 without a byte order mark, by its first characters.

    None for other text. Raises `FileError` for other text that looks like UTF-16.
    """
    head = head[:LOOK_BYTES]
    for name, width in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        if b"\0" in head[:4] and _JSON_START.match(_start_of(head, name, width)):
            return name
    half = len(head) // 2
    for first, order in ((1, "little"), (0, "big")):
        if half >= 4 and head[first::2].count(0) > 0.7 * half and head[1 - first :: 2].count(0) < 0.1 * half:
            name = "utf-16-le" if order == "little" else "utf-16-be"
            raise FileError(
                FileErrorCode.UNREADABLE_FILE,
                f"looks like UTF-16 ({order}-endian) without a byte order mark: save the file as UTF-8, or declare "
                f"the encoding {name}",
            )
    return None


def text_of(head: bytes, declared: str | None) -> bytes:
    """Return the first bytes of a file as UTF-8 without byte order mark; the last character may be missing."""
    encoding = None if declared is None else code_page(declared)
    if marked := byte_order_mark(head):
        mark, name = marked
        return head[len(mark) :] if name == "utf-8" else _decoded_head(head[len(mark) :], name)
    if encoding is None:
        encoding = unmarked_encoding(head)
    is_wide = encoding is not None and encoding.startswith(("utf-16", "utf-32"))
    if encoding is None or encoding == "utf-8" or (not is_wide and is_utf8(head)):
        return head
    return _decoded_head(head, encoding)


def is_utf8(head: bytes) -> bool:
    """Return True if the bytes are UTF-8, apart from a character that is cut off at the end."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def decoder_of(name: str) -> codecs.IncrementalDecoder:
    """Return a decoder for `as_utf8` that keeps the bytes it cannot decode."""
    return codecs.getincrementaldecoder(name)(_KEEP_BAD_BYTES)


def as_utf8(decoder: codecs.IncrementalDecoder, chunk: bytes, final: bool = False) -> bytes:
    """Return the next piece of a text as UTF-8; a byte that cannot be decoded becomes an invalid byte."""
    try:
        text = decoder.decode(chunk, final)
    except UnicodeError as error:  # from a codec that ignores the error handler
        raise FileError(FileErrorCode.UNREADABLE_FILE, "the file is not in the declared encoding") from error
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:  # adjacent bad bytes could form a UTF-8 character, but must stay invalid
        return _BAD_LEAD.sub("\udcff", text).encode("utf-8", "surrogateescape")


def _decoded_head(head: bytes, name: str) -> bytes:
    return as_utf8(decoder_of(name), head)


def _start_of(head: bytes, name: str, width: int) -> str:
    return head[: 64 * width].decode(name, "ignore")


def _keep_bad_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    # an ASCII byte cannot be marked as bad (half of a UTF-16 unit, say); 0xFF is invalid everywhere in UTF-8
    return "".join(chr(0xDC00 + (byte if byte >= 0x80 else 0xFF)) for byte in bad), error.end


codecs.register_error(_KEEP_BAD_BYTES, _keep_bad_bytes)
