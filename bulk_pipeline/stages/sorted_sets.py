"""Sets of row numbers or fingerprints, as sorted arrays of int64 without repetition.

NumPy's own functions for sets make hash tables (2.3 and later): a million numbers take 0.7 s, and 0.001 to 0.05 s to
be sorted, which those that are here have mostly been.
"""

from collections.abc import Iterable

import numpy as np


def union(parts: Iterable[np.ndarray]) -> np.ndarray:
    """What any of the parts has; they may be in any order, and repeat themselves."""
    together = np.concatenate([np.empty(0, np.int64), *parts])
    together.sort(kind="stable")  # merges what is sorted in parts
    first = np.ones(len(together), bool)
    np.not_equal(together[1:], together[:-1], out=first[1:])
    return together[first]


def difference(numbers: np.ndarray, others: np.ndarray) -> np.ndarray:
    """What `numbers` has and `others`, both sets, has not."""
    return numbers[~positions(numbers, others)[0]]


def positions(values: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each value, in any order, is found in the set `among`: (found: bool, position: int)."""
    if not len(among):
        return np.zeros(len(values), bool), np.zeros(len(values), np.int64)
    at = np.minimum(np.searchsorted(among, values), len(among) - 1)
    return among[at] == values, at
