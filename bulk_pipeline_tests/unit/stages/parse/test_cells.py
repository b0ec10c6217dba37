"""A cell in a failure is whole, or visibly cut: a reader must know which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline.stages.failures import MAX_VALUE_LENGTH, Code, shortened
from bulk_pipeline.stages.parse.cells import shown
from bulk_pipeline.stages.parse.parsed import FailureRows


@pytest.mark.parametrize("letter", ["x", "é", "\U0001f600"])
@pytest.mark.parametrize("spare", [-1, 0, 1, 1000])
def test_a_cell_that_was_cut_ends_in_an_ellipsis(letter: str, spare: int) -> None:
    text = letter * (MAX_VALUE_LENGTH + spare)
    expected = text if spare <= 0 else letter * (MAX_VALUE_LENGTH - 1) + "…"
    assert [shown(text), shown(text.encode())] == [expected, expected]


@given(st.text(max_size=300), st.text(max_size=300))
def test_values_that_differ_within_the_shown_digits_are_shown_differently(one: str, other: str) -> None:
    if shortened(one) == shortened(other):
        assert one == other or min(len(one), len(other)) > MAX_VALUE_LENGTH


def test_every_way_into_a_failure_cuts_alike() -> None:
    rows = FailureRows()
    rows.add(1, 2, None, Code.MALFORMED_ROW, "x" * 201, "is too wide")
    assert rows.batch()["value"].to_pylist() == ["x" * 199 + "…"]
