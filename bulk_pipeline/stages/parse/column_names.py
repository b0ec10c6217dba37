"""Matches names in a file with the columns of a table: declared names first, then names that are spelt alike.

Names are spelt alike if they differ only in case, blanks, hyphens, underscores, camelCase, accents, surrounding quotes
and invisible characters.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.schema import LEFT_OUT, NOTHING_DECLARED, Table, UploadFormat
from bulk_pipeline.stages.parse.parsed import IGNORED_COLUMNS
from bulk_pipeline.stages.report_names import ORIGIN

_LONGEST = 200
_QUOTES = "\"'`´‘’‚“”„‹›«»[]"
_NO_LETTERS = {"Pd", "Pc"}
"""Unicode categories of dashes and underscores, ignored in addition to marks, blanks and control characters."""
_AROUND = "\ufeff\u200b\xa0 \t\r\n"
_NOT_PLAIN = re.compile(r"[^a-z0-9]+")


class ColumnNames:
    """The names of a table's columns, and those declared for an upload.

    Raises `FileError` if a name is declared to stand for a column that the table does not have.
    """

    def __init__(self, table: Table, declared: UploadFormat = NOTHING_DECLARED) -> None:
        self.table = table
        self._declared = dict(declared.columns)
        self._read_only = {column.name for column in table.columns if not column.is_writable}
        of_table = table.profile_format(declared.profile).columns
        self._of_upload = {name for name, column in declared.columns if (name, column) not in of_table}
        for name, column in self._declared.items():
            if column not in table.column_names and column != LEFT_OUT:
                raise FileError(
                    FileErrorCode.UNKNOWN_COLUMN,
                    f"{name!r} is declared to stand for {column}, which is not a column of {table.upload_name}: "
                    f"expected one of {', '.join(table.column_names)}",
                )
        self._declared_alike = _by_spelling(self._declared)
        self._own = _by_spelling(table.column_names)

    def column(self, name: str) -> str | None:
        """Return the table's column that the name stands for, or None."""
        column = self._stands_for(name)
        return None if column == LEFT_OUT or column in self._read_only else column

    def known(self, names: Iterable[str]) -> set[str]:
        """Return the table's columns that the names stand for."""
        return {column for name in names if (column := self.column(name)) is not None}

    def is_left_out(self, name: str) -> bool:
        """Return whether the name can be ignored without a warning: reports add it to files, or it is declared with
        `-`.

        A column whose values are not written is left out too (see `read_only`).
        """
        return is_added_column(name) or self._stands_for(name) in (LEFT_OUT, *self._read_only)

    def read_only(self, names: Iterable[str]) -> list[str]:
        """The names that stand for columns whose values are made by the database, and not taken from files."""
        return [name for name in dict.fromkeys(names) if self._stands_for(name) in self._read_only]

    def unused(self, names: Iterable[str]) -> list[str]:
        """Return the names that are declared for this upload, not for the table, and do not occur in the file."""
        names = list(names)
        spellings = {*names, *map(spelling, names)}
        return [
            name
            for name in self._declared
            if name in self._of_upload and not {name, spelling(name)} & spellings
        ]

    def plain_spellings(self) -> list[str]:
        """Return the `plain` forms of all names, without empty ones."""
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
        if is_added_column(name):
            return None
        own = self._own.get(form, [])
        return own[0] if len(own) == 1 else next((column for column in own if column == _written(name)), None)


def spelling(name: str) -> str:
    """Return the common form of names that are spelt alike: `firstname` for `First Name`, `firstName`, `FIRST-NAME`."""
    return name if len(name) > _LONGEST else _spelling(name)


def plain(text: str) -> str:
    """Return a rougher spelling of only ASCII letters and digits, which an Arrow kernel can search for too."""
    return _NOT_PLAIN.sub("", text.lower())


def is_added_column(name: str) -> bool:
    """Return True if reports or exports add a column of this name to a file."""
    return _as_added(name) in IGNORED_COLUMNS


def is_origin_column(name: str) -> bool:
    """Return True if reports add the column of this name for the origins of rows."""
    return _as_added(name) == ORIGIN


def _as_added(name: str) -> str:
    return name.strip(_AROUND).lower()


@lru_cache(4096)
def _spelling(name: str) -> str:
    letters = "".join(
        character
        for character in unicodedata.normalize("NFKD", name.casefold())
        if (kind := unicodedata.category(character))[0] not in "MCZ" and kind not in _NO_LETTERS
    )
    return letters.strip(_QUOTES)


def _written(name: str) -> str:
    """Return a stricter spelling, which tells columns apart that are spelt alike (`first_name`, `firstname`)."""
    return name.strip(_AROUND).lower().replace(" ", "_").replace("-", "_")


def _by_spelling(names: Iterable[str]) -> dict[str, list[str]]:
    alike: dict[str, list[str]] = defaultdict(list)
    for name in names:
        alike[spelling(name)].append(name)
    return alike
