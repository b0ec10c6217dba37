"""Columns, or combinations of a few, that could be a key: complete and unique in a whole file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_FEWEST_ROWS = 2
_MOST_COLUMNS, _MOST_TOGETHER, _MOST_KEYS = 8, 3, 5


@dataclass(frozen=True)
class KeyColumn:
    """A column without empty cells, and the number of its different values.

    `only_together`: the column identifies nothing by itself, as a date does not.
    """

    name: str
    values: int
    only_together: bool = False


def candidates(
    columns: Sequence[KeyColumn], rows: int, texts: Callable[[str], pa.ChunkedArray]
) -> list[tuple[str, ...]]:
    """Return the keys of fewest columns, in the order of the columns; none of a file with a single row."""
    if rows < _FEWEST_ROWS:
        return []
    single = [(column.name,) for column in columns if column.values == rows and not column.only_together]
    if single:
        return single[:_MOST_KEYS]
    first = columns[:_MOST_COLUMNS]
    codes: Mapping[str, np.ndarray] = {column.name: _codes(texts(column.name)) for column in first}
    for width in range(2, _MOST_TOGETHER + 1):
        found = [
            tuple(column.name for column in together)
            for together in combinations(first, width)
            if np.prod([float(column.values) for column in together]) >= rows
            and _is_unique([(codes[column.name], column.values) for column in together])
        ]
        if found:
            return found[:_MOST_KEYS]
    return []


def _codes(texts: pa.ChunkedArray) -> np.ndarray:
    """Return a number for each cell, the same for the same text."""
    encoded = pc.dictionary_encode(texts).unify_dictionaries()
    return np.concatenate([chunk.indices.to_numpy() for chunk in encoded.chunks]).astype(np.int64)


def _is_unique(columns: Sequence[tuple[np.ndarray, int]]) -> bool:
    (together, _), *others = columns
    for codes, values in others:
        # Numbered again after each column, so that the numbers stay below the square of the number of rows.
        together = np.unique(together, return_inverse=True)[1] * values + codes
    return len(np.unique(together)) == len(together)
