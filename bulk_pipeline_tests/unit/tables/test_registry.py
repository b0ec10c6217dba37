"""The tables that are declared, as other parts see them."""

import pytest

from bulk_pipeline import tables
from bulk_pipeline.errors import UnknownTableError


def test_the_four_tables_are_found() -> None:
    assert set(tables.names()) == {"customers", "users", "articles", "comments"}


def test_parents_come_before_their_children() -> None:
    order = [table.name for table in tables.in_load_order()]

    for table in tables.in_load_order():
        assert all(order.index(parent) < order.index(table.name) for parent in table.parents)


def test_an_unknown_table_is_answered_with_those_that_exist() -> None:
    with pytest.raises(UnknownTableError, match=r"unknown table 'people': expected one of .*users"):
        tables.get("people")
