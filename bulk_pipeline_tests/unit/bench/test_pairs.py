"""Turns, medians, spreads, percentiles, and the times of random arrivals."""

from itertools import pairwise
from statistics import fmean, stdev

import pytest

from bulk_pipeline.bench.latency import Percentiles, due_seconds, percentiles
from bulk_pipeline.bench.paired import Spread, in_turns, percentile, spread


def test_contenders_take_turns_at_being_first() -> None:
    order: list[str] = []
    contenders = {name: (lambda name=name: order.append(name)) for name in ("ours", "floor", "random")}
    rounds = list(in_turns(3, contenders))
    assert order == ["ours", "floor", "random", "random", "floor", "ours", "ours", "floor", "random"]
    assert [set(entry) for entry in rounds] == [{"ours", "floor", "random"}] * 3


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2.0], Spread(2.0, 2.0, 2.0)),
        ([3.0, 1.0, 2.0], Spread(2.0, 1.0, 3.0)),
        ([4.0, 1.0], Spread(2.5, 1.0, 4.0)),
    ],
)
def test_a_spread_is_median_least_and_greatest(values: list[float], expected: Spread) -> None:
    assert spread(values) == expected


def test_there_is_no_median_of_nothing() -> None:
    with pytest.raises(ValueError, match="at least one measurement"):
        spread([])


@pytest.mark.parametrize(("share", "expected"), [(0.5, 10), (0.95, 19), (0.951, 20), (1.0, 20), (0.01, 1)])
def test_a_percentile_is_one_of_the_values(share: float, expected: int) -> None:
    assert percentile(list(range(20, 0, -1)), share) == expected


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 0.0), ([1.0], 1.1)])
def test_percentiles_of_nothing_are_refused(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, share)


def test_latencies_are_reported_by_three_values() -> None:
    assert percentiles([1.0, 2.0, 3.0, 9.0]) == Percentiles(2.0, 9.0, 9.0)


def test_pauses_between_random_arrivals_are_exponential_and_have_the_mean_that_was_asked_for() -> None:
    times = due_seconds(2.0, 4000)
    pauses = [after - before for before, after in pairwise([0.0, *times])]
    assert min(pauses) > 0
    assert fmean(pauses) == pytest.approx(2.0, rel=0.05)
    assert stdev(pauses) == pytest.approx(2.0, rel=0.05)
    assert due_seconds(2.0, 10) == times[:10]
