"""The names of the reports of rejected rows, and of the columns that they add. No Arrow, which the API does without."""

from collections.abc import Iterable

ORIGIN = "_origin"
ADDED_COLUMNS = ("_row", "_line", "_errors", ORIGIN)
WORKBOOK = "rejected.xlsx"
REJECTED_ROWS = ("rejected.csv", "rejected.tsv", "rejected.ndjson")
"""Of which a job has one."""


def rejected_name(reports: Iterable[str]) -> str | None:
    """Return the name of the report that holds the rejected rows as they were sent, if it is among these."""
    return next((name for name in reports if name in REJECTED_ROWS), None)
