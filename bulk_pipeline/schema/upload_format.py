"""The format of an upload as declared; what is not declared is detected from the file."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema.time_patterns import check_date_format, check_time_format, check_timestamp_format

LEFT_OUT = "-"
"""Declared for a name in the file: it stands for no column, and nothing needs to be said about it."""

POINT = "."
"""The decimal mark where none is declared."""

QUOTE = '"'
"""The quote around cells where no other is declared or detected."""


@dataclass(frozen=True, kw_only=True)
class UploadFormat:
    """Declarations about one upload, or about all uploads of a table. Empty ones declare nothing.

    `profile`: the name of a variation that the table declares, such as a supplier's.
    `encoding`: the code page of text that has no byte order mark and is not UTF-8.
    `delimiter`: what separates the cells of a CSV file: a character, or the same one twice.
    `quote`: the character around cells of a CSV file, empty if no character is special.
    `no_header`: the first record is a row; columns are taken by position.
    `header_row`: the number, from 1, of the line of a CSV file or the row of a sheet that holds the names of columns;
    what stands before it is not used.
    `columns`: for names in the file that are not the table's, the table's column: `(("Mail", "email"),)`; `LEFT_OUT`
    for a name whose cells are not wanted.
    `sheet`: the name of the sheet of a workbook that holds the rows.
    `records`: the key of a JSON document whose value is the array of rows, `data` or `result.data`.
    `match`: the columns of the key that finds the stored row of a row; other keys are only constraints then.
    `rejects_extra_columns`: a column that the table does not have fails the upload.

    `time_zone`: of timestamps without an offset, in columns with time zone.

    All others are about the texts in cells of delimited files and workbooks, the notation:

    `trim`: whether blanks around a text in quotes are removed.
    `null_words`: texts that mean NULL, in every column.
    `true_words`, `false_words`: the texts of booleans, in any case, instead of the usual ones.
    `decimal`, `thousands`: the marks in numbers; `thousands` is a blank for all kinds of narrow and no-break ones, and
    empty for none.
    `date_formats`, `time_formats`, `timestamp_formats`: see `time_patterns`.
    """

    profile: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    no_header: bool = False
    header_row: int | None = None
    columns: tuple[tuple[str, str], ...] = ()
    sheet: str | None = None
    records: str | None = None
    match: tuple[str, ...] = ()
    rejects_extra_columns: bool | None = None
    trim: bool | None = None
    null_words: tuple[str, ...] = ()
    true_words: tuple[str, ...] = ()
    false_words: tuple[str, ...] = ()
    decimal: str | None = None
    thousands: str | None = None
    date_formats: tuple[str, ...] = ()
    time_formats: tuple[str, ...] = ()
    timestamp_formats: tuple[str, ...] = ()
    time_zone: str | None = None

    def over(self, base: "UploadFormat") -> "UploadFormat":
        """These declarations, and those of `base` where there are none here; columns of both, these first.

        A header that is declared here replaces one of `base`, whether it has a row or is none.
        """
        columns = tuple((dict(base.columns) | dict(self.columns)).items())
        if self.no_header or self.header_row:
            base = replace(base, no_header=False, header_row=None)
        return replace(base, **self.declared | {"columns": columns})

    @property
    def declared(self) -> dict[str, Any]:
        """The fields that declare something, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value != getattr(NOTHING_DECLARED, name)}

    @property
    def has_notation(self) -> bool:
        """Return whether something is declared about the texts in cells."""
        return any(part.attribute in self.declared for part in _NOTATION)

    def without_notation(self) -> "UploadFormat":
        """These declarations without those about the texts in cells; `time_zone` is about their meaning, and stays."""
        return replace(
            self, **{part.attribute: getattr(NOTHING_DECLARED, part.attribute) for part in _NOTATION}
        )

    def texts(self) -> dict[str, str]:
        """The declarations as `read_format` reads them: the form they have in metadata, forms and the ledger."""
        declared = self.declared
        return {
            part.name: part.text(declared[part.attribute])
            for part in DECLARATIONS
            if part.attribute in declared
        }

    def check(self) -> None:
        """Raise `DeclarationError` if the declarations, those of table and upload together, contradict each other."""
        for part in DECLARATIONS:
            if (value := self.declared.get(part.attribute)) is not None:
                part.check(value)
        if self.no_header and self.header_row:
            raise DeclarationError(
                f"header: none and header_row: {self.header_row} are both declared: remove one of them"
            )
        if self.delimiter and self.delimiter[0] == (quote := QUOTE if self.quote is None else self.quote):
            raise DeclarationError(
                f"delimiter and quote are both {quote!r}: declare another quote, or quote: none"
            )
        if self.thousands == (decimal := self.decimal or POINT):
            raise DeclarationError(
                f"thousands and decimal are both {decimal!r}: declare another decimal mark, or thousands: none"
            )
        both = {word.lower() for word in self.true_words} & {word.lower() for word in self.false_words}
        if both:
            raise DeclarationError(
                f"{min(both)!r} is both in true_words and in false_words: remove one of them"
            )


class Kind(Enum):
    """The kind of value that a declaration has, in table files a text, a character or a word for one, a whole number, a
    list of texts, true or false, or a mapping."""

    TEXT = "text"
    CHARACTER = "character"
    NUMBER = "number"
    LIST = "list"
    FLAG = "flag"
    PAIRS = "pairs"


@dataclass(frozen=True)
class Declaration:
    """One part of a format. `name`: in metadata, forms, options and table files. `attribute`: of
    `UploadFormat`.

    `help` completes a sentence for people. `words`: the values by their texts, where not every text is one; of a
    character those that cannot be written as they are.
    `check` raises `DeclarationError` for a value that cannot be.
    """

    name: str
    attribute: str
    help: str
    example: str
    kind: Kind = Kind.TEXT
    words: Mapping[str, Any] = field(default_factory=dict)
    check: Callable[[Any], None] = lambda value: None

    def value(self, text: str) -> Any:
        """Return the value of a text. Raises `DeclarationError` if it has none."""
        value = self._value(text)
        self.check(value)
        return value

    def _value(self, text: str) -> Any:
        if self.kind is Kind.PAIRS:
            return _columns(text)
        if self.kind is Kind.LIST:
            return _list(self.name, text)
        if self.kind is Kind.NUMBER:
            return _number(self.name, text)
        if self.kind is Kind.CHARACTER:
            return self.words.get(text.lower(), _character(text))
        if not self.words:
            return text
        if text.lower() in self.words:
            return self.words[text.lower()]
        known = [*self.words]
        expected = (
            f"the only value is {known[0]}" if len(known) == 1 else f"expected one of {' '.join(known)}"
        )
        raise DeclarationError(f"{self.name} {text!r} is not understood: {expected}")

    def text(self, value: Any) -> str:
        """Return the text of a value."""
        if self.kind is Kind.PAIRS:
            return json.dumps(dict(value), ensure_ascii=False)
        if self.kind is Kind.LIST:
            return _text_of_list(value)
        text = next((text for text, known in self.words.items() if known == value), str(value))
        return text if text.isprintable() or self.kind is not Kind.CHARACTER else f"\\x{ord(value):02x}"


def read_format(declared: Mapping[str, str]) -> UploadFormat:
    """The format that texts by name declare; names that are none of `DECLARATIONS` are left out.

    A name may have hyphens for underscores. `columns` is `E-Mail=email, Ort=city`, or a JSON object where names hold
    commas or equals signs; a list is `a, b`, or a JSON array where texts hold commas or are empty. Raises
    `DeclarationError` for a text that cannot be read.
    """
    given = {name.replace("-", "_"): text.replace("\0", "") for name, text in declared.items()}
    return UploadFormat(
        **{
            part.attribute: part.value(text)
            for part in DECLARATIONS
            if (text := _stripped(part, given.get(part.name, "")))
        }
    )


def _stripped(part: Declaration, text: str) -> str:
    """Return the text without blanks around it; a character may be a blank or a tab."""
    return text.strip() or (text if part.kind is Kind.CHARACTER else "")


def _columns(text: str) -> tuple[tuple[str, str], ...]:
    if text.startswith("{"):
        return _columns_of_json(text)
    pairs = [part.rpartition("=") for part in text.split(",") if part.strip()]
    for name, equals, column in pairs:
        if not (equals and name.strip() and column.strip()):
            raise DeclarationError(
                f"columns {text!r} is not understood: write it like E-Mail=email, Ort=city (the name in the file first)"
            )
    return tuple((name.strip(), column.strip()) for name, _, column in pairs)


def _columns_of_json(text: str) -> tuple[tuple[str, str], ...]:
    try:
        names = json.loads(text)
    except json.JSONDecodeError:
        names = None
    if not isinstance(names, dict) or not all(isinstance(column, str) for column in names.values()):
        raise DeclarationError(
            f'columns {text!r} is not understood: write a JSON object like {{"E-Mail": "email", "Ort": "city"}}'
        )
    return tuple(names.items())


def _list(name: str, text: str) -> tuple[str, ...]:
    if not text.startswith("["):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        words = json.loads(text)
    except json.JSONDecodeError:
        words = None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise DeclarationError(f'{name} {text!r} is not understood: write a JSON array like ["n/a", "-"]')
    return tuple(words)


def _text_of_list(words: tuple[str, ...]) -> str:
    is_plain = all(word and word == word.strip() and not re.search(r"[,\0]", word) for word in words)
    if is_plain and not words[0].startswith("["):
        return ", ".join(words)
    return json.dumps(words, ensure_ascii=False)


def _number(name: str, text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,8}", text, re.ASCII):
        raise DeclarationError(f"{name} {text!r} is not understood: write a whole number from 1 on, like 3")
    return int(text)


def _character(text: str) -> str:
    """Return the character that `\\x1f` stands for, and any other text as it is."""
    code = re.fullmatch(r"\\x([01][0-9a-f])", text, re.IGNORECASE)
    return chr(int(code[1], 16)) if code else text


def _check_delimiter(delimiter: str) -> None:
    character = delimiter[:1]
    is_mark = character.isprintable() and not character.isalnum() and character not in " \\"
    is_control = delimiter in map(chr, {*range(1, 33)} - {*b"\r\n"})
    if not is_control and not (is_mark and delimiter in (character, character * 2)):
        raise DeclarationError(
            f"delimiter {delimiter!r} cannot separate cells: write one character that is no letter, digit or "
            "backslash, the same one twice, tab, blank, or a control character like \\x1f"
        )


def _check_quote(quote: str) -> None:
    if quote and not re.fullmatch(r"[!-/:-@\[\]-`{-~]", quote):
        raise DeclarationError(
            f"quote {quote!r} cannot stand around cells: write one ASCII character that is no letter, digit, blank or "
            "backslash, or none"
        )


def _each(check: Callable[[str], None]) -> Callable[[tuple[str, ...]], None]:
    def check_each(texts: tuple[str, ...]) -> None:
        for text in texts:
            check(text)

    return check_each


@lru_cache(64)
def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        near = sorted(zone for zone in available_timezones() if name.lower() in zone.lower())[:3]
        hint = f"did you mean {' or '.join(near)}?" if near else "write it like Europe/Berlin"
        raise DeclarationError(f"time_zone {name!r} is unknown: {hint}") from None


_PROFILE = Declaration(
    "profile", "profile", "The profile of the table whose declarations hold for the file.", "supplier"
)

_OF_FILES = (
    Declaration("encoding", "encoding", "The code page of a text file that is not Unicode.", "cp1252"),
    Declaration(
        "delimiter",
        "delimiter",
        "What separates the cells of a CSV file: a character, the same one twice, `tab`, `blank`, or a control "
        "character like `\\x1f`.",
        ";",
        Kind.CHARACTER,
        {"tab": "\t", "blank": " "},
        _check_delimiter,
    ),
    Declaration(
        "quote",
        "quote",
        "The character around cells of a CSV file that hold delimiters or line ends, or `none`.",
        "'",
        Kind.CHARACTER,
        {"none": ""},
        _check_quote,
    ),
    Declaration(
        "header",
        "no_header",
        "`none`: files have no header line; columns are taken by position.",
        "none",
        words={"none": True},
    ),
    Declaration(
        "header_row",
        "header_row",
        "The number of the line of a CSV file, or of the row of a sheet, that holds the names of columns. What stands "
        "before it is not used.",
        "3",
        Kind.NUMBER,
    ),
    Declaration(
        "columns",
        "columns",
        f"The table's column for names in the file; `{LEFT_OUT}` leaves a name out.",
        "E-Mail=email, Ort=city",
        Kind.PAIRS,
    ),
    Declaration("sheet", "sheet", "The sheet of a workbook that holds the rows.", "Data"),
    Declaration("records", "records", "The key of a JSON document that holds the rows.", "result.data"),
    Declaration(
        "match",
        "match",
        "The columns of the key that finds the stored row of a row in `upsert`; other keys are only constraints then.",
        "order_no",
        Kind.LIST,
    ),
    Declaration(
        "extra_columns",
        "rejects_extra_columns",
        "Columns that the table does not have: `ignore` them with a warning, which is usual, or `reject` the file.",
        "reject",
        words={"ignore": False, "reject": True},
    ),
)

_NOTATION = (
    Declaration(
        "trim",
        "trim",
        "Whether blanks around a text in quotes are removed.",
        "true",
        Kind.FLAG,
        {"true": True, "false": False},
    ),
    Declaration("null_words", "null_words", "Texts that mean NULL, in every column.", "n/a, -", Kind.LIST),
    Declaration(
        "true_words",
        "true_words",
        "Texts for true, in any case, instead of `true`, `1`, `yes`.",
        "ja",
        Kind.LIST,
    ),
    Declaration(
        "false_words",
        "false_words",
        "Texts for false, in any case, instead of `false`, `0`, `no`.",
        "nein",
        Kind.LIST,
    ),
    Declaration("decimal", "decimal", "The decimal mark of numbers.", ",", words={",": ",", ".": "."}),
    Declaration(
        "thousands",
        "thousands",
        "The mark between thousands that numbers may have.",
        ".",
        words={".": ".", ",": ",", "'": "'", "blank": " ", "none": ""},
    ),
    Declaration(
        "date_format",
        "date_formats",
        "The format of dates, or several.",
        "DD.MM.YYYY",
        Kind.LIST,
        check=_each(check_date_format),
    ),
    Declaration(
        "time_format",
        "time_formats",
        "The format of times of day, or several.",
        "HH.mm",
        Kind.LIST,
        check=_each(check_time_format),
    ),
    Declaration(
        "timestamp_format",
        "timestamp_formats",
        "The format of timestamps, or several.",
        "DD.MM.YYYY HH:mm",
        Kind.LIST,
        check=_each(check_timestamp_format),
    ),
)

_TIME_ZONE = Declaration(
    "time_zone",
    "time_zone",
    "The time zone of timestamps without an offset, in columns with time zone. Without one: UTC.",
    "Europe/Berlin",
    check=_check_zone,
)

FORMAT_PARTS = (*_OF_FILES, *_NOTATION, _TIME_ZONE)
"""The parts of a format, in the order in which they are documented."""

DECLARATIONS = (_PROFILE, *FORMAT_PARTS)
"""All that may be declared for an upload."""

NOTHING_DECLARED = UploadFormat()

EXPORT_PROFILE = "export"
"""The profile of files that exports, `check` and `sample` write, which every table has: it declares nothing."""
