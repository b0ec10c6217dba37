"""Any encoding to UTF-8, as a stream. Nothing is guessed: a byte order mark, else strict UTF-8, else what was
declared.

A byte that cannot be decoded travels on as an invalid byte of UTF-8, so that the readers report it where it
stands.
"""

import codecs
import re
from collections.abc import Iterator

from bulk_pipeline.errors import FileError
from bulk_pipeline.stages.parse.chunks import Chunks
from bulk_pipeline.stages.parse.parsed import Notes

_MARKS = (  # the longer one first: a UTF-32 mark begins like a UTF-16 one
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NOT_FOR_FILES = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}
_BAD_LEAD = re.compile("[\udcc2-\udcf4](?=[\udc80-\udcbf]|\\Z)")
_KEEP_BAD_BYTES = "bulk_pipeline.keep_bad_bytes"


def has_mark(chunks: Chunks) -> bool:
    """Whether the text begins with a byte order mark."""
    return chunks.peek(4).startswith(tuple(mark for mark, _ in _MARKS))


def to_utf8(chunks: Chunks, declared: str | None, notes: Notes) -> tuple[str, Chunks]:
    """The encoding's name, and the text as UTF-8 without byte order mark."""
    wanted = None if declared is None else _code_page(declared)
    head = chunks.peek(4096)
    for mark, name in _MARKS:
        if head.startswith(mark):
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
    _refuse_unmarked_utf16(head)
    return "utf-8", chunks


def _code_page(declared: str) -> str:
    try:
        info = codecs.lookup(declared)
    except (LookupError, ValueError) as error:
        raise FileError(
            "unreadable_file", f"unknown encoding {declared!r}: name one like utf-8 or cp1252"
        ) from error
    if info.name in _NOT_FOR_FILES or not getattr(info, "_is_text_encoding", True):
        raise FileError(
            "unreadable_file", f"{declared!r} is not an encoding of text files: name one like cp1252"
        )
    return "utf-8" if info.name == "utf-8-sig" else info.name


def _refuse_unmarked_utf16(head: bytes) -> None:
    half = len(head) // 2
    for first, order in ((1, "little"), (0, "big")):
        if half >= 4 and head[first::2].count(0) > 0.7 * half and head[1 - first :: 2].count(0) < 0.1 * half:
            name = "utf-16-le" if order == "little" else "utf-16-be"
            raise FileError(
                "unreadable_file",
                f"looks like UTF-16 ({order}-endian) without a byte order mark: save the file as UTF-8, or declare "
                f"the encoding {name}",
            )


def _transcoded(chunks: Chunks, name: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(name)(_KEEP_BAD_BYTES)
    for chunk in chunks:
        yield _decoded(decoder, chunk)
    yield _decoded(decoder, b"", final=True)


def _decoded(decoder: codecs.IncrementalDecoder, chunk: bytes, final: bool = False) -> bytes:
    try:
        text = decoder.decode(chunk, final)
    except UnicodeError as error:  # from a codec that does not ask the error handler
        raise FileError("unreadable_file", f"the file is not in the declared encoding: {error}") from error
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:  # bad bytes side by side could be a character of UTF-8: they must stay bad
        return _BAD_LEAD.sub("\udcff", text).encode("utf-8", "surrogateescape")


def _keep_bad_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    # an ASCII byte cannot be marked as bad (half of a UTF-16 unit, say); 0xFF is invalid everywhere in UTF-8
    return "".join(chr(0xDC00 + (byte if byte >= 0x80 else 0xFF)) for byte in bad), error.end


codecs.register_error(_KEEP_BAD_BYTES, _keep_bad_bytes)
