"""Options that several commands share, and the values people write in them: shares, counts, times, upload formats."""

import inspect
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Annotated, Any, TypeVar

import typer

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema import UploadFormat, read_format
from bulk_pipeline.schema.upload_format import DECLARATIONS, Declaration, Kind

T = TypeVar("T")

SinceOption = Annotated[
    str | None,
    typer.Option(metavar="AGE|DATE", help="Only jobs created since then: 30m, 2h, 1d, 2026-11-27."),
]

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAY_SECONDS = 86_400
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


def seconds(text: str, option: str) -> float:
    """Read a duration in seconds: `2s`, `2` or `0.5`."""
    try:
        value = float(text.strip().removesuffix("s"))
    except ValueError:
        value = 0.0
    if not 0 < value <= _DAY_SECONDS:
        raise typer.BadParameter(f"{text!r} is not a duration in seconds: write 2s or 0.5", param_hint=option)
    return value


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


def takes_upload_format(*names: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Give a command the options that declare an upload's format, all or those of these names.

    Its parameter `declared` gets the format. `typer.BadParameter` names an option whose value is not understood.
    """
    parts = [part for part in DECLARATIONS if part.name in names or not names]

    def decorate(command: Callable[..., T]) -> Callable[..., T]:
        def run(**values: Any) -> T:
            declared = UploadFormat()
            for part in parts:
                declared = _declared(part, values.pop(part.name)).over(declared)
            return command(**values, declared=declared)

        own = [
            parameter
            for name, parameter in inspect.signature(command, eval_str=True).parameters.items()
            if name != "declared"
        ]
        parameters = [*own, *map(_parameter, parts)]
        run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        setattr(run, "__signature__", inspect.Signature(parameters))  # noqa: B010 - functions do not declare it
        return run

    return decorate


def _parameter(part: Declaration) -> inspect.Parameter:
    is_open = part.kind is Kind.CHARACTER or not part.words
    help_ = f"{part.help} Example: {part.example}" if is_open else part.help
    metavar = None if is_open else "|".join(part.words)
    panel = "Format of the file"
    if part.kind is Kind.PAIRS:
        option = typer.Option("--column", metavar="NAME=COLUMN", help=help_, rich_help_panel=panel)
        annotation: Any = Annotated[list[str] | None, option]
    elif part.kind is Kind.FLAG:
        annotation = Annotated[bool | None, typer.Option(help=help_, rich_help_panel=panel)]
    else:
        annotation = Annotated[str | None, typer.Option(metavar=metavar, help=help_, rich_help_panel=panel)]
    return inspect.Parameter(part.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _declared(part: Declaration, value: str | bool | Sequence[str] | None) -> UploadFormat:
    """Return the format that the values of an option declare."""
    if value is None or value == "":
        return UploadFormat()
    texts = (
        [str(value).lower() if isinstance(value, bool) else value] if isinstance(value, str | bool) else value
    )
    declared = UploadFormat()
    try:
        for text in texts:
            declared = read_format({part.name: text}).over(declared)
    except DeclarationError as error:
        option = "--column" if part.kind is Kind.PAIRS else f"--{part.name.replace('_', '-')}"
        raise typer.BadParameter(str(error), param_hint=option) from error
    return declared


def _bad_time(text: str) -> typer.BadParameter:
    return typer.BadParameter(
        f"{text!r} is neither an age like 30m, 2h or 1d nor a date like 2026-11-27", param_hint="--since"
    )
