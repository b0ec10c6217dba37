"""The language a table is declared in. What holds for every table is here; no table is."""

from bulk_pipeline.schema.column import Column, ColumnType
from bulk_pipeline.schema.table import ForeignKey, Mode, Rule, Table

__all__ = ["Column", "ColumnType", "ForeignKey", "Mode", "Rule", "Table"]
