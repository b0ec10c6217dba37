"""Characters that nobody sees: which they are, what people call them, and where one stands in a text.

Sources: Unicode's White_Space and Default_Ignorable_Code_Point, without the selectors that change how the letter or
emoji before them looks (U+FE00 to U+FE0F), and the fillers that are drawn as nothing (U+2800 and those of Hangul).
"""

import re
import unicodedata

WHITE_SPACE = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680"
    + "".join(map(chr, range(0x2000, 0x200B)))
    + "\u2028\u2029\u202f\u205f\u3000"
)
"""Unicode's property of that name."""

ORDINARY = " \t\n\r"
"""Blanks that anybody types: the rule for a column's texts says whether it may hold them."""

ZERO_WIDTH = "\xad\u061c\u115f\u1160\u180e\u2800\u3164\ufeff\uffa0" + "".join(
    map(chr, [*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070)])
)
"""Marks, joiners and fillers: soft hyphen, byte order mark, the marks of writing direction, …"""

BLANKS = WHITE_SPACE + ZERO_WIDTH
"""A text of these alone says nothing, and around a text they say nothing."""

_CONTROLS = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))
_IGNORABLE = "\u034f\u17b4\u17b5" + "".join(
    map(
        chr,
        [*range(0x180B, 0x1810), *range(0xFFF0, 0xFFFC), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B)],
    )
)
_TAGS = "\U000e0000-\U000e0fff"

_NAMES = {
    "\0": "NUL",
    "\t": "tab",
    "\n": "line feed",
    "\x0b": "vertical tab",
    "\x0c": "form feed",
    "\r": "carriage return",
    "\x1a": "Ctrl-Z",
    "\x7f": "delete character",
    "\x85": "next line",
    "\ufeff": "byte order mark",
}


def name(character: str) -> str:
    """The character for a message: `no-break space (U+00A0)`."""
    unnamed = "control character" if character in _CONTROLS else "invisible character"
    called = _NAMES.get(character) or unicodedata.name(character, unnamed).lower()
    return f"{called} (U+{ord(character):04X})"


def _of_class(characters: str) -> str:
    """The characters inside the brackets of a character class, as RE2 and `re` both read it."""
    return "".join(
        f"\\x{ord(c):02x}" if c in _CONTROLS and ord(c) < 0x80 else c for c in sorted(set(characters))
    )


BLANK_CLASS = _of_class(BLANKS)
INVISIBLE_CLASS = _of_class("".join(set(BLANKS + _CONTROLS + _IGNORABLE) - set(ORDINARY + "\0"))) + _TAGS
"""Blanks other than the ordinary ones, control characters and the like: they belong into no key and no address. NUL
has a failure of its own."""

_NOTHING = re.compile(f"[{INVISIBLE_CLASS}{ORDINARY}]*")


def is_blank(text: str) -> bool:
    """Return whether nothing in the text can be seen."""
    return _NOTHING.fullmatch(text) is not None
