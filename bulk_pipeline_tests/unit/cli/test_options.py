"""Values as people write them in options: shares, counts and times."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
import typer

from bulk_pipeline.cli import options

NOW = datetime(2026, 11, 28, 12, 30, 15, tzinfo=UTC).astimezone()


@pytest.mark.parametrize(
    ("text", "share"),
    [("0", Fraction(0)), ("1%", Fraction(1, 100)), (" 20% ", Fraction(1, 5)), ("0.01", Fraction(1, 100)),
     ("1/3", Fraction(1, 3)), ("0.5%", Fraction(1, 200)), ("100%", Fraction(1))],
)  # fmt: skip
def test_a_share_is_a_percentage_a_decimal_or_a_fraction(text: str, share: Fraction) -> None:
    assert options.share(text, "--bad") == share


@pytest.mark.parametrize("text", ["", "%", "x", "101%", "-1%", "1/0", "2"])
def test_other_shares_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a share") as refused:
        options.share(text, "--bad")
    assert refused.value.param_hint == "--bad"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1", 1),
        ("1000", 1000),
        ("1_000_000", 1_000_000),
        ("1,000", 1000),
        ("1e6", 1_000_000),
        ("2.5e3", 2500),
    ],
)
def test_a_count_is_written_in_many_ways(text: str, count: int) -> None:
    assert options.count(text, "--rows") == count


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "1e-1", "1/2", "many"])
def test_other_counts_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a count") as refused:
        options.count(text, "--rows")
    assert refused.value.param_hint == "--rows"


def test_none_at_all_is_a_count_where_that_makes_sense() -> None:
    assert options.count("0", "--rows", least=0) == 0


def test_counts_have_commas_between_them() -> None:
    assert options.counts("1e6,3e6, 10_000_000", "--rows") == (1_000_000, 3_000_000, 10_000_000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30m", NOW - timedelta(minutes=30)),
        ("2h", NOW - timedelta(hours=2)),
        ("1d", NOW - timedelta(days=1)),
        (" 2 W ", NOW - timedelta(weeks=2)),
        ("today", NOW.replace(hour=0, minute=0, second=0)),
        ("yesterday", NOW.replace(day=27, hour=0, minute=0, second=0)),
        ("2026-11-27", datetime(2026, 11, 27).astimezone()),
        ("2026-11-27 08:15", datetime(2026, 11, 27, 8, 15).astimezone()),
        ("2026-11-27T08:15Z", datetime(2026, 11, 27, 8, 15, tzinfo=UTC)),
        ("20261127T0815+02:00", datetime(2026, 11, 27, 6, 15, tzinfo=UTC)),
    ],
)
def test_a_time_is_an_age_or_a_date(text: str, expected: datetime) -> None:
    assert options.time_of(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "2", "h", "2x", "-1d", "999999w", "27.11.2026", "2026-13-01", "last"])
def test_other_times_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="an age like 30m, 2h or 1d nor a date like 2026-11-27"):
        options.time_of(text, NOW)
