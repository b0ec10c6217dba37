"""Matches names in a file with the columns of a table: declared names first, then names that are spelt alike.

Spelt alike are names that differ in case, blanks, hyphens, underscores, camelCase, accents, quotes around them and
invisible characters only.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import LEFT_OUT, NOTHING_DECLARED, Table, UploadFormat
from bulk_pipeline.stages.parse.parsed import IGNORED_COLUMNS

_LONGEST = 200
_QUOTES = "\"'`´‘’‚“”„‹›«»[]"
_NO_LETTERS = {"Pd", "Pc"}
"""Dashes and underscores, beside all marks, blanks, controls and invisible characters."""
_AROUND = "\ufeff\u200b\xa0 \t\r\n"
_NOT_PLAIN = re.compile(r"[^a-z0-9]+")


class ColumnNames:
    """The names of one table's columns, and those that are declared for an upload. Raises `FileError` for a name that
    is declared to stand for a column which the table does not have."""

    def __init__(self, table: Table, declared: UploadFormat = NOTHING_DECLARED) -> None:
        self.table = table
        self._declared = dict(declared.columns)
        self._of_upload = {
            name for name, column in declared.columns if (name, column) not in table.upload_format.columns
        }
        for name, column in self._declared.items():
            if column not in table.column_names and column != LEFT_OUT:
                raise FileError(
                    "unknown_column",
                    f"{name!r} is declared to stand for {column}, which is no column of {table.name}: expected one of "
                    f"{', '.join(table.column_names)}",
                )
        self._declared_alike = _by_spelling(self._declared)
        self._own = _by_spelling(table.column_names)

    def column(self, name: str) -> str | None:
        """The table's column of that name, or None."""
        column = self._stands_for(name)
        return None if column == LEFT_OUT else column

    def known(self, names: Iterable[str]) -> set[str]:
        """The columns of the table that are among the names."""
        return {column for name in names if (column := self.column(name)) is not None}

    def is_left_out(self, name: str) -> bool:
        """Whether a name that is no column's needs no word: reports bring it along, or it is declared so."""
        return is_brought_along(name) or self._stands_for(name) == LEFT_OUT

    def unused(self, names: Iterable[str]) -> list[str]:
        """The names declared for this very upload that are not among the names of the file."""
        names = list(names)
        found = {*names, *map(spelling, names)}
        return [
            name for name in self._declared if name in self._of_upload and not {name, spelling(name)} & found
        ]

    def plain_spellings(self) -> list[str]:
        """All names in the form that `plain` gives them, where that says something."""
        return sorted({plain(name) for name in (*self.table.column_names, *self._declared)} - {""})

    def _stands_for(self, name: str) -> str | None:
        if name in self._declared:
            return self._declared[name]
        if name in self.table.column_names:
            return name
        form = spelling(name)
        declared = {self._declared[alike] for alike in self._declared_alike.get(form, ())}
        if len(declared) == 1:
            return declared.pop()
        if is_brought_along(name):
            return None
        own = self._own.get(form, [])
        return own[0] if len(own) == 1 else next((column for column in own if column == _written(name)), None)


def spelling(name: str) -> str:
    """What names that are spelt alike have in common: `First Name`, `firstName` and `FIRST-NAME` are `firstname`."""
    return name if len(name) > _LONGEST else _spelling(name)


def plain(text: str) -> str:
    """A rougher spelling, which Arrow can find too: the ASCII letters and digits."""
    return _NOT_PLAIN.sub("", text.lower())


def is_brought_along(name: str) -> bool:
    """Whether a column is one that reports and exports add to a file."""
    return name.strip(_AROUND).lower() in IGNORED_COLUMNS


@lru_cache(4096)
def _spelling(name: str) -> str:
    letters = "".join(
        character
        for character in unicodedata.normalize("NFKD", name.casefold())
        if (kind := unicodedata.category(character))[0] not in "MCZ" and kind not in _NO_LETTERS
    )
    return letters.strip(_QUOTES)


def _written(name: str) -> str:
    """The older, narrower spelling, which tells columns apart that are spelt alike (`first_name`, `firstname`)."""
    return name.strip(_AROUND).lower().replace(" ", "_").replace("-", "_")


def _by_spelling(names: Iterable[str]) -> dict[str, list[str]]:
    alike: dict[str, list[str]] = defaultdict(list)
    for name in names:
        alike[spelling(name)].append(name)
    return alike
