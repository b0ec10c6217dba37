"""Files that were defused for spreadsheets are read with their original texts."""

import pytest

from bulk_pipeline_tests.unit.stages.parse.reading import read
from bulk_pipeline_tests.unit.stages.parse.workbook import workbook

CELLS = ["'=1+1", "''tis", "plain", "it's"]
CSV = "email,city,_defused\n" + "".join(f'"u{n}@x.co","{cell}",\n' for n, cell in enumerate(CELLS))
SHEET = [["email", "city", "_defused"], *([f"u{n}@x.co", cell, None] for n, cell in enumerate(CELLS))]


@pytest.mark.parametrize(("name", "content"), [("x.csv", CSV.encode()), ("x.xlsx", workbook(SHEET))])
def test_the_apostrophe_is_removed(name: str, content: bytes) -> None:
    result = read(content, name)
    assert result.column("city") == ["=1+1", "'tis", "plain", "it's"]
    assert (result.columns, result.failures, result.warnings) == (("email", "city"), [], [])


def test_an_apostrophe_in_any_other_file_is_data() -> None:
    assert read(CSV.replace(",_defused", ",phone").encode(), "x.csv").column("city") == CELLS
