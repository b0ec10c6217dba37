"""Run with pytest: the table files can be read, and their rules say what they should."""

from pathlib import Path

import pandas as pd

from bulk_pipeline.tables import TableRegistry

TABLES = TableRegistry(Path(__file__).parents[1])


def test_the_table_files_are_right() -> None:
    assert TABLES.problems() == ()


def test_a_listed_product_has_a_time() -> None:
    (rule,) = TABLES.get("products").rules
    rows = pd.DataFrame({"state": ["draft", "listed"], "listed_at": [None, None]})
    assert list(rule.passes(rows)) == [True, False]
