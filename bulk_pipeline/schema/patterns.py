"""Checks that the patterns of a table are expressions that Arrow can run.

Not asked when a column is declared: whoever only reads declarations, as the HTTP API does, needs no Arrow for it.
"""

import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema.column import Column
from bulk_pipeline.schema.table import Table


def check(table: Table) -> None:
    """`DeclarationError` for the first pattern that is no RE2 expression."""
    for column in table.columns:
        try:
            check_column(column)
        except DeclarationError as error:
            raise DeclarationError(f"table {table.upload_name}: {error}") from error


def check_column(column: Column) -> None:
    """`DeclarationError` if the column's pattern is no RE2 expression."""
    if column.pattern is None:
        return
    try:
        pc.match_substring_regex(pa.array([""]), rf"\A(?:{column.pattern})\z")
    except pa.ArrowInvalid as error:
        raise DeclarationError(
            f"column {column.name}: pattern {column.pattern!r} is not an RE2 expression"
        ) from error
