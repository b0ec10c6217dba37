"""Comparison of a cell of a file with a value in the database."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

_YES, _NO = {"true", "1", "yes"}, {"false", "0", "no"}


def identifier(value: Any) -> UUID:
    """Read an id in a file, with or without the prefix `cm_`."""
    return value if isinstance(value, UUID) else UUID(str(value).removeprefix("cm_"))


def differing(record: dict[str, Any], row: dict[str, Any]) -> list[str]:
    """Return the columns in which a record of a file differs from the row in the table."""
    return [name for name, cell in record.items() if not _same(cell, row[name])]


def _same(cell: Any, value: Any) -> bool:
    if cell in (None, ""):
        return True if value is None else value == "" or not isinstance(value, str)
    match value:
        case None:
            return False
        case UUID():
            return identifier(cell) == value
        case bool():
            return str(cell).lower() in (_YES if value else _NO)
        case datetime():
            told = datetime.fromisoformat(cell)
            return (told if told.tzinfo else told.replace(tzinfo=UTC)) == value
        case list():
            return (json.loads(cell) if isinstance(cell, str) else cell) == value
        case _:
            return cell == value
