"""Percent, speed and time left of an import."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline.stages.pace import Pace, duration, pace_of

ROWS = st.integers(0, 2**40)
SECONDS = st.floats(0, 1e9)


@given(ROWS, ROWS | st.none(), ROWS, SECONDS)
def test_figures_are_in_bounds_whatever_the_counts(
    processed: int, total: int | None, rows: int, seconds: float
) -> None:
    pace = pace_of(processed, total, rows=rows, seconds=seconds)

    assert pace.percent is None if total is None else pace.percent in range(101)
    for value in (pace.rows_per_second, pace.seconds_left):
        assert value is None or value >= 0
    assert (pace.seconds_left == 0) == (pace.percent == 100)


@given(st.integers(1, 2**40), ROWS, ROWS)
def test_percent_never_falls_while_rows_are_processed(total: int, one: int, other: int) -> None:
    fewer, more = sorted((one, other))

    percents = [pace_of(rows, total, rows=rows, seconds=1).percent or 0 for rows in (fewer, more)]

    assert percents == sorted(percents)


@given(st.integers(1, 2**40), st.data())
def test_100_percent_means_that_no_row_is_left(total: int, data: st.DataObject) -> None:
    processed = data.draw(st.integers(0, total))

    assert (pace_of(processed, total, rows=0, seconds=0).percent == 100) == (processed == total)


@pytest.mark.parametrize(
    ("counts", "pace"),
    [
        pytest.param((0, None, 0, 0.0), Pace(), id="not read yet"),
        pytest.param((0, 0, 0, 1.0), Pace(100, None, 0.0), id="a file without rows"),
        pytest.param((0, 10, 0, 5.0), Pace(0), id="no row yet"),
        pytest.param((5, 10, 5, 0.0), Pace(50), id="no time has passed"),
        pytest.param((250, 1000, 50, 2.0), Pace(25, 25.0, 30.0), id="under way"),
        pytest.param((1000, 1000, 50, 2.0), Pace(100, 25.0, 0.0), id="done"),
    ],
)
def test_examples(counts: tuple[int, int | None, int, float], pace: Pace) -> None:
    processed, total, rows, seconds = counts

    assert pace_of(processed, total, rows=rows, seconds=seconds) == pace


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (89.4, "89 s"),
        (89.6, "1:30 min"),
        (119.7, "2:00 min"),
        (185, "3:05 min"),
        (7800, "2:10 h"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@given(st.floats(0, 1e12))
def test_a_duration_never_shows_sixty_seconds_or_minutes(seconds: float) -> None:
    shown = duration(seconds)

    assert math.isfinite(seconds)
    assert ":60" not in shown
