"""The language a table is declared in. What holds for every table is here; no table is."""

from bulk_pipeline.schema.column import Column, ColumnType
from bulk_pipeline.schema.filters import Filter, Operator
from bulk_pipeline.schema.selection import Order, Selection, select
from bulk_pipeline.schema.table import ForeignKey, Mode, Rule, Table

__all__ = [
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
    "select",
]
