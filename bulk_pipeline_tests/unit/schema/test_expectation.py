"""A deadline for files is read, written, and found for a moment, also when clocks change."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema import Expectation

ROME = ZoneInfo("Europe/Rome")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expectation"),
    [
        ("daily by 08:00 Europe/Rome", Expectation(time(8), ROME, (0, 1, 2, 3, 4, 5, 6))),
        ("weekdays by 18:30 UTC", Expectation(time(18, 30), ZoneInfo("UTC"), (0, 1, 2, 3, 4))),
        ("mon,thu by 00:00 Europe/Rome", Expectation(time(0), ROME, (0, 3))),
    ],
)
def test_a_deadline_is_read_and_written_back(text: str, expectation: Expectation) -> None:
    assert Expectation.parse(text) == expectation
    assert str(expectation) == text


def test_days_are_ordered_and_counted_once() -> None:
    assert str(Expectation.parse("sun,mon,sun by 07:00 UTC")) == "mon,sun by 07:00 UTC"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("by 08:00", "'by 08:00' cannot be read: write it like `daily by 08:00 Europe/Rome`"),
        ("daily by 8:00 UTC", "'daily by 8:00 UTC' cannot be read"),
        ("daily by 24:00 UTC", "24:00 is no time of day: write one from 00:00 to 23:59"),
        ("daily by 08:00 Rome", "'Rome' is not a time zone: use a name of the IANA database"),
        ("daily by 08:00 ../../etc", "'../../etc' is not a time zone"),
        ("daily by 08:00 Europe", "'Europe' is not a time zone"),
        ("mo by 08:00 UTC", "'mo' is not a day: expected some of daily, weekdays, mon, tue"),
        ("mon, by 08:00 UTC", "'' is not a day"),
    ],
)
def test_a_wrong_deadline_is_refused_with_the_remedy(text: str, message: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        Expectation.parse(text)

    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "now", "due", "previous"),
    [
        ("daily by 08:00 Europe/Rome", "2026-01-15T06:59", "2026-01-14T07:00", "2026-01-13T07:00"),
        ("daily by 08:00 Europe/Rome", "2026-01-15T07:00", "2026-01-15T07:00", "2026-01-14T07:00"),
        ("weekdays by 08:00 UTC", "2026-01-18T12:00", "2026-01-16T08:00", "2026-01-15T08:00"),  # a Sunday
        ("mon by 08:00 UTC", "2026-01-19T07:59", "2026-01-12T08:00", "2026-01-05T08:00"),  # a Monday
        # Another day already at the place than in UTC.
        ("daily by 08:00 Pacific/Auckland", "2026-01-14T20:00", "2026-01-14T19:00", "2026-01-13T19:00"),
        # On 29 March 2026 no clock in Rome shows 02:30; on 25 October they show it twice.
        ("daily by 02:30 Europe/Rome", "2026-03-29T12:00", "2026-03-29T01:30", "2026-03-28T01:30"),
        ("daily by 02:30 Europe/Rome", "2026-10-25T12:00", "2026-10-25T00:30", "2026-10-24T00:30"),
    ],
)
def test_the_last_deadline_and_the_one_before(text: str, now: str, due: str, previous: str) -> None:
    expectation = Expectation.parse(text)

    assert expectation.due_at(utc(now)) == utc(due)
    assert expectation.previous(utc(due)) == utc(previous)
