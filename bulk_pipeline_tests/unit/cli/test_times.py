"""Times as people give them, and as lists show them."""

from datetime import UTC, datetime, timedelta

import pytest
import typer

from bulk_pipeline.cli import times

NOW = datetime(2026, 11, 28, 12, 30, 15, tzinfo=UTC).astimezone()


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
    assert times.time_of(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "2", "h", "2x", "-1d", "999999w", "27.11.2026", "2026-13-01", "last"])
def test_other_times_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="an age like 30m, 2h or 1d nor a date like 2026-11-27"):
        times.time_of(text, NOW)


def test_a_list_shows_times_of_today_without_the_day() -> None:
    earlier = NOW - timedelta(days=3)
    assert times.shown(NOW, NOW, short=True) == f"{NOW:%H:%M:%S}"
    assert times.shown(earlier, NOW, short=True) == f"{earlier:%Y-%m-%d %H:%M}"
    assert times.shown(earlier, NOW) == f"{earlier:%Y-%m-%d %H:%M:%S}"
    assert times.shown(None, NOW) == ""
