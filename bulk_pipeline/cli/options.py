"""Options that several commands share, and the values people write in them: shares, counts, times, upload formats."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Annotated

import typer

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema import UploadFormat, read_format

EncodingOption = Annotated[
    str | None, typer.Option(help="Code page of a text file that is not Unicode, such as cp1252.")
]
HeaderOption = Annotated[
    str | None,
    typer.Option(metavar="none", help="The file has no header line: columns are taken by position."),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column", metavar="NAME=COLUMN", help="Read the file's column NAME into the table's COLUMN."
    ),
]
SheetOption = Annotated[str | None, typer.Option(help="Name of the sheet to read in a workbook.")]
RecordsOption = Annotated[
    str | None, typer.Option(metavar="KEY", help="Key of the list of records in a JSON document.")
]
SinceOption = Annotated[
    str | None,
    typer.Option(metavar="AGE|DATE", help="Only jobs created since then: 30m, 2h, 1d, 2026-11-27."),
]

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGE = re.compile(r"(\d{1,6})\s*([mhdw])")


def share(text: str, option: str) -> Fraction:
    """Read `1%`, `0.01` or `1/100`. `typer.BadParameter` names `option` if the text is none of these."""
    number = text.strip().removesuffix("%")
    try:
        value = Fraction(number) / (100 if number != text.strip() else 1)
    except (ValueError, ZeroDivisionError):
        value = Fraction(-1)
    if not 0 <= value <= 1:
        raise typer.BadParameter(
            f"{text!r} is not a share from 0 to 1: write 1%, 0.01 or 1/100", param_hint=option
        )
    return value


def count(text: str, option: str, least: int = 1) -> int:
    """Read `1000000`, `1_000_000`, `1,000,000` or `1e6`."""
    try:
        value = Fraction(text.strip().replace(",", ""))
    except ValueError:
        value = Fraction(-1)
    if value < least or value.denominator != 1:
        raise typer.BadParameter(
            f"{text!r} is not a count: write 1000000, 1_000_000 or 1e6", param_hint=option
        )
    return int(value)


def counts(text: str, option: str) -> tuple[int, ...]:
    """Read counts separated by commas: `1e6,3e6,10e6`."""
    return tuple(count(part, option) for part in text.split(","))


def since(text: str | None) -> datetime | None:
    """Return the time that the value of a `SinceOption` names."""
    return None if text is None else time_of(text, datetime.now(UTC).astimezone())


def time_of(text: str, now: datetime) -> datetime:
    """Read an age (`30m`, `2h`, `1d`, `2w`), `today`, `yesterday`, or an ISO 8601 date or time.

    A date or time without an offset is local.
    """
    word = text.strip().lower()
    if age := _AGE.fullmatch(word):
        try:
            return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
        except OverflowError:
            raise _bad_time(text) from None
    if word in ("today", "yesterday"):
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight - timedelta(days=int(word == "yesterday"))
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise _bad_time(text) from None
    return time.astimezone()


def upload_format(
    encoding: str | None,
    header: str | None = None,
    columns: Sequence[str] | None = None,
    sheet: str | None = None,
    records: str | None = None,
) -> UploadFormat:
    """Return the format that the options declare; `typer.BadParameter` if one of them is invalid."""
    texts: Mapping[str, str | None] = {
        "encoding": encoding,
        "header": header,
        "sheet": sheet,
        "records": records,
    }
    try:
        declared = read_format({name: text for name, text in texts.items() if text})
    except DeclarationError as error:
        raise typer.BadParameter(str(error), param_hint="--header") from error
    try:
        pairs = [pair for text in columns or () for pair in read_format({"columns": text}).columns]
    except DeclarationError as error:
        raise typer.BadParameter(str(error), param_hint="--column") from error
    return declared.over(UploadFormat(columns=tuple(pairs)))


def _bad_time(text: str) -> typer.BadParameter:
    return typer.BadParameter(
        f"{text!r} is neither an age like 30m, 2h or 1d nor a date like 2026-11-27", param_hint="--since"
    )
