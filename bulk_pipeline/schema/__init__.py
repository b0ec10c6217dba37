"""The language a table is declared in. What holds for every table is here; no table is."""

from bulk_pipeline.schema.column import Column, ColumnType
from bulk_pipeline.schema.filters import Filter, Operator
from bulk_pipeline.schema.selection import Order, Selection, select
from bulk_pipeline.schema.table import ForeignKey, Mode, Rule, Table
from bulk_pipeline.schema.upload_format import (
    LEFT_OUT,
    NOTHING_DECLARED,
    UploadFormat,
    charset_of,
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
    "read_format",
    "select",
]
