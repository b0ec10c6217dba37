"""How far an import is, how fast it goes, and when it will end: the same figures everywhere."""

from dataclasses import dataclass

_SHORTEST_SECONDS = 0.001
"""Shorter times give no rate that means something."""


@dataclass(frozen=True)
class Pace:
    """Each value is None while it is unknown.

    `percent`: 0 to 100, rounded down, so that 100 means that no row is left. `seconds_left`: 0 if no row is left.
    """

    percent: int | None = None
    rows_per_second: float | None = None
    seconds_left: float | None = None


def pace_of(processed: int, total: int | None, *, rows: int, seconds: float) -> Pace:
    """Return the pace of `processed` of `total` rows, of which `rows` were processed in the last `seconds`.

    `total`: None while the number of rows is unknown.
    """
    rate = rows / seconds if rows > 0 and seconds >= _SHORTEST_SECONDS else None
    if total is None:
        return Pace(rows_per_second=rate)
    left = max(total - processed, 0)
    percent = 100 if not left else max(processed, 0) * 100 // total
    return Pace(percent, rate, 0.0 if not left else left / rate if rate else None)


def duration(seconds: float) -> str:
    """Return the duration for people: `45 s`, `3:05 min`, `2:10 h`."""
    if seconds < 89.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 90:
        return f"{minutes}:{rest:02} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,}:{minutes:02} h"
