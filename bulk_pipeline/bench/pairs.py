"""Contenders in turns, and what is said of several measurements: the median and how far they lie apart."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of some measurements."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """`ValueError` if there are none."""
    if not values:
        raise ValueError("there is no median of no measurements")
    return Spread(round(median(values), 4), round(min(values), 4), round(max(values), 4))


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that is at least as great as that share of them (nearest rank)."""
    if not values or not 0 < share <= 1:
        raise ValueError("a percentile needs values, and a share above 0 and up to 1")
    return sorted(values)[ceil(share * len(values)) - 1]


def in_turns(rounds: int, contenders: Mapping[str, Callable[[], T]]) -> Iterator[dict[str, T]]:
    """Every contender once a round, in the given order, then in the reverse one, and so on.

    So that a machine that gets slower or faster meanwhile favours nobody.
    """
    for number in range(rounds):
        names = list(contenders)[:: 1 if number % 2 == 0 else -1]
        yield {name: contenders[name]() for name in names}
