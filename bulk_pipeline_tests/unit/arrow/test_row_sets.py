"""Sorted sets of numbers, compared with Python's sets."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline.arrow.row_sets import difference, positions, union

LIMITS = np.iinfo(np.int64)
numbers = st.one_of(
    st.integers(0, 12), st.integers(LIMITS.min, LIMITS.max), st.sampled_from([LIMITS.min, LIMITS.max])
)
many = st.lists(numbers, max_size=12)


def array(of: list[int] | set[int]) -> np.ndarray:
    return np.array(sorted(of) if isinstance(of, set) else of, np.int64)


@given(parts=st.lists(many, max_size=4))
def test_a_union_has_each_once_in_order(parts: list[list[int]]) -> None:
    result = union(map(array, parts))
    assert (result.tolist(), result.dtype) == (
        sorted({number for part in parts for number in part}),
        np.int64,
    )


@given(left=st.sets(numbers), right=st.sets(numbers))
def test_a_difference_keeps_the_order(left: set[int], right: set[int]) -> None:
    assert difference(array(left), array(right)).tolist() == sorted(left - right)


@given(values=many, among=st.sets(numbers))
def test_positions_are_those_of_the_values_in_the_set(values: list[int], among: set[int]) -> None:
    result, at = positions(array(values), array(among))
    assert result.tolist() == [value in among for value in values]
    assert array(among)[at[result]].tolist() == [value for value in values if value in among]


def test_the_arguments_are_not_changed() -> None:
    given = array([3, 1, 3])
    assert (union([given]).tolist(), given.tolist()) == ([1, 3], [3, 1, 3])
