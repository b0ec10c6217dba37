"""`IdMaker` makes ids of version 7 that strictly increase."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline.arrow.uuids import IdMaker


def milliseconds(id_: str) -> int:
    return uuid.UUID(id_).int >> 80


def test_ids_are_version_7_of_the_moment_they_are_made() -> None:
    for id_ in IdMaker(lambda: 1_700_000_000_123).make(1_000).to_pylist():
        parsed = uuid.UUID(id_)
        assert str(parsed) == id_
        assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
        assert milliseconds(id_) == 1_700_000_000_123


@given(times=st.lists(st.integers(0, 5), min_size=1, max_size=10), count=st.integers(0, 50))
def test_ids_increase_also_when_the_clock_stands_still_or_goes_back(times: list[int], count: int) -> None:
    clock = iter(times)
    maker = IdMaker(lambda: next(clock))
    made = [id_ for _ in times for id_ in maker.make(count).to_pylist()]
    assert all(before < after for before, after in pairwise(made))
    assert len(made) == count * len(times)


def test_a_millisecond_that_is_used_up_lends_from_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulk_pipeline.arrow.uuids.COUNTER_BITS", 4)
    maker = IdMaker(lambda: 7)
    made = [maker.make(8).to_pylist() for _ in range(4)]
    assert {milliseconds(id_) for id_ in made[-1]} != {7}
    assert len({id_ for ids in made for id_ in ids}) == 32


def test_two_makers_do_not_meet() -> None:
    at_once = [IdMaker(lambda: 7).make(10_000).to_pylist() for _ in range(2)]
    assert not set(at_once[0]) & set(at_once[1])


def test_threads_may_share_a_maker() -> None:
    maker = IdMaker(lambda: 7)
    with ThreadPoolExecutor(4) as threads:
        made = [id_ for ids in threads.map(maker.make, [1_000] * 20) for id_ in ids.to_pylist()]
    assert len(set(made)) == 20_000
