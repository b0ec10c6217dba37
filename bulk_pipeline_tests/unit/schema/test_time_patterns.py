"""Formats of dates and times: one meaning each, or refused."""

from collections.abc import Callable

import pytest

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema.time_patterns import (
    check_date_format,
    check_time_format,
    check_timestamp_format,
    time_pattern,
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no part of a date or a time"),
        ("...", "has no part of a date or a time"),
        (
            "DD.MM.YY",
            "'Y' is no part of a format: years have four digits, YYYY: of two digits the century is not known",
        ),
        ("dd.mm.yyyy", "'d' is no part of a format: write it with YYYY, MM, M or MMM (Jan)"),
        ("%d.%m.%Y", "'d' is no part of a format"),
        ("DD.MM.YYYY MM", "has the month twice"),
        ("DMYYYY", "nothing stands between D and M, so that it is not clear where the day ends"),
        ("DD.MM.YYYY mm:ss", "has the minute and lacks the hour"),
        ("HH:ss", "has the second and lacks the minute"),
        ("HH:mm S", "has the fraction and lacks the second"),
        ("hh:mm", "lacks A, AM or PM"),
        ("HH:mm A", "has A, AM or PM, but hours of a 24-hour clock: write hh or h"),
    ],
)
def test_a_format_that_could_mean_two_values_or_none_is_refused(text: str, problem: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        time_pattern(text)
    assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("check", "text", "problem"),
    [
        (check_date_format, "MM/YYYY", "format 'MM/YYYY' is not one of a date: it lacks the day"),
        (check_date_format, "DD.MM.YYYY HH:mm", "is not one of a date: it has the hour"),
        (check_time_format, "HH", "is not one of a time of day: it lacks the minute"),
        (check_time_format, "DD HH:mm", "is not one of a time of day: it has the day"),
        (check_timestamp_format, "HH:mm", "is not one of a date and a time: it lacks the year"),
    ],
)
def test_a_format_has_the_parts_of_its_type(check: Callable[[str], None], text: str, problem: str) -> None:
    with pytest.raises(DeclarationError, match=problem):
        check(text)


@pytest.mark.parametrize(
    ("text", "example"),
    [
        ("DD.MM.YYYY HH:mm:ss", "31.01.2026 23:59:59"),
        ("D-MMM-YYYY h:mm A", "31-Jan-2026 11:59 PM"),
        ("YYYYMMDDTHHmmss.SZ", "20260131T235959.5+02:00"),
        ("YYYY\u5e74M\u6708D\u65e5", "2026\u5e741\u670831\u65e5"),
    ],
)
def test_an_example_shows_a_format(text: str, example: str) -> None:
    assert time_pattern(text).example == example
