"""Measures how the cost of a call grows with its input, by processor time: never by how long it took."""

import time
from collections.abc import Callable

TIMES = 8
"""How much longer the second input is than the first."""
MOST = 28.0
"""A cost that is linear grows eightfold, one that is quadratic 64-fold. Between them is room for a busy machine."""
_FLOOR_SECONDS = 0.002
"""What is cheaper than that counts as this much: the clock and the caches decide about it."""
_TRIES = 3


def growth(call: Callable[[str], object], make: Callable[[int], str], size: int) -> float:
    """How many times as much processor time `TIMES` the size costs, in the best of a few tries."""
    small, large = (make(count) for count in (size, size * TIMES))
    return min(_ratio(call, small, large) for _ in range(_TRIES))


def _ratio(call: Callable[[str], object], small: str, large: str) -> float:
    return _seconds(call, large) / max(_seconds(call, small), _FLOOR_SECONDS)


def _seconds(call: Callable[[str], object], text: str) -> float:
    started = time.process_time()
    call(text)
    return time.process_time() - started
