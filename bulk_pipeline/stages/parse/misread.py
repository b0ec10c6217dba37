"""Counts cells whose UTF-8 was read as cp1252 before it was saved: `JÃ¼rgen` for `Jürgen`.

The pattern is matched only against texts in which the bytes of such a character (Ã, â, …) stand directly before
another one beyond ASCII; all other texts cost one pass over their bytes.
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.bytes import rows_of_bytes, text_bytes
from bulk_pipeline.arrow.masks import mask
from bulk_pipeline.stages.parse.parsed import IGNORED_COLUMNS, ParsedChunk

_MAPPED = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"  # cp1252 at 0x80 to 0x9F
_NEXT = f"[\x80-\xbf{_MAPPED}]"
_SEQUENCE = (
    f"[ÂÃÄÅÎÏÐÑ]{_NEXT}"  # Latin, Greek, Cyrillic
    f"|(?:[Æ-ÍÒ-ß]{_NEXT}){{2}}|â[€‚„†ˆ–˜œ]{_NEXT}|(?:[ã-ì]{_NEXT}{{2}}){{2}}|ðŸ{_NEXT}{{2}}|ï»¿"
)
_PART = re.compile(f"(?:[Â-ß]{_NEXT}|[à-ï]{_NEXT}{{2}}|[ð-ô]{_NEXT}{{3}})+")
_LEAD, _FIRST_NEXT, _LATIN = 0xC3, 0xC2, range(0x82, 0xB5)
_SHOWN_LENGTH = 40


class MisreadCounter:
    """The number of such cells in the chunks counted so far, and the first of them as an example."""

    def __init__(self) -> None:
        self._cells = 0
        self._example = ""

    def count(self, parsed: ParsedChunk) -> None:
        for name, column in zip(parsed.records.schema.names, parsed.records.columns, strict=True):
            if name in IGNORED_COLUMNS or not pa.types.is_string(column.type):
                continue
            if len(suspects := _suspects(column)):
                cells = pa.array(suspects)
                self._count_in(parsed.records.column("_row").take(cells), column.take(cells))

    @property
    def warning(self) -> str | None:
        if not self._cells:
            return None
        cells = "1 cell looks" if self._cells == 1 else f"{self._cells:,} cells look"
        return f"{cells} as if UTF-8 had been read as cp1252 before: {self._example}"

    def _count_in(self, rows: pa.Array, column: pa.Array) -> None:
        matches = np.flatnonzero(mask(pc.match_substring_regex(column, _SEQUENCE)))
        if not len(matches):
            return
        self._cells += len(matches)
        if not self._example:
            text = column[int(matches[0])].as_py()
            row = rows[int(matches[0])].as_py()
            self._example = f"'{_short(text)}' (row {row}) for '{_short(_PART.sub(_restored, text))}'"


def _suspects(column: pa.Array) -> np.ndarray:
    """Return the indexes of the cells that may have such a text."""
    octets = text_bytes(column)
    if octets.max(initial=0) < _LEAD:
        return np.empty(0, np.int64)
    may_be = octets[:-2] == _LEAD
    may_be &= octets[2:] >= _FIRST_NEXT
    if not may_be.any():
        return np.empty(0, np.int64)
    at = np.flatnonzero(may_be)
    following = octets[at + 1]
    return rows_of_bytes(column, at[(following >= _LATIN.start) & (following < _LATIN.stop)], 3)


def _restored(match: re.Match[str]) -> str:
    """Return the original characters, or the text itself if its bytes are not UTF-8."""
    octets = b"".join(c.encode("cp1252") if c in _MAPPED else c.encode("latin-1") for c in match[0])
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return match[0]


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 1]}…"
