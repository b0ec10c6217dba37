"""An exception in a log has its places in the code, but no data."""

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
def test_the_data_of_an_exception_are_not_logged(error: Exception) -> None:
    for text in (
        str(traces.describe(raised(error))),
        traces.summary(raised(error)),
        *traces.lines(raised(error)),
    ):
        assert "a row" not in text


@pytest.mark.parametrize(
    "error", [StoreUnavailableError("db is gone"), OSError("db is gone"), RuntimeError("db is gone")]
)
def test_messages_of_our_errors_and_of_the_system_are_logged(error: Exception) -> None:
    assert traces.describe(error)[0]["message"] == "db is gone"
    assert traces.summary(raised(error)).startswith(f"{type(error).__name__}: db is gone at {__file__}:")


def test_causes_are_logged_too() -> None:
    error = raised(ValueError("a row"), OSError("disk full"))
    assert [one["kind"] for one in traces.describe(error)] == ["ValueError", "OSError"]
    lines = traces.lines(error)
    assert (lines[0], lines[1].endswith(" raised"), lines[2]) == ("ValueError", True, "OSError: disk full")


def test_a_circle_of_causes_has_an_end() -> None:
    first, second = ValueError(), ValueError()
    first.__cause__, second.__cause__ = second, first
    assert len(traces.describe(first)) == 10
