"""Counts cells whose text was decoded wrongly before it was saved: UTF-8 read as cp1252, `JÃ¼rgen` for `Jürgen`.

Only texts with the bytes of such a character (Ã, â, …) directly before another one beyond ASCII are searched, so that
other text costs a look at its bytes.
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.schema.masks import mask
from bulk_pipeline.schema.octets import rows_of_bytes, text_bytes
from bulk_pipeline.stages.parse.parsed import IGNORED_COLUMNS, Parsed

_MAPPED = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"  # cp1252 at 0x80 to 0x9F
_NEXT = f"[\x80-\xbf{_MAPPED}]"
_SEQUENCE = (
    f"[ÂÃÄÅÎÏÐÑ]{_NEXT}"  # Latin, Greek, Cyrillic
    f"|(?:[Æ-ÍÒ-ß]{_NEXT}){{2}}|â[€‚„†ˆ–˜œ]{_NEXT}|(?:[ã-ì]{_NEXT}{{2}}){{2}}|ðŸ{_NEXT}{{2}}|ï»¿"
)
_PART = re.compile(f"(?:[Â-ß]{_NEXT}|[à-ï]{_NEXT}{{2}}|[ð-ô]{_NEXT}{{3}})+")
_LEAD, _FIRST_NEXT, _LATIN = 0xC3, 0xC2, range(0x82, 0xB5)
_SHOWN_LENGTH = 40


class Misread:
    """What has been seen in the chunks of a file so far."""

    def __init__(self) -> None:
        self._cells = 0
        self._example = ""

    def look_at(self, parsed: Parsed) -> None:
        for name, column in zip(parsed.records.schema.names, parsed.records.columns, strict=True):
            if name not in IGNORED_COLUMNS and pa.types.is_string(column.type):
                suspects = _suspects(column)
                if len(suspects):
                    self._look_into(parsed.records.column("_row").take(suspects), column.take(suspects))

    @property
    def warning(self) -> str | None:
        if not self._cells:
            return None
        cells = "1 cell looks" if self._cells == 1 else f"{self._cells:,} cells look"
        return f"{cells} as if UTF-8 had been read as cp1252 before: {self._example}"

    def _look_into(self, rows: pa.Array, column: pa.Array) -> None:
        found = np.flatnonzero(mask(pc.match_substring_regex(column, _SEQUENCE)))
        if not len(found):
            return
        self._cells += len(found)
        if not self._example:
            text = column[int(found[0])].as_py()
            row = rows[int(found[0])].as_py()
            self._example = f"'{_short(text)}' (row {row}) for '{_short(_PART.sub(_restored, text))}'"


def _suspects(column: pa.Array) -> pa.Array:
    """Indexes of the cells that could hold such a text."""
    octets = text_bytes(column)
    at = np.flatnonzero(octets[:-2] == _LEAD)
    at = at[octets[at + 2] >= _FIRST_NEXT]
    following = octets[at + 1]
    return pa.array(rows_of_bytes(column, at[(following >= _LATIN.start) & (following < _LATIN.stop)]))


def _restored(match: re.Match[str]) -> str:
    """The characters that were meant; the text itself if its bytes are none."""
    octets = b"".join(c.encode("cp1252") if c in _MAPPED else c.encode("latin-1") for c in match[0])
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return match[0]


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 1]}…"
