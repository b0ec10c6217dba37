"""An exception in a log: where it comes from, and nothing of what it met."""

import pytest

from bulk_pipeline import traces
from bulk_pipeline.errors import StoreUnavailableError


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except Exception as caught:
        return caught


@pytest.mark.parametrize(
    "error", [ValueError("a row"), KeyError("a row"), UnicodeEncodeError("ascii", "a row", 0, 1, "no")]
)
def test_what_an_exception_met_is_not_told(error: Exception) -> None:
    for told in (
        str(traces.told(raised(error))),
        traces.summary(raised(error)),
        *traces.lines(raised(error)),
    ):
        assert "a row" not in told


@pytest.mark.parametrize(
    "error", [StoreUnavailableError("db is gone"), OSError("db is gone"), RuntimeError("db is gone")]
)
def test_what_we_or_the_system_say_is_told(error: Exception) -> None:
    assert traces.told(error)[0]["message"] == "db is gone"
    assert traces.summary(raised(error)).startswith(f"{type(error).__name__}: db is gone at {__file__}:")


def test_causes_are_told_too() -> None:
    error = raised(ValueError("a row"), OSError("disk full"))
    assert [one["kind"] for one in traces.told(error)] == ["ValueError", "OSError"]
    lines = traces.lines(error)
    assert (lines[0], lines[1].endswith(" raised"), lines[2]) == ("ValueError", True, "OSError: disk full")


def test_a_circle_of_causes_has_an_end() -> None:
    first, second = ValueError(), ValueError()
    first.__cause__, second.__cause__ = second, first
    assert len(traces.told(first)) == 10
