"""The bounds of a column's values, which may include their limit or not, and their words for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any

from bulk_pipeline.schema.type_facts import TypeFacts, Value


@dataclass(frozen=True)
class Bound:
    """One way to bound values. `name`: the field of a column that has the limit.

    `inside`, `outside`: the words before the limit for numbers that are inside the bound, and for those that are not.
    `inside_time`, `outside_time`: the same for dates and timestamps.
    """

    name: str
    is_lower: bool
    is_inclusive: bool
    inside: str
    outside: str
    inside_time: str
    outside_time: str

    def rule(self, facts: TypeFacts, limit: str) -> str:
        """Return the rule in words: `at least 0`."""
        return f"{self.inside if is_number(facts) else self.inside_time} {limit}"

    def failure(self, facts: TypeFacts, limit: str) -> str:
        """Return what values outside are: `less than 0`."""
        return f"{self.outside if is_number(facts) else self.outside_time} {limit}"

    def keeps(self, value: Any, limit: Any) -> bool:
        """Return whether a value is inside. Both are as `comparable` returns them."""
        return self.is_inclusive if value == limit else (value > limit) == self.is_lower


BOUNDS = (
    Bound("minimum", True, True, "at least", "less than", "not before", "before"),
    Bound("above", True, False, "more than", "not more than", "after", "not after"),
    Bound("maximum", False, True, "at most", "more than", "not after", "after"),
    Bound("below", False, False, "less than", "not less than", "before", "not before"),
)
NAMES = tuple(bound.name for bound in BOUNDS)


def is_number(facts: TypeFacts) -> bool:
    return facts.filter_value.noun == "number"


def comparable(facts: TypeFacts, text: str) -> Decimal | Value:
    """Return a value of a type with bounds as an object that its other values can be compared with.

    Raises `ValueError` for a text that is no value of the type, for NaN and for the infinities.
    """
    value = facts.filter_value.read(text)
    if not is_number(facts):
        return value
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    if not number.is_finite():
        raise ValueError(text)
    return number


def problem(facts: TypeFacts, bounds: Sequence[tuple[Bound, str]]) -> str | None:
    """Return why bounds and their limits cannot be declared together, None if they can."""
    limits = list[tuple[Bound, str, Any]]()
    for bound, text in bounds:
        try:
            limits.append((bound, text, comparable(facts, text)))
        except ValueError:
            return f"{bound.name} {text!r} is not {facts.expected}"
    for (first, _, least), (second, _, most) in pairwise(limits):
        if first.is_lower == second.is_lower:
            return f"give {first.name} or {second.name}, not both"
        if not (first.keeps(most, least) and second.keeps(least, most)):
            return " and ".join(f"{bound.name} {text}" for bound, text, _ in limits) + " leave no value"
    return None
