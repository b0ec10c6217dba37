"""Keys that differ only in case or Unicode form are counted, but their rows stay."""

import pyarrow as pa
import pytest

from bulk_pipeline import tables
from bulk_pipeline.stages.split import alike_keys

SAME = "from another only in case or Unicode form"
END = ": they are different rows"


def warning(*batches: list[str | None], table: str = "customers") -> str | None:
    rows, first = [], 1
    for emails in batches:
        numbers = pa.array(range(first, first + len(emails)), pa.int64())
        rows.append(pa.RecordBatch.from_arrays([numbers, pa.array(emails, pa.string())], ["_row", "email"]))
        first += len(emails)
    return alike_keys(lambda: rows, tables.get(table))


def test_keys_that_differ_in_case_are_counted_over_all_batches() -> None:
    example = ": 'Ann@b.co' (row 3) and 'ann@b.co' (row 1)"
    assert warning(["ann@b.co", None], ["Ann@b.co", "ben@b.co"]) == f"1 email differs {SAME}{example}{END}"
    assert warning(["ann@b.co", "x@b.co"], ["Ann@b.co", "ANN@b.co"]) == (
        f"2 values of email differ {SAME}{example}{END}"
    )


@pytest.mark.parametrize("other", ["zoe\u0308@b.co", "ZOË@b.co", "ｚoë@b.co"])
def test_keys_that_differ_in_unicode_form_are_counted(other: str) -> None:
    example = f": '{other}' (row 2) and 'zoë@b.co' (row 1)"
    assert warning(["zoë@b.co", other]) == f"1 email differs {SAME}{example}{END}"


@pytest.mark.parametrize(
    "emails",
    [
        ["a@b.co", "b@b.co"],
        ["A@b.co", "B@b.co"],
        ["A@b.co", "A@b.co"],
        ["ä@b.co", "a@b.co"],
        [None, None],
        [],
    ],
)
def test_other_keys_are_no_warning(emails: list[str | None]) -> None:
    assert warning(emails) is None


def test_a_table_without_a_natural_key_has_no_warning() -> None:
    assert warning(["a@b.co", "A@b.co"], table="comments") is None
