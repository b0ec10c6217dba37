"""The names of the reports, and of the columns that they add. No Arrow, which the API does without."""

from collections.abc import Iterable

ORIGIN = "_origin"
"""The column that says which row of which job a rejected row is; see `stages.origins`."""
ADDED_COLUMNS = ("_row", "_line", "_errors", ORIGIN)
ERRORS_CSV, ERRORS_NDJSON = "errors.csv", "errors.ndjson"
WORKBOOK = "rejected.xlsx"
REJECTED_ROWS = ("rejected.csv", "rejected.tsv", "rejected.ndjson")
"""A job has at most one of these."""


def rejected_name(reports: Iterable[str]) -> str | None:
    """Return the name of the report that holds the rejected rows as they were sent, if it is among these."""
    return next((name for name in reports if name in REJECTED_ROWS), None)
