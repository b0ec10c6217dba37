"""Guesses which column of a table an unknown name stands for.

A name is near a column if ignoring it could lose data:

- one letter is missing, added, replaced or swapped with the next, in the name or in each word (`fone_number`, `titel`);
- it has the column's name as a word, or as part of a word from five letters on (`mobile phone`, `telephone`);
- it is the beginning of the column's name, word by word (`updated` for updated_at).

Nothing is near a column of fewer than four letters (`id`). `country` is not near city, nor `created_by` near
created_at.
"""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

from bulk_pipeline.stages.parse.column_names import spelling

_SHORTEST, _SHORTEST_WITHIN = 4, 5
_LONGEST, _MOST_NAMES = 64, 2000
_SIMILAR = 0.6
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN_WORDS = re.compile(r"[\W_]+")


def near(names: Iterable[str], columns: Sequence[str]) -> dict[str, str]:
    """Return the nearby column of each name that has one."""
    guesses = {}
    for name in list(names)[:_MOST_NAMES]:
        column = next((column for column in columns if _is_near(name, column)), None)
        if column is not None:
            guesses[name] = column
    return guesses


def nearest(names: Iterable[str], columns: Sequence[str]) -> dict[str, str]:
    """Return the nearby or else the most similar column of each name, where there is one. Only for messages."""
    names = list(names)[:_MOST_NAMES]
    guesses = near(names, columns)
    spellings = {spelling(column): column for column in columns}
    for name in names:
        if name not in guesses and len(name) <= _LONGEST:
            alike = difflib.get_close_matches(spelling(name), spellings, 1, _SIMILAR)
            guesses |= {name: spellings[alike[0]]} if alike else {}
    return {name: guesses[name] for name in names if name in guesses}


@lru_cache(4096)
def _is_near(name: str, column: str) -> bool:
    if len(name) > _LONGEST:
        return False
    text, wanted = spelling(name), spelling(column)
    if min(len(text), len(wanted) - 1) < _SHORTEST - 1:
        return False
    if _is_one_edit(text, wanted):
        return True
    words, of_column = _words(name), _words(column)
    if len(words) == len(of_column) and all(map(_is_almost, words, of_column)):
        return True
    if len(wanted) >= _SHORTEST_WITHIN and wanted in text:
        return True
    within = any(words[at : at + len(of_column)] == of_column for at in range(len(words)))
    return within or (len(text) >= _SHORTEST and of_column[: len(words)] == words)


def _words(name: str) -> list[str]:
    text = unicodedata.normalize("NFKD", _CAMEL.sub(" ", name))
    letters = "".join(c for c in text if unicodedata.category(c)[0] != "M")
    return [word for word in _BETWEEN_WORDS.split(letters.casefold()) if word]


def _is_almost(word: str, wanted: str) -> bool:
    return word == wanted or (len(wanted) >= _SHORTEST and _is_one_edit(word, wanted))


def _is_one_edit(a: str, b: str) -> bool:
    """Return True if the words differ in at most one letter: added, lost, replaced or swapped with the next."""
    if abs(len(a) - len(b)) > 1:
        return False
    while a and b and a[0] == b[0]:
        a, b = a[1:], b[1:]
    while a and b and a[-1] == b[-1]:
        a, b = a[:-1], b[:-1]
    return (len(a) <= 1 and len(b) <= 1) or (len(a) == 2 and a == b[::-1])
