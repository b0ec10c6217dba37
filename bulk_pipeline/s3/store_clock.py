"""Tells what an S3 server's clock shows, more exactly than the whole seconds of its answers."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

_DRIFT = 0.001
"""The share by which the two clocks may differ in speed."""
_VISIBLE_SECONDS = 0.05
"""The time that an object may take from its timestamp to its first listing."""


@dataclass(frozen=True)
class _Reading:
    """A time that the store's clock had reached at a moment of our own."""

    seconds: float
    moment: float

    def at(self, moment: float) -> float:
        return self.seconds + (moment - self.moment) * (1 - _DRIFT)


class StoreClock:
    """The clock of one server, read from the `Date` of its answers.

    An answer at the beginning of a second tells the clock's time exactly, and our own clock tells how much later it is
    now.
    """

    def __init__(self) -> None:
        self._best: _Reading | None = None

    def reached(self, date: datetime, started: float, ended: float) -> datetime:
        """Return a time that the clock had reached at the start of a request, seldom much earlier than its time then.

        `date` is that of the answer; `started` and `ended` are moments of a monotonic clock.
        """
        answered = _Reading(date.timestamp(), ended)
        plain, best = answered.seconds - (ended - started), self._best
        if best is None or best.at(started) >= answered.seconds + 1:  # the store's clock was set back
            self._best = answered
            return datetime.fromtimestamp(plain, UTC)
        self._best = max(best, answered, key=lambda reading: reading.at(ended))
        return datetime.fromtimestamp(max(plain, best.at(started) - _VISIBLE_SECONDS), UTC)


@cache
def clock_of(_endpoint: str | None) -> StoreClock:
    """Return this process's clock of a server."""
    return StoreClock()
