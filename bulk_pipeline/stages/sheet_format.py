"""The look of columns in workbooks that we write: number formats, widths, the names of sheets, and their limits."""

import re

from bulk_pipeline.schema import Column, ColumnType, Table
from bulk_pipeline.schema.families.numbers import FRACTIONS, WHOLE_NUMBERS
from bulk_pipeline.schema.families.times import TIMESTAMPS

TEXT, WHOLE, NUMBER = "@", "0", "General"
DATE, TIME, TIMESTAMP = "yyyy-mm-dd", "hh:mm:ss", "yyyy-mm-dd hh:mm:ss"
MOST_ROWS = 1_048_576
"""The rows of a sheet, with the header."""
CELL_LENGTH = 32_767
"""The UTF-16 units that a cell holds."""
EXACT_TEXT = "exact text"
"""The name of the cell style of texts that an import takes as they are: empty ones, and ones with blanks around."""

_EXACT_DIGITS = 15
_WIDTHS = {DATE: 12, TIME: 10, TIMESTAMP: 20, WHOLE: 12, NUMBER: 14}
_LEAST_WIDTH, _MOST_WIDTH, _UUID_WIDTH = 12, 40, 38
_NAME_LENGTH = 31
_NOT_IN_NAMES = re.compile(r"[\[\]:*?/\\\x00-\x1f]|^'|'$")
_RESERVED_NAME = "history"
"""A name of a sheet that Excel keeps for itself."""


def sheet_name(table: Table) -> str:
    """Return the declared name, else that of the table, as far as Excel takes it."""
    name = table.upload_format.sheet or _NOT_IN_NAMES.sub("_", table.upload_name[:_NAME_LENGTH])
    return "rows" if name.lower() == _RESERVED_NAME else name


def number_format(column: Column) -> str:
    """Return the format of cells that people fill in. Numbers that may have more than 15 digits are texts."""
    family = column.type.family.name
    if family in WHOLE_NUMBERS:
        return TEXT if family == "bigint" else WHOLE
    if family in FRACTIONS:
        precision, scale = (*column.type.parameters, 0, 0)[:2]
        if scale <= 0:
            return NUMBER if not precision else WHOLE if precision <= _EXACT_DIGITS else TEXT
        return f"0.{'0' * min(scale, _EXACT_DIGITS)}"
    if family in TIMESTAMPS:
        return TIMESTAMP
    return {"date": DATE, "time without time zone": TIME}.get(family, TEXT)


def width(column: Column, name: str, format_: str) -> int:
    """Return the width in characters."""
    usual = _WIDTHS.get(format_, column.max_length or _MOST_WIDTH)
    if column.type is ColumnType.UUID:
        usual = _UUID_WIDTH
    elif column.type is ColumnType.BOOLEAN or column.choices:
        usual = max(map(len, column.choices), default=0) + 4
    return min(max(usual, len(name) + 2, _LEAST_WIDTH), _MOST_WIDTH)
