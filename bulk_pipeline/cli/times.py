"""Times on the command line: as people give them, and as lists show them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

SinceOption = Annotated[
    str | None, typer.Option(metavar="AGE|DATE", help="Only jobs made since then: 30m, 2h, 1d, 2026-11-27.")
]
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGE = re.compile(r"(\d{1,6})\s*([mhdw])")


def since(text: str | None) -> datetime | None:
    """Return the time that `SinceOption` names."""
    return None if text is None else time_of(text, datetime.now(UTC).astimezone())


def time_of(text: str, now: datetime) -> datetime:
    """The time that `text` names: an age (`30m`, `2h`, `1d`, `2w`), or a date or time (`2026-11-27`), local unless it
    says otherwise.
    """
    given = text.strip().lower()
    if age := _AGE.fullmatch(given):
        try:
            return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
        except OverflowError:
            raise _refused(text) from None
    if given in ("today", "yesterday"):
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight - timedelta(days=int(given == "yesterday"))
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise _refused(text) from None
    return time.astimezone()


def shown(time: datetime | None, now: datetime, *, short: bool = False) -> str:
    """The local time; `short` leaves out the day if it is today, and else the seconds."""
    if time is None:
        return ""
    local = time.astimezone()
    if not short:
        return f"{local:%Y-%m-%d %H:%M:%S}"
    return f"{local:%H:%M:%S}" if local.date() == now.astimezone().date() else f"{local:%Y-%m-%d %H:%M}"


def _refused(text: str) -> typer.BadParameter:
    return typer.BadParameter(
        f"{text!r} is neither an age like 30m, 2h or 1d nor a date like 2026-11-27", param_hint="--since"
    )
