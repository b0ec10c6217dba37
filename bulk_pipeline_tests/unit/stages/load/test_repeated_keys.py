"""`find_repeats` separates rows that are simply overwritten from rows that need an order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline import tables
from bulk_pipeline.stages.load.repeated_keys import Repeats, find_repeats
from bulk_pipeline_tests.unit.stages.rows import records

Keys = list[tuple[str | None, str, str | None]]
"""The id, email and created_at of each row."""


def found(keys: Keys, size: int = 100) -> Repeats:
    rows: list[dict[str, str | None]] = [
        dict(zip(("id", "email", "created_at"), key, strict=True)) for key in keys
    ]
    batches = [records(rows[start : start + size], start + 1) for start in range(0, len(rows), size)]
    return find_repeats(lambda: iter(batches), tables.get("customers"))


@pytest.mark.parametrize(
    ("keys", "overwritten", "tangled"),
    [
        pytest.param(["1a", "2b", " c"], [], [], id="no repetition"),
        pytest.param([" a", " b", " a", " a"], [1, 3], [], id="the same natural key"),
        pytest.param(["1a", "2b", "1a"], [1], [], id="the same id and natural key"),
        pytest.param(["1a", "1b"], [], [1, 2], id="one id, two natural keys"),
        pytest.param(["1a", "2a"], [], [1, 2], id="one natural key, two ids"),
        pytest.param(["1a", " a", "3c"], [], [1, 2], id="once with an id, once without"),
        pytest.param(["1a", "1a", "2a"], [], [1, 2, 3], id="one stranger tangles all of them"),
        pytest.param([" a", " a", "1b", "1c"], [1], [3, 4], id="others are none of their business"),
    ],
)
def test_rows_that_share_both_keys_are_overwritten(
    keys: list[str], overwritten: list[int], tangled: list[int]
) -> None:
    repeats = found([(key[0].strip() or None, key[1], None) for key in keys])
    assert (repeats.overwritten.tolist(), repeats.tangled.tolist()) == (overwritten, tangled)


def test_a_row_that_keeps_a_time_of_the_one_before_is_tangled() -> None:
    assert found([(None, "a", "2025"), (None, "a", None)]).tangled.tolist() == [1, 2]
    assert found([(None, "a", "2025"), (None, "a", "2026")]).overwritten.tolist() == [1]


ids = st.sampled_from([None, "1", "2", "3"])
files = st.lists(st.tuples(ids, st.sampled_from("abc"), st.sampled_from([None, "t"])), max_size=12)


@given(keys=files, size=st.integers(1, 5))
def test_repeats_are_found_like_by_looking_at_every_pair(keys: Keys, size: int) -> None:
    repeats = found(keys, size)
    tangled, overwritten, by = [], [], []
    for row, (id_, email, made) in enumerate(keys, 1):
        relatives = [
            (number, other)
            for number, other in enumerate(keys, 1)
            if other[1] == email or (id_ is not None and other[0] == id_)
        ]
        if any(
            other != (id_, email, made) and not _alike(other, (id_, email, made)) for _, other in relatives
        ):
            tangled.append(row)
        elif later := [number for number, _ in relatives if number > row]:
            overwritten.append(row)
            by.append(min(later))
    assert (repeats.overwritten.tolist(), repeats.by.tolist()) == (overwritten, by)
    assert repeats.tangled.tolist() == tangled


def _alike(one: tuple, other: tuple) -> bool:
    return one[:2] == other[:2] and (one[2] is None) == (other[2] is None)
