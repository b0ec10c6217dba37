"""The registry of declared tables."""

import pytest

from bulk_pipeline import tables
from bulk_pipeline.errors import UnknownTableError
from bulk_pipeline_tests.rigs import examples
from bulk_pipeline_tests.unit.stages import rows


def test_the_tables_of_the_package_are_found() -> None:
    assert set(tables.names()) >= {"customers", "users", "articles", "comments"}


@pytest.mark.parametrize("name", tables.names())
def test_every_table_has_example_rows(name: str) -> None:
    columns = set(tables.get(name).column_names)
    assert name in rows.GOOD, f"add an example row of {name} to unit/stages/rows.py"
    assert set(rows.GOOD[name]) <= columns
    assert name in examples.EXAMPLES, f"add an example row of {name} to rigs/examples.py"
    assert set(examples.row(name, 1)) == columns


def test_parents_come_before_their_children() -> None:
    order = [table.name for table in tables.in_load_order()]

    for table in tables.in_load_order():
        assert all(order.index(parent) < order.index(table.name) for parent in table.parents)


def test_an_unknown_table_is_answered_with_those_that_exist() -> None:
    with pytest.raises(UnknownTableError, match=r"unknown table 'people': expected one of .*users"):
        tables.get("people")
