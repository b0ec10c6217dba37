"""The encodings that files have. One list decides, wherever an encoding can be declared.

Python's registry also knows ciphers, compressors and notations (`rot13`, `zlib`, `idna`, `unicode_escape`). No file is
written in them, some take time that grows with the square of the text, and the registry keeps every name it was ever
asked for. So nothing that somebody else wrote is looked up there.
"""

import codecs
from difflib import get_close_matches
from encodings import normalize_encoding
from encodings.aliases import aliases

from bulk_pipeline.errors import FileError, FileErrorCode

_UNICODE = "utf_8 utf_8_sig utf_16 utf_16_le utf_16_be utf_32 utf_32_le utf_32_be ascii"
_ISO = "latin_1 " + " ".join(f"iso8859_{part}" for part in (1, *range(2, 12), *range(13, 17)))
_WINDOWS = " ".join(f"cp{page}" for page in range(1250, 1259))
_DOS = (
    "cp437 cp720 cp737 cp775 cp850 cp852 cp855 cp856 cp857 cp858 cp860 cp861 cp862 cp863 cp864 cp865 cp866 cp869 "
    "cp874 cp1006 cp1125"
)
_MAC = "mac_cyrillic mac_greek mac_iceland mac_latin2 mac_roman mac_turkish mac_croatian mac_romanian"
_OTHERS = "koi8_r koi8_t koi8_u kz1048 ptcp154 tis_620 hp_roman8"
_JAPANESE = (
    "shift_jis shift_jis_2004 shift_jisx0213 cp932 euc_jp euc_jis_2004 euc_jisx0213 iso2022_jp iso2022_jp_1 "
    "iso2022_jp_2 iso2022_jp_2004 iso2022_jp_3 iso2022_jp_ext"
)
_KOREAN = "euc_kr cp949 johab iso2022_kr"
_CHINESE = "gb2312 gbk gb18030 hz big5 big5hkscs cp950"
_MAINFRAME = "cp037 cp273 cp424 cp500 cp875 cp1026 cp1140"

CODE_PAGES = frozenset(
    " ".join(
        (_UNICODE, _ISO, _WINDOWS, _DOS, _MAC, _OTHERS, _JAPANESE, _KOREAN, _CHINESE, _MAINFRAME)
    ).split()
)
"""Python's names of them."""

_NAMES = {name: name for name in CODE_PAGES} | {
    alias: name for alias, name in aliases.items() if name in CODE_PAGES
}
_LONGEST_NAME = 40
"""Characters, of a name that is looked up or shown."""
_LONGEST_CONTENT_TYPE = 1000


def known_code_page(declared: str) -> str | None:
    """The usual name of a declared encoding; None if files have no such encoding."""
    if len(declared) > _LONGEST_NAME or not declared.isascii():
        return None
    name = _NAMES.get(_normal(declared))
    return None if name is None else codecs.lookup(name).name


def code_page(declared: str) -> str:
    """The usual name of a declared encoding, `utf-8` for UTF-8 with a mark too.

    `FileError` names encodings that are written alike if files have no such encoding.
    """
    found = known_code_page(declared)
    if found is None:
        raise FileError(FileErrorCode.UNREADABLE_FILE, unknown_code_page(declared))
    return "utf-8" if found == "utf-8-sig" else found


def unknown_code_page(declared: str) -> str:
    """The sentence about a declared encoding that files do not have."""
    shown = declared if len(declared) <= _LONGEST_NAME else f"{declared[: _LONGEST_NAME - 1]}…"
    near = get_close_matches(_normal(shown), sorted(_NAMES), n=3, cutoff=0.75)
    likely = list(dict.fromkeys(codecs.lookup(_NAMES[name]).name for name in near)) or ["utf-8", "cp1252"]
    return f"{shown!r} is not an encoding of text files: name one like {' or '.join(likely)}"


def charset_of(content_type: str) -> str | None:
    """The code page that `text/csv; charset=windows-1252` declares, as it is written there.

    Returns None for UTF-8, which is the default, and for a name that is not a known encoding, because some clients send
    a charset on their own. The name is in lower case.
    """
    for parameter in content_type[:_LONGEST_CONTENT_TYPE].split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip('"').lower()
            return None if known_code_page(charset) in (None, "utf-8", "utf-8-sig") else charset
    return None


def _normal(name: str) -> str:
    return normalize_encoding(name).lower()
