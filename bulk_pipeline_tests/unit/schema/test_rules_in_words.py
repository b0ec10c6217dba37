"""The rules of a column, as `tables` shows them."""

import pytest

from bulk_pipeline.schema import Column, Identity
from bulk_pipeline.schema.column_type import parse
from bulk_pipeline.schema.rules_in_words import limits


@pytest.mark.parametrize("identity", Identity)
def test_a_numbered_column_may_be_left_out(identity: Identity) -> None:
    numbered = Column(name="id", type=parse("bigint"), identity=identity)
    assert limits(numbered) == ["numbered by the database when empty or left out"]


def test_the_numbers_of_a_read_only_column_are_those_of_the_database() -> None:
    numbered = Column(name="id", type=parse("bigint"), identity=Identity.ALWAYS, read_only=True)
    assert limits(numbered) == ["numbered by the database"]
