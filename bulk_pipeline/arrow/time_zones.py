"""Local times to instants, by the rules of a time zone.

The offsets come from `zoneinfo`: Arrow's `assume_timezone` knows no summer time after 2037. They are looked up once for
each day, and for each second only on days on which the clocks change.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

_SECOND, _DAY_SECONDS = 1_000_000, 86_400
_EPOCH = datetime(1970, 1, 1)
_LAST_DAY = (datetime.max - _EPOCH).days


@dataclass(frozen=True)
class Instants:
    """Instants in microseconds since 1970, in UTC; masks of the local times in a gap of the clocks, which do not exist,
    and in an overlap, which happen twice."""

    microseconds: np.ndarray
    gap: np.ndarray
    overlap: np.ndarray


def instants(local: np.ndarray, zone: ZoneInfo) -> Instants:
    """Return the instants of local times, microseconds since 1970-01-01T00:00 (int64) of the years 1 to 9999."""
    seconds = local // _SECOND
    days, day_of = np.unique(seconds // _DAY_SECONDS, return_inverse=True)
    first = _offsets(days * _DAY_SECONDS, zone, fold=0)
    steady = first == _offsets(days * _DAY_SECONDS, zone, fold=1)
    steady &= first == _offsets((np.minimum(days, _LAST_DAY - 1) + 1) * _DAY_SECONDS, zone, fold=0)
    before = first[day_of]
    after = before.copy()
    changing = np.flatnonzero(~steady[day_of])
    if len(changing):
        moments, moment_of = np.unique(seconds[changing], return_inverse=True)
        before[changing] = _offsets(moments, zone, fold=0)[moment_of]
        after[changing] = _offsets(moments, zone, fold=1)[moment_of]
    return Instants(local - before * _SECOND, gap=before < after, overlap=before > after)


def _offsets(seconds: np.ndarray, zone: ZoneInfo, *, fold: int) -> np.ndarray:
    """Return the seconds that local times are ahead of UTC. `fold`: see PEP 495."""
    of: Callable[[datetime], timedelta | None] = zone.utcoffset
    times = (_EPOCH + timedelta(seconds=second) for second in seconds.tolist())
    offsets = (of(time.replace(tzinfo=zone, fold=fold)) or timedelta() for time in times)
    return np.array([offset // timedelta(seconds=1) for offset in offsets], np.int64)
