"""When a file of a table is expected: `daily by 08:00 Europe/Rome`."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from bulk_pipeline.errors import DeclarationError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMED = {"daily": (0, 1, 2, 3, 4, 5, 6), "weekdays": (0, 1, 2, 3, 4)}
_WRITTEN = re.compile(r"(?P<days>[a-z,]+) by (?P<by>\d\d:\d\d) (?P<zone>\S+)", re.ASCII)
_FORM = "write it like `daily by 08:00 Europe/Rome`, `weekdays by 18:30 UTC` or `mon,thu by 07:00 America/New_York`"


@dataclass(frozen=True)
class Expectation:
    """A file is expected before the time `by` in `zone`, on each of `days`: 0 is Monday, 6 is Sunday."""

    by: time
    zone: ZoneInfo
    days: tuple[int, ...] = _NAMED["daily"]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `DAYS by HH:MM ZONE`. `DeclarationError` says what is wrong.

        DAYS: `daily`, `weekdays` (Monday to Friday), or days like `mon,thu`. ZONE: a name of the IANA database.
        """
        written = _WRITTEN.fullmatch(text)
        if written is None:
            raise DeclarationError(f"{text!r} cannot be read: {_FORM}")
        return cls(_time(written["by"]), _zone(written["zone"]), _days(written["days"]))

    def due_at(self, now: datetime) -> datetime:
        """Return the last deadline that is not after `now`, in UTC."""
        today = now.astimezone(self.zone).date()
        deadlines = (self._deadline(today - timedelta(days=back)) for back in range(8))
        return next(due for due in deadlines if due is not None and due <= now)

    def previous(self, due: datetime) -> datetime:
        """Return the deadline before the deadline `due`, in UTC: a file that arrives between them is in time."""
        return self.due_at(due - timedelta(microseconds=1))

    def __str__(self) -> str:
        named = {days: name for name, days in _NAMED.items()}
        days = named.get(self.days) or ",".join(_DAYS[day] for day in self.days)
        return f"{days} by {self.by:%H:%M} {self.zone.key}"

    def _deadline(self, day: date) -> datetime | None:
        if day.weekday() not in self.days:
            return None
        return datetime.combine(day, self.by, tzinfo=self.zone).astimezone(UTC)


def _time(text: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise DeclarationError(f"{text} is no time of day: write one from 00:00 to 23:59") from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):  # what it raises depends on the name
        raise DeclarationError(
            f"{name!r} is not a time zone: use a name of the IANA database, like Europe/Rome or UTC"
        ) from None


def _days(text: str) -> tuple[int, ...]:
    if text in _NAMED:
        return _NAMED[text]
    days = text.split(",")
    for day in days:
        if day not in _DAYS:
            known = ", ".join((*_NAMED, *_DAYS))
            raise DeclarationError(f"{day!r} is not a day: expected some of {known}")
    return tuple(sorted({_DAYS.index(day) for day in days}))
