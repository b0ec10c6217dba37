"""Proposes the code page of a text that is not UTF-8, by the letters that its bytes are in each.

A page is proposed only if in it the letters outside ASCII are those of one language, stand in words as letters do, and
no other page gives another such text.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import NOTHING_DECLARED, Table, UploadFormat
from bulk_pipeline.stages.parse import Upload
from bulk_pipeline.stages.parse.parsed import Dialect

_PAGES = (
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "iso8859-2", "iso8859-5", "iso8859-7", "iso8859-15",
    "koi8-r", "koi8-u", "cp850", "cp852", "cp437", "cp866", "mac_roman", "mac_cyrillic",
)  # fmt: skip
_RUSSIAN = "абвгдежзийклмнопрстуфхцчшщъыьэюяё"
_LANGUAGES = {
    "German": "äöüß",
    "French": "àâæçéèêëîïôœùûüÿ",
    "Spanish": "áéíñóúü",
    "Portuguese": "àáâãçéêíóôõúü",
    "Italian": "àèéìíîòóùú",
    "Dutch": "áäèéëïíóöúü",
    "Danish or Norwegian": "æøåéèêóòâô",
    "Swedish or Finnish": "åäöé",
    "Icelandic": "áðéíóúýþæö",
    "Polish": "ąćęłńóśźż",
    "Czech": "áčďéěíňóřšťúůýž",
    "Slovak": "áäčďéíĺľňóôŕšťúýž",
    "Hungarian": "áéíóöőúüű",
    "Romanian": "ăâîșțşţ",
    "Croatian or Slovenian": "čćđšž",
    "Turkish": "çğıöşüâîû",
    "Lithuanian": "ąčęėįšųūž",
    "Latvian": "āčēģīķļņšūž",
    "Estonian": "äöõüšž",
    "Russian": _RUSSIAN,
    "Ukrainian": "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя",
    "Serbian": "абвгдђежзијклљмнњопрстћуфхцчџш",
    "Greek": "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ",
}
"""Letters outside ASCII, in lower case."""
_SIGNS = frozenset("–—‘’‚“”„…«»‹›°§€£®™©½¼¾²³×·•¿¡ªºµ\xa0")
_IN_WORDS = frozenset("’·")
_FIRST_GREEK = "\u0370"
"""The first letter of the scripts that are not Latin, of those of `_LANGUAGES`."""
_WORD = re.compile(r"[A-Za-z\x80-\U0010ffff]*[^\x00-\x7f][A-Za-z\x80-\U0010ffff]*")
"""A run of ASCII letters and characters outside ASCII, so that all pages of one byte a character split texts alike."""
_MOST_RECORDS, _SHOWN_LENGTH = 10_000, 40


@dataclass(frozen=True)
class CodePage:
    """The code page of a file. None if its text is UTF-8, or if no page is known, or two; `evidence` says why."""

    name: str | None
    evidence: str | None


Open = Callable[[Table | None, UploadFormat], Upload]
"""Opens a file for a table, or for none, as a format declares. May be called again for the same file."""


def with_code_page(declared: UploadFormat, open_: Open) -> tuple[UploadFormat, CodePage]:
    """Return the format with the code page of the file, unless it has one, and what was found."""
    if declared.encoding is not None:
        return declared, CodePage(None, None)
    try:
        page = code_page(open_, declared)
    except FileError:  # which is raised again, with a better reason, where the file is opened for its table
        return declared, CodePage(None, None)
    return replace(declared, encoding=page.name), page


def code_page(open_: Open, declared: UploadFormat = NOTHING_DECLARED) -> CodePage:
    """Return the code page of a file, for which nothing or something else is declared."""
    records = list(_not_utf8(open_, declared))
    if not records:
        return CodePage(None, None)
    texts = {page: text for page in _PAGES if (text := _decoded(records, page)) is not None}
    languages = {page: language for page, text in texts.items() if (language := _language(text)) is not None}
    readings = dict[tuple[str, ...], str]()
    for page in languages:
        readings.setdefault(tuple(texts[page]), page)
    row = records[0][0]
    where = "the header is not UTF-8" if row is None else f"row {row} is not UTF-8"
    pages = [*readings.values()]
    if not pages:
        return CodePage(
            None, f"{where}, and in no code page its letters are those of one language: give --encoding"
        )
    words = [list(_words(texts[page])) for page in pages[:2]]
    if len(pages) == 1:
        shown, language = _shown(words[0][0]), languages[pages[0]]
        return CodePage(pages[0], f"{where}; only so '{shown}' and all other letters are {language}")
    one, other = next(pair for pair in zip(*words, strict=False) if len({*pair}) == 2)
    return CodePage(
        None,
        f"{where}, and no cell shows its code page: '{_shown(one)}' in {pages[0]} is '{_shown(other)}' in {pages[1]}: "
        "give --encoding",
    )


def _not_utf8(open_: Open, declared: UploadFormat) -> Iterator[tuple[int | None, bytes]]:
    """Yield the first records whose bytes are not UTF-8, with their rows; the header, which has none, first."""
    upload = open_(None, declared)
    if upload.dialect.encoding != "utf-8" or upload.dialect.byte_order_mark:
        upload.close()
        return
    if _is_damaged(upload.dialect):
        latin = open_(None, replace(declared, encoding="latin-1"))
        yield None, ";".join(latin.dialect.header).encode("latin-1", "replace")
        latin.close()
        upload = open_(None, declared)
    count = 0
    for chunk in upload:
        for row, raw in zip(chunk.raw["_row"].to_pylist(), chunk.raw["raw"].to_pylist(), strict=True):
            if raw and not raw.isascii() and _decoded([(row, raw)], "utf-8") is None:
                yield row, raw
                count += 1
                if count == _MOST_RECORDS:
                    upload.close()
                    return


def _is_damaged(dialect: Dialect) -> bool:
    return any("\ufffd" in name or not name.isprintable() for name in dialect.header)


def _decoded(records: list[tuple[int | None, bytes]], page: str) -> list[str] | None:
    """Return the texts of records; None if one is not in the page."""
    try:
        return [raw.decode(page) for _, raw in records]
    except UnicodeDecodeError:
        return None


def _language(texts: list[str]) -> str | None:
    """Return the language that all letters outside ASCII are of; None if there is none, or one stands where no letter
    does."""
    words = list(_words(texts))
    small = {letter.lower()[0] for word in words for letter in word if letter not in _SIGNS}
    letters = {letter for letter in small if not letter.isascii()}
    if not letters or not all(map(_is_word, words)):
        return None
    return next((name for name, alphabet in _LANGUAGES.items() if letters <= {*alphabet}), None)


def _words(texts: list[str]) -> Iterator[str]:
    """Yield the words that have a character outside ASCII."""
    return (word for text in texts for word in _WORD.findall(text))


def _is_word(word: str) -> bool:
    """Return whether the letters are of one script, no sign stands between two of them, no capital outside ASCII behind
    a small one or inside a word that goes on with small ones, and no final sigma before another letter."""
    if any(letter >= _FIRST_GREEK and letter.isalpha() for letter in word) and re.search("[A-Za-z]", word):
        return False
    for before, character, after in zip(f" {word}", word, f"{word[1:]} ", strict=False):
        if character in _SIGNS - _IN_WORDS and before.isalpha() and after.isalpha():
            return False
        if character == "ς" and after.isalpha():
            return False
        if before.islower() and character.isupper() and not (before + character).isascii():
            return False
        if before.isalpha() and character.isupper() and not character.isascii() and after.islower():
            return False
    return True


def _shown(word: str) -> str:
    return word if len(word) <= _SHOWN_LENGTH else f"{word[: _SHOWN_LENGTH - 1]}…"
