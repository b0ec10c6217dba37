"""The language a table is declared in. What holds for every table is here; no table is."""

from bulk_pipeline.schema.code_pages import charset_of, code_page, known_code_page
from bulk_pipeline.schema.column import Column, ColumnType
from bulk_pipeline.schema.filters import Filter, Operator
from bulk_pipeline.schema.selection import Order, Selection, select
from bulk_pipeline.schema.table import ForeignKey, Mode, Rule, Table
from bulk_pipeline.schema.upload_format import (
    LEFT_OUT,
    NOTHING_DECLARED,
    UploadFormat,
    read_format,
)

__all__ = [
    "LEFT_OUT",
    "NOTHING_DECLARED",
    "Column",
    "ColumnType",
    "Filter",
    "ForeignKey",
    "Mode",
    "Operator",
    "Order",
    "Rule",
    "Selection",
    "Table",
    "UploadFormat",
    "charset_of",
    "code_page",
    "known_code_page",
    "read_format",
    "select",
]
