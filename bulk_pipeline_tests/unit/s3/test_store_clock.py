"""The clock of an S3 server: how late it is there at least, from answers with whole seconds."""

from datetime import UTC, datetime, timedelta

import pytest

from bulk_pipeline.s3.store_clock import StoreClock

START = datetime(2026, 1, 1, tzinfo=UTC)
ANSWER_SECONDS = 0.02


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def reached(clock: StoreClock, seconds: float) -> float:
    """Return the seconds since START after a request at this time of the server's clock, which answers at its middle."""
    date = at(seconds + ANSWER_SECONDS / 2).replace(microsecond=0)
    result = clock.reached(date, 1000 + seconds, 1000 + seconds + ANSWER_SECONDS)
    return (result - START).total_seconds()


def test_the_first_answer_tells_its_second_at_the_start_of_the_request() -> None:
    assert reached(StoreClock(), 5.7) == pytest.approx(5 - ANSWER_SECONDS)


def test_an_answer_early_in_a_second_makes_later_ones_exact_but_never_too_late() -> None:
    clock = StoreClock()
    for seconds in (0.7, 1.45, 2.2, 2.95, 3.7, 4.01):
        assert reached(clock, seconds) <= seconds
    for seconds in (4.5, 4.9, 5.6, 6.4):
        assert seconds - 0.1 <= reached(clock, seconds) <= seconds


def test_a_clock_that_is_set_back_is_believed_from_then_on() -> None:
    clock = StoreClock()
    reached(clock, 100.01)
    back = clock.reached(at(40), 1101.5, 1101.5 + ANSWER_SECONDS)
    assert back == at(40 - ANSWER_SECONDS)
    later = clock.reached(at(41), 1102.9, 1102.9 + ANSWER_SECONDS)
    assert at(41.2) < later < at(41.4)


def test_a_clock_that_is_slower_than_ours_is_not_overtaken() -> None:
    clock = StoreClock()
    for second in range(600):
        own = 1000 + second * 1.0005
        date, real = at(second), at(second)
        assert clock.reached(date, own, own) <= real
