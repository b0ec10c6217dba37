"""Measures how the cost of a call grows with its input, by processor time instead of elapsed time."""

import time
from collections.abc import Callable

TIMES = 8
"""Ratio of the lengths of the second and the first input."""
MOST = 28.0
"""Limit of the growth: a linear cost grows eightfold, a quadratic one 64-fold; a busy machine is in between."""
_FLOOR_SECONDS = 0.002
"""Smallest cost that counts: below it, clock and caches decide."""
_TRIES = 3


def growth(call: Callable[[str], object], make: Callable[[int], str], size: int) -> float:
    """Return the ratio of processor time for `TIMES` the size, the best of a few tries."""
    small, large = (make(count) for count in (size, size * TIMES))
    return min(_ratio(call, small, large) for _ in range(_TRIES))


def _ratio(call: Callable[[str], object], small: str, large: str) -> float:
    return _seconds(call, large) / max(_seconds(call, small), _FLOOR_SECONDS)


def _seconds(call: Callable[[str], object], text: str) -> float:
    started = time.process_time()
    call(text)
    return time.process_time() - started
