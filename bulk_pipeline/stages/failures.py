"""The schema and codes of failures. A failure is one broken rule in one row, stored in Arrow record batches."""

from typing import Self

import pyarrow as pa

FAILURES = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("line", pa.int64()),
        pa.field("column", pa.string()),
        pa.field("code", pa.string(), nullable=False),
        pa.field("value", pa.string()),
        pa.field("message", pa.string(), nullable=False),
    ]
)
"""The columns of failures.

`row` counts data records from 1. `line` is the physical line where the record starts, NULL in formats without lines.
`column` is NULL for a failure of the whole row. `value` is the cell as written, cut to `MAX_VALUE_LENGTH` characters
with "…". `message` is a sentence without a full stop, for people.
"""

MAX_VALUE_LENGTH = 200


class FailureCode(str):
    """A stable name of a kind of failure, stored and compared as a plain str.

    `meaning` completes "the row …"; `remedy` is an advice to the owner of the file. Both are shown in docs/rows.md.
    """

    meaning: str
    remedy: str

    def __new__(cls, name: str, meaning: str, remedy: str) -> Self:
        code = str.__new__(cls, name)
        code.meaning, code.remedy = meaning, remedy
        return code


class Code:
    """The codes of this package's own rules. A broken row rule of a table is `rule:<name>` (see `rule_code`)."""

    MALFORMED_ROW = FailureCode(
        "malformed_row",
        "cannot be read: too few or too many cells, an unclosed quote, invalid JSON",
        "correct the delimiters and quotes of the row",
    )
    BAD_ENCODING = FailureCode(
        "bad_encoding",
        "has bytes that are not text in the file's encoding, or a NUL character; "
        "the message shows the bytes as cp1252 would read them",
        "save the file as UTF-8, or declare the encoding that the message names",
    )
    REQUIRED = FailureCode("required", "lacks a required value", "fill in the cell")
    BAD_TYPE = FailureCode(
        "bad_type",
        "has a cell that is not a value of its column's type",
        "write the value as the message shows",
    )
    BAD_FORMAT = FailureCode(
        "bad_format",
        "has a cell that is not in the column's format, such as an email address or a slug",
        "write the value as the message shows; look for invisible characters",
    )
    TOO_LONG = FailureCode(
        "too_long", "has a cell that is too long, or is too long itself", "shorten the cell or the row"
    )
    SPREADSHEET_DAMAGE = FailureCode(
        "spreadsheet_damage",
        "has a cell that a spreadsheet program has changed: a long number without its last digits, or a code that is "
        "now a date",
        "format the column as text before its values are entered or opened, and export the file again",
    )
    OUT_OF_RANGE = FailureCode(
        "out_of_range",
        "has a number or a time outside the range of its column",
        "use a value in the range that the message names",
    )
    NOT_ALLOWED = FailureCode(
        "not_allowed",
        "has a cell that is not one of the column's choices",
        "use one of the choices that the message lists",
    )
    UNKNOWN_REFERENCE = FailureCode(
        "unknown_reference",
        "refers to a row that does not exist",
        "import the other table first, or correct the id",
    )
    DUPLICATE_IN_FILE = FailureCode(
        "duplicate_in_file",
        "has a key that an earlier row of the file has claimed; the message names that row",
        "keep one of the two rows",
    )
    ALREADY_EXISTS = FailureCode(
        "already_exists", "has a key that is in the table", "leave the row out, or import with `upsert`"
    )
    KEY_CONFLICT = FailureCode(
        "key_conflict",
        "has one key of a stored row and another key of a different one",
        "correct one of the keys that the message names",
    )
    CONSTRAINT = FailureCode(
        "constraint",
        "is refused by the database: a constraint, a trigger or a limit that is not declared",
        "correct what the message quotes from Postgres",
    )


CODES: dict[str, FailureCode] = {code: code for code in vars(Code).values() if isinstance(code, FailureCode)}
"""Every code by name. A rule of the project's own adds its code here."""


def rule_code(name: str) -> str:
    return f"rule:{name}"


def shortened(value: str) -> str:
    """Return a cell for a failure, cut to `MAX_VALUE_LENGTH` characters with "…"."""
    return value if len(value) <= MAX_VALUE_LENGTH else f"{value[: MAX_VALUE_LENGTH - 1]}…"


def none() -> pa.RecordBatch:
    """Return an empty record batch of `FAILURES`."""
    return pa.RecordBatch.from_pylist([], schema=FAILURES)
