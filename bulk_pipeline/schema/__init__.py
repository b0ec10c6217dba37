"""The language a table is declared in. What holds for every table is here; no table is."""

from bulk_pipeline.schema import column_type
from bulk_pipeline.schema.code_pages import charset_of, code_page, known_code_page
from bulk_pipeline.schema.column import Column, Generated, Identity
from bulk_pipeline.schema.column_type import ColumnType
from bulk_pipeline.schema.expectation import Expectation
from bulk_pipeline.schema.filters import Filter
from bulk_pipeline.schema.keys import ForeignKey, Key, TableName
from bulk_pipeline.schema.mode import Mode
from bulk_pipeline.schema.operators import Operator
from bulk_pipeline.schema.selection import Order, Selection, SelectionWords, select
from bulk_pipeline.schema.table import NO_FORMS, KeyForm, Rule, Table
from bulk_pipeline.schema.upload_format import (
    LEFT_OUT,
    NOTHING_DECLARED,
    UploadFormat,
    read_format,
)

__all__ = [
    "LEFT_OUT",
    "NOTHING_DECLARED",
    "NO_FORMS",
    "Column",
    "ColumnType",
    "Expectation",
    "Filter",
    "ForeignKey",
    "Generated",
    "Identity",
    "Key",
    "KeyForm",
    "Mode",
    "Operator",
    "Order",
    "Rule",
    "Selection",
    "SelectionWords",
    "Table",
    "TableName",
    "UploadFormat",
    "charset_of",
    "code_page",
    "column_type",
    "known_code_page",
    "read_format",
    "select",
]
