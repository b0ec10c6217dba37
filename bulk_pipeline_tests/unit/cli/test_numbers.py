"""Shares and counts as people write them."""

from fractions import Fraction

import pytest
import typer

from bulk_pipeline.cli import numbers


@pytest.mark.parametrize(
    ("text", "share"),
    [("0", Fraction(0)), ("1%", Fraction(1, 100)), (" 20% ", Fraction(1, 5)), ("0.01", Fraction(1, 100)),
     ("1/3", Fraction(1, 3)), ("0.5%", Fraction(1, 200)), ("100%", Fraction(1))],
)  # fmt: skip
def test_a_share_is_a_percentage_a_decimal_or_a_fraction(text: str, share: Fraction) -> None:
    assert numbers.share(text, "--bad") == share


@pytest.mark.parametrize("text", ["", "%", "x", "101%", "-1%", "1/0", "2"])
def test_other_shares_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a share") as refused:
        numbers.share(text, "--bad")
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
    assert numbers.count(text, "--rows") == count


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "1e-1", "1/2", "many"])
def test_other_counts_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a count") as refused:
        numbers.count(text, "--rows")
    assert refused.value.param_hint == "--rows"


def test_none_at_all_is_a_count_where_that_makes_sense() -> None:
    assert numbers.count("0", "--rows", least=0) == 0


def test_counts_have_commas_between_them() -> None:
    assert numbers.counts("1e6,3e6, 10_000_000", "--rows") == (1_000_000, 3_000_000, 10_000_000)
