"""Measurements in turns, and their statistics: median, range, percentiles."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Spread:
    """Median, minimum and maximum of some measurements."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return the spread. Raises `ValueError` without values."""
    if not values:
        raise ValueError("a spread needs at least one measurement")
    return Spread(round(median(values), 4), round(min(values), 4), round(max(values), 4))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that is not exceeded by that share of the values (nearest rank)."""
    if not values or not 0 < share <= 1:
        raise ValueError("a percentile needs values, and a share above 0 and up to 1")
    return sorted(values)[ceil(share * len(values)) - 1]


def in_turns(rounds: int, contenders: Mapping[str, Callable[[], T]]) -> Iterator[dict[str, T]]:
    """Yield the results of each round. Each contender runs once a round, in alternating order.

    So a machine that gets slower or faster meanwhile favours none of them.
    """
    for number in range(rounds):
        names = list(contenders)[:: 1 if number % 2 == 0 else -1]
        yield {name: contenders[name]() for name in names}
