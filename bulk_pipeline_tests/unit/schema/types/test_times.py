"""Dates, times of day and lengths of time: ISO 8601, exact, without any guess."""

from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline.schema import Column, column_type
from bulk_pipeline.schema.families.times import Interval, read_interval
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline_tests.unit.schema.types.test_from_text import converted
from bulk_pipeline_tests.unit.schema.types.test_numbers import copied

TYPE, RANGE, PRECISION, ZONE = "<type>", "<range>", "<precision>", "<zone>"


def column(type_: str) -> Column:
    return Column(name="a", type=column_type.parse(type_))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-01-31", date(2026, 1, 31)),
        ("2024-02-29", date(2024, 2, 29)),
        ("2026-01-31T00:00:00", date(2026, 1, 31)),
        ("2026-01-31 00:00", date(2026, 1, 31)),
        ("0001-01-01", date(1, 1, 1)),
        ("9999-12-31", date(9999, 12, 31)),
        ("2023-02-29", TYPE),
        ("2026-01-31T01:00", TYPE),
        ("2026-01-31T00:00Z", TYPE),
        ("31.01.2026", TYPE),
        ("now", TYPE),
        ("0000-01-01", RANGE),
        ("10000-01-01", RANGE),
        ("-0044-03-15", RANGE),
    ],
)
def test_a_date_is_read_the_same_by_itself_and_among_others(text: str, value: date | str) -> None:
    assert converted(column("date"), text) == [value]
    assert converted(column("date"), "2026-01-31", text, None, "")[1:] == [value, None, None]


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("time", "23:59", "23:59:00"),
        ("time", "23:59:59.500000", "23:59:59.5"),
        ("time", "24:00:00", "24:00:00"),
        ("time", "24:00:01", TYPE),
        ("time", "1:30", TYPE),
        ("time", "12:30:00Z", ZONE),
        ("time", "12:30:00.1234567", PRECISION),
        ("time(3)", "12:30:00.1234", PRECISION),
        ("time(3)", "12:30:00.123000", "12:30:00.123"),
        ("timetz", "12:30", "12:30:00+00"),
        ("timetz", "12:30-00:00", "12:30:00+00"),
        ("timetz", "12:30:00.10+0530", "12:30:00.1+05:30"),
        ("timetz", "12:30-05:30:15", "12:30:00-05:30:15"),
        ("timetz", "12:30+16", TYPE),
        ("timestamp", "2026-01-31T12:30Z", ZONE),
        ("timestamp", "2026-01-31 12:30+02:00", ZONE),
        ("timestamp", "0000-01-01", RANGE),
        ("timestamp(0)", "2026-01-31 12:30:00.5", PRECISION),
        ("timestamptz(3)", "2026-01-31T12:30:00.1234Z", PRECISION),
        ("interval", "P1Y2M3DT4H5M6.5S", "P1Y2M3DT4H5M6.5S"),
        ("interval", "1 year 2 mons 3 days 04:05:06.5", "P1Y2M3DT4H5M6.5S"),
        ("interval", "-1 years +3 days -04:05:06", "P-1Y3DT-4H-5M-6S"),
        ("interval", "P1W", "P7D"),
        ("interval", "00:00:00", "PT0S"),
        ("interval", "PT-0.5S", "PT-0.5S"),
        ("interval", "P1.5D", TYPE),
        ("interval", "P", TYPE),
        ("interval", "1 day ago", TYPE),
        ("interval", "P2147483648D", RANGE),
        ("interval", "PT0.1234567S", PRECISION),
        ("interval year", "P-2Y", "P-2Y"),
        ("interval year", "P2Y1M", PRECISION),
        ("interval month", "P2Y1M", "P2Y1M"),
        ("interval year to month", "P1D", PRECISION),
        ("interval year to month", "1 year 2 mons 00:00:01", PRECISION),
        ("interval day", "P1Y2M3D", "P1Y2M3D"),
        ("interval day", "PT1H", PRECISION),
        ("interval day to hour", "P3DT-4H", "P3DT-4H"),
        ("interval hour", "PT4H5M", PRECISION),
        ("interval day to minute", "PT4H5M", "PT4H5M"),
        ("interval minute", "PT5M6S", PRECISION),
        ("interval day to second(3)", "P1YT0.123S", "P1YT0.123S"),
        ("interval second(3)", "PT0.1234S", PRECISION),
        ("interval second", "PT0.123456S", "PT0.123456S"),
    ],
)
def test_a_time_is_read_the_same_by_itself_and_among_others(type_: str, text: str, value: str) -> None:
    assert converted(column(type_), text) == [value]
    assert converted(column(type_), text, None, text, "") == [value, None, value, None]


def test_times_of_day_are_microseconds_in_copy() -> None:
    fields = copied(column("time"), "00:00:00.000001", "24:00:00", "12:30:00")

    assert [int.from_bytes(field or b"") for field in fields] == [1, 86_400_000_000, 45_000_000_000]
    (zoned,) = copied(column("timetz"), "00:00:01-05:30:15")
    assert zoned == (1_000_000).to_bytes(8) + (5 * 3600 + 30 * 60 + 15).to_bytes(4)


@given(
    st.integers(-(2**31) + 1, 2**31 - 1), st.integers(-(2**31) + 1, 2**31 - 1), st.integers(-(10**17), 10**17)
)
def test_an_interval_is_read_back_from_its_text(months: int, days: int, microseconds: int) -> None:
    interval = Interval(months, days, microseconds)

    assert read_interval(str(interval)) == interval
    (field,) = copied(column("interval"), str(interval))
    assert field is not None
    numbers = (field[:8], field[8:12], field[12:])
    assert [int.from_bytes(part, signed=True) for part in numbers] == [microseconds, days, months]


def test_intervals_that_are_all_null_have_fields_too() -> None:
    assert copied(column("interval"), "", "") == [None, None]


@given(st.lists(st.none() | st.datetimes(), min_size=1))
def test_times_without_zone_come_back_as_they_are(moments: list) -> None:
    declared = column("timestamp")
    cells = [None if moment is None else moment.isoformat() for moment in moments]
    read = codec_of(declared).from_text(
        declared, codec_of(declared).to_text(declared, _typed(declared, cells))
    )

    assert read.values.to_pylist() == moments


def _typed(declared: Column, cells: list[str | None]) -> pa.Array:
    return codec_of(declared).from_text(declared, pa.array(cells, pa.string())).values
