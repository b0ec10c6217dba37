"""Timestamps are ISO 8601; similar texts are refused."""

from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline.schema.types import timestamp

ODD_ONES = ("2026-01-31", None, "2026-01-31 10", "2026-01-31T10:00:00.000001000+01")


def parsed(*texts: str | None) -> list[str | None]:
    """Return each text as an instant in ISO 8601, or its problem in angle brackets."""
    instants, problems = timestamp.parse(pa.array(texts, pa.string()))
    answers = [instant and instant.isoformat() for instant in instants.to_pylist()]
    for problem, rows in problems.items():
        for place in rows.nonzero()[0]:
            assert answers[place] is None
            answers[place] = f"<{problem}>"
    return answers


RIGHT = [
    ("2026-01-31", "2026-01-31T00:00:00+00:00"),
    ("2026-01-31T23", "2026-01-31T23:00:00+00:00"),
    ("2026-01-31 23:59", "2026-01-31T23:59:00+00:00"),
    ("2026-01-31T23:59:58", "2026-01-31T23:59:58+00:00"),
    ("2026-01-31T23:59:58Z", "2026-01-31T23:59:58+00:00"),
    ("2026-01-31 23:59:58+00", "2026-01-31T23:59:58+00:00"),
    ("2026-01-31T23:59:58+02:30", "2026-01-31T21:29:58+00:00"),
    ("2026-01-31T23:59:58-0230", "2026-02-01T02:29:58+00:00"),
    ("2026-01-31T23Z", "2026-01-31T23:00:00+00:00"),
    ("2026-01-31T23:59-01", "2026-02-01T00:59:00+00:00"),
    ("2026-01-31T23:59:58.5", "2026-01-31T23:59:58.500000+00:00"),
    ("2026-01-31T23:59:58.123456Z", "2026-01-31T23:59:58.123456+00:00"),
    ("2026-01-31T23:59:58.123456000+01:00", "2026-01-31T22:59:58.123456+00:00"),
    ("2024-02-29", "2024-02-29T00:00:00+00:00"),
    ("2000-02-29", "2000-02-29T00:00:00+00:00"),
    ("0001-01-01", "0001-01-01T00:00:00+00:00"),
    ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999+00:00"),
]

WRONG = [
    ("2024-02-30", "<type>"),
    ("2023-02-29", "<type>"),
    ("1900-02-29", "<type>"),
    ("2024-04-31T10:00:00Z", "<type>"),
    ("2024-13-01", "<type>"),
    ("2024-00-10", "<type>"),
    ("2024-01-00", "<type>"),
    ("2024-01-32", "<type>"),
    ("2024-01-01T24:00:00", "<type>"),
    ("2024-01-01T23:60", "<type>"),
    ("2024-01-01T23:59:60Z", "<type>"),
    ("2024-01-01T10:00:00+24:00", "<type>"),
    ("2024-01-01T10:00:00+01:60", "<type>"),
    ("2024-01-01T10:00:00.", "<type>"),
    ("2024-01-01T10:00:00,5", "<type>"),
    ("2024-01-01T10:00:00.1234567890", "<type>"),
    ("2024-01-01T", "<type>"),
    ("2024-01-01Z", "<type>"),
    ("2024-01-01T1000", "<type>"),
    ("2024-01-01  10:00", "<type>"),
    ("2024-01-01T10:00:00 +02:00", "<type>"),
    ("2024-01-01T10:00:00Z\n", "<type>"),
    ("2024-1-1", "<type>"),
    ("20240101", "<type>"),
    ("2024-W01-1", "<type>"),
    ("01/31/2026", "<type>"),
    ("1706745600", "<type>"),
    ("+002026-01-31", "<type>"),
    ("now", "<type>"),
    ("٢٠٢٤-٠١-٠١", "<type>"),
    ("2026-01-31T23:59:58.1234567Z", "<precision>"),
    ("2026-01-31T23:59:58.123456001", "<precision>"),
    ("0000-01-01", "<range>"),
    ("0001-01-01T00:00:00+00:01", "<range>"),
    ("9999-12-31T23:59:59-00:01", "<range>"),
    ("12026-01-31", "<range>"),
    ("-0044-03-15T12:00:00Z", "<range>"),
    ("+12026-01-31", "<range>"),
]


@pytest.mark.parametrize(("text", "answer"), RIGHT + WRONG)
def test_a_timestamp_by_itself(text: str, answer: str) -> None:
    assert parsed(text) == [answer]


@pytest.mark.parametrize(("text", "answer"), RIGHT + WRONG)
def test_a_timestamp_is_read_the_same_among_others(text: str, answer: str) -> None:
    """Uniform columns are cast as a whole and mixed ones are not; both must give the same result."""
    others = parsed(*ODD_ONES)

    assert parsed(*ODD_ONES, text) == [*others, answer]
    assert parsed(text, *["2026-01-31T10:00:00Z"] * 200)[0] == answer
    assert parsed(*["2026-01-31T10:00:00Z"] * 200, text)[-1] == answer
    assert parsed(*["2026-01-31 10:00"] * 200, text)[-1] == answer


OFFSETS = st.none() | st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda n: timezone(timedelta(minutes=n)))


@given(
    st.lists(st.datetimes(timezones=OFFSETS), min_size=1, max_size=20),
    st.sampled_from(["hours", "minutes", "seconds", "microseconds"]),
    st.sampled_from("T "),
)
def test_instants_agree_with_the_standard_library(moments: list[datetime], spec: str, sep: str) -> None:
    texts = [moment.isoformat(sep, spec) for moment in moments]

    for text, answer in zip(texts, parsed(*texts), strict=True):
        try:
            moment = datetime.fromisoformat(text)
            expected = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
        except OverflowError:
            expected = "<range>"
        assert answer == expected


@given(st.from_regex(r"\A(19|20)\d\d-[01]\d-[0-3]\d([T ][0-2]\d:[0-6]\d(:[0-6]\d(\.\d{1,6})?)?Z?)?\Z"))
def test_values_that_the_standard_library_refuses_are_refused(text: str) -> None:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        assert parsed(text) == ["<type>"]
    else:
        assert not str(parsed(text)[0]).startswith("<")
