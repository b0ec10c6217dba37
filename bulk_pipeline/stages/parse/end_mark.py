"""Removes Ctrl-Z (0x1A), with which old programs end a text, from the end of a stream."""

from collections.abc import Iterable, Iterator

from bulk_pipeline.stages.parse.parsed import Notes

_MARK = b"\x1a"
_AROUND = b"\x1a\r\n"
_LONGEST = 64 << 10
"""Most bytes of a mark: old systems pad a text with Ctrl-Z to whole blocks."""


def without_end_mark(chunks: Iterable[bytes], notes: Notes) -> Iterator[bytes]:
    """Yield UTF-8 text without the mark and line ends after it, with a warning; the mark may follow a cell directly."""
    tail = b""
    for chunk in chunks:
        text = tail + chunk if tail else chunk
        tail = b""
        if text[-1:] in (b"\x1a", b"\r", b"\n"):
            stop = len(text.rstrip(_AROUND))
            mark = text.find(_MARK, stop)
            if mark >= 0 and len(text) - mark <= _LONGEST:
                text, tail = text[:mark], text[mark:]
        if text:
            yield text
    if tail:
        notes.warn("the file ends in Ctrl-Z (0x1A), which was dropped")
