"""Takes Ctrl-Z (0x1A), with which old programs end a text, off the end of a stream; alone or glued to the last cell."""

from collections.abc import Iterable, Iterator

from bulk_pipeline.stages.parse.parsed import Notes

_MARK = b"\x1a"
_AROUND = b"\x1a\r\n"
_LONGEST = 64 << 10
"""Old systems fill a text up to whole blocks; more than that is no mark."""


def without_end_mark(chunks: Iterable[bytes], notes: Notes) -> Iterator[bytes]:
    """The text in UTF-8 without the mark, and line ends after it; with a warning."""
    held = b""
    for chunk in chunks:
        text = held + chunk if held else chunk
        held = b""
        if text[-1:] in (b"\x1a", b"\r", b"\n"):
            stop = len(text.rstrip(_AROUND))
            mark = text.find(_MARK, stop)
            if mark >= 0 and len(text) - mark <= _LONGEST:
                text, held = text[:mark], text[mark:]
        if text:
            yield text
    if held:
        notes.warn("the file ends in Ctrl-Z (0x1A), which was dropped")
